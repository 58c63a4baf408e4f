//! Requests by what they asked for and how they were answered.
//!
//! The paths are the templates of the contract and of the pages, never the URLs that callers send: what reaches no
//! route is one path, and a method that HTTP does not know is one method.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Method;
use tonic::Code;
use transcode::{Binding, MethodSpec, ReasonTable};

use super::{Page, Source, Times};
use crate::telemetry::request::Route;

/// The path of requests that reach no route, and the method of calls that reach no RPC.
const UNKNOWN: &str = "unknown";

/// Most routes beside those of the contract, each with each method that was used.
const OTHERS: usize = 256;

/// The RPCs that are not of the contract.
const COMMON_RPCS: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The counts of all requests. Clones are the same.
#[derive(Clone)]
pub struct Requests(Arc<Inner>);

struct Inner {
    /// GET, which answers HEAD too, and the others: a place for each.
    bindings: Vec<(&'static Binding, Http, Http)>,
    /// Filled from the front, one for each method and path.
    others: Vec<OnceLock<Other>>,
    rpcs: Vec<Rpc>,
    http_in_flight: AtomicI64,
    grpc_in_flight: AtomicI64,
}

/// The answers of one route to one method.
#[derive(Default)]
struct Http {
    /// A place for each status, from 100 on.
    statuses: Statuses,
    times: Times,
}

struct Statuses(Box<[AtomicU64; 500]>);

impl Default for Statuses {
    fn default() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; 500]))
    }
}

struct Other {
    method: &'static str,
    path: Box<str>,
    http: Http,
}

/// The calls of one RPC.
struct Rpc {
    path: &'static str,
    spec: Option<&'static MethodSpec>,
    /// A place for each code.
    codes: [AtomicU64; 17],
    times: Times,
}

impl Http {
    fn record(&self, status: u16, took: Duration) {
        // hyper answers with nothing outside of 100 to 599.
        if let Some(count) = self.statuses.0.get(usize::from(status).wrapping_sub(100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.times.record(took);
    }
}

/// A request that was answered over HTTP and not by gRPC.
#[derive(Debug)]
pub struct HttpCall<'a> {
    /// Its method.
    pub method: &'a Method,
    /// What it reached.
    pub route: Option<&'a Route>,
    /// The status of the answer.
    pub status: u16,
    /// Until the answer began.
    pub took: Duration,
}

impl Requests {
    /// Counts of the RPCs of a contract and of their ways over HTTP.
    pub fn new(
        bindings: impl IntoIterator<Item = &'static Binding>,
        methods: impl IntoIterator<Item = &'static MethodSpec>,
    ) -> Self {
        let rpc = |path, spec| Rpc {
            path,
            spec,
            codes: [const { AtomicU64::new(0) }; 17],
            times: Times::new(),
        };
        let methods = methods.into_iter().map(|spec| rpc(spec.path, Some(spec)));
        let common = COMMON_RPCS.into_iter().chain([UNKNOWN]);
        Self(Arc::new(Inner {
            bindings: bindings
                .into_iter()
                .map(|binding| (binding, Http::default(), Http::default()))
                .collect(),
            others: (0..OTHERS).map(|_| OnceLock::new()).collect(),
            rpcs: methods.chain(common.map(|path| rpc(path, None))).collect(),
            http_in_flight: AtomicI64::new(0),
            grpc_in_flight: AtomicI64::new(0),
        }))
    }

    /// A request began.
    pub fn begin(&self, grpc: bool) {
        self.in_flight(grpc).fetch_add(1, Ordering::Relaxed);
    }

    fn in_flight(&self, grpc: bool) -> &AtomicI64 {
        if grpc {
            &self.0.grpc_in_flight
        } else {
            &self.0.http_in_flight
        }
    }

    /// A request was answered.
    pub fn http(&self, call: &HttpCall<'_>) {
        self.in_flight(false).fetch_sub(1, Ordering::Relaxed);
        match call.route {
            Some(Route::Binding(binding)) => {
                // A handful of pointers; nothing is read of what they point to.
                let known = self.0.bindings.iter();
                let mut known = known.filter(|(known, ..)| std::ptr::eq(*known, *binding));
                if let Some((_, usual, head)) = known.next() {
                    let is_head = *call.method == Method::HEAD;
                    let http = if is_head { head } else { usual };
                    http.record(call.status, call.took);
                }
            }
            Some(Route::Page(path)) => self.other(call, path),
            None => self.other(call, UNKNOWN),
        }
    }

    fn other(&self, call: &HttpCall<'_>, path: &str) {
        let method = known_method(call.method.as_str());
        for place in &self.0.others {
            let other = place.get_or_init(|| Other {
                method,
                path: path.into(),
                http: Http::default(),
            });
            if other.method == method && *other.path == *path {
                return other.http.record(call.status, call.took);
            }
        }
    }

    /// A gRPC call came to its end.
    pub fn grpc(&self, spec: Option<&'static MethodSpec>, path: &str, code: Code, took: Duration) {
        self.in_flight(true).fetch_sub(1, Ordering::Relaxed);
        let rpcs = &self.0.rpcs;
        let found = match spec {
            Some(spec) => rpcs
                .iter()
                .find(|rpc| rpc.spec.is_some_and(|known| std::ptr::eq(known, spec))),
            // Refused before anybody asked which RPC it is, or none of the contract's.
            None => rpcs.iter().find(|rpc| rpc.path == path),
        };
        if let Some(rpc) = found.or(rpcs.last()) {
            rpc.codes[code as usize].fetch_add(1, Ordering::Relaxed);
            rpc.times.record(took);
        }
    }
}

/// The method, if it is one of HTTP's.
pub fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

impl Inner {
    /// The routes that were asked for, with their methods.
    fn routes(&self) -> impl Iterator<Item = (&str, &str, &Http)> {
        let bindings = self.bindings.iter().flat_map(|(binding, usual, head)| {
            [
                (binding.method, binding.template, usual),
                ("HEAD", binding.template, head),
            ]
        });
        let others = self.others.iter().filter_map(OnceLock::get);
        bindings
            .chain(others.map(|other| (other.method, &*other.path, &other.http)))
            .filter(|(.., http)| http.times.count() > 0)
    }
}

impl Source for Requests {
    fn write(&self, page: &mut Page) {
        let inner = &*self.0;
        let mut family = page.counter(
            "kratos_http_requests_total",
            "Requests over HTTP, but for gRPC, by the template of their path",
        );
        for (method, path, http) in inner.routes() {
            for (status, count) in (100..).zip(&*http.statuses.0) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let status: u16 = status;
                    let labels = [
                        ("method", method),
                        ("path", path),
                        ("status", &status.to_string()),
                    ];
                    family.sample(&labels, count);
                }
            }
        }
        let mut family = page.histogram(
            "kratos_http_request_duration_seconds",
            "From a request over HTTP to the beginning of its answer",
        );
        for (method, path, http) in inner.routes() {
            family.times(&[("method", method), ("path", path)], &http.times);
        }
        let called = || inner.rpcs.iter().filter(|rpc| rpc.times.count() > 0);
        let mut family = page.counter(
            "kratos_grpc_requests_total",
            "Calls by gRPC, gRPC-Web and Connect, by their final status",
        );
        for rpc in called() {
            for (name, count) in ReasonTable::CANONICAL.names.iter().zip(&rpc.codes) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    family.sample(&[("method", rpc.path), ("status", name)], count);
                }
            }
        }
        let mut family = page.histogram(
            "kratos_grpc_request_duration_seconds",
            "From a call by gRPC or gRPC-Web to the end of its answer",
        );
        for rpc in called() {
            family.times(&[("method", rpc.path)], &rpc.times);
        }
        let mut family = page.gauge("requests_in_flight", "Requests that are being answered");
        for (protocol, grpc) in [("http", false), ("grpc", true)] {
            let count = self.in_flight(grpc).load(Ordering::Relaxed);
            family.sample(&[("protocol", protocol)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Format;

    #[test]
    fn what_callers_make_up_is_one_line() {
        let requests = Requests::new([], []);
        for (method, status) in [("GET", 404), ("BREW", 405), ("STEEP", 405)] {
            requests.begin(false);
            requests.http(&HttpCall {
                method: &Method::from_bytes(method.as_bytes()).unwrap(),
                route: None,
                status,
                took: Duration::ZERO,
            });
        }
        for path in ["/a.B/C", "/a.B/D"] {
            requests.begin(true);
            requests.grpc(None, path, Code::Unimplemented, Duration::ZERO);
        }
        let mut page = Page::new(Format::Text);
        requests.write(&mut page);
        let text = page.finish();
        for line in [
            r#"kratos_http_requests_total{method="GET",path="unknown",status="404"} 1"#,
            r#"kratos_http_requests_total{method="_OTHER",path="unknown",status="405"} 2"#,
            r#"kratos_grpc_requests_total{method="unknown",status="UNIMPLEMENTED"} 2"#,
            r#"requests_in_flight{protocol="http"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
