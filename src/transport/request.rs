//! What is known of a request before anything looks into it: its id, its trace, its protocol.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tower::Service;
use transcode::rest::{BoxFuture, RequestContext};

use super::exchange::{Exchange, ObservedBody};
use super::security;
use crate::domain::id;
use crate::domain::ports::Environment;
use crate::pb::METHODS;
use crate::telemetry::AccessLog;
use crate::telemetry::metrics::Requests;
use crate::telemetry::request::{CURRENT, RequestRecord};
use crate::telemetry::trace::{TraceContext, Tracer};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// JSON over HTTP.
    Rest,
    /// gRPC-Web, binary or text.
    GrpcWeb,
    /// gRPC.
    Grpc,
    /// Connect.
    Connect,
}

/// The paths of the contract's RPCs, sorted.
static RPCS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let rpcs = METHODS.iter().copied().flatten();
    let mut paths: Vec<_> = rpcs.map(|spec| spec.path).collect();
    paths.sort_unstable();
    paths
});

impl Protocol {
    /// Its name in the log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GrpcWeb => "grpc-web",
            Self::Grpc => "grpc",
            Self::Connect => "connect",
        }
    }

    /// The protocol: what comes to an RPC and is not gRPC, by its content type, is Connect; so is what is of a type that
    /// only Connect has and comes to what might be an RPC.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let media = request.headers().get(header::CONTENT_TYPE);
        match media.map(HeaderValue::as_bytes) {
            Some(value) if value.starts_with(b"application/grpc-web") => Self::GrpcWeb,
            Some(value) if value.starts_with(b"application/grpc") => Self::Grpc,
            Some(value) if is_connect(value) && may_be_rpc(request.uri().path()) => Self::Connect,
            _ if RPCS.binary_search(&request.uri().path()).is_ok() => Self::Connect,
            _ => Self::Rest,
        }
    }
}

/// Whether a media type is Connect's alone.
fn is_connect(media: &[u8]) -> bool {
    media.starts_with(b"application/connect+") || media == b"application/proto"
}

/// Whether a path has the form of an RPC's: `/package.Service/Method`.
fn may_be_rpc(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    service.is_some_and(|(service, method)| service.contains('.') && !method.contains('/'))
}

/// Gives each request its context and its answer the request's id, and tells those who observe about both.
pub struct Observed<S, E> {
    inner: S,
    observer: Arc<Observer<E>>,
}

/// Who observes requests, and what is needed to tell them.
pub struct Observer<E> {
    /// Makes ids.
    pub environment: E,
    /// Gets a line for each request.
    pub access_log: AccessLog,
    /// Counts them.
    pub requests: Requests,
    /// Gets their spans.
    pub tracer: Tracer,
}

impl<S, E> Observed<S, E> {
    pub(super) const fn new(inner: S, observer: Arc<Observer<E>>) -> Self {
        Self { inner, observer }
    }
}

impl<S: Clone, E> Clone for Observed<S, E> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.observer.clone())
    }
}

impl<S, E, A, B> Service<Request<A>> for Observed<S, E>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    E: Environment,
{
    type Response = Response<ObservedBody<B, E>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let trace = self.observer.tracer.begin(caller(request.headers()));
        let context = RequestContext {
            request_id: request_id(request.headers(), &self.observer.environment),
            trace_id: Some(trace.context.trace_id),
        };
        let protocol = Protocol::of(&request);
        let record = Arc::new(RequestRecord::new(context.clone(), trace));
        let exchange = Exchange::begin(&self.observer, record.clone(), protocol, &request);
        request.extensions_mut().insert(protocol);
        request.extensions_mut().insert(context);
        let answer = CURRENT.sync_scope(record.clone(), || self.inner.call(request));
        let answer = CURRENT.scope(record, answer);
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            if let Ok(mut id) = HeaderValue::from_str(&exchange.record.context.request_id) {
                // No secret, but no value for HTTP/2 to put into its table of headers: it never comes again.
                id.set_sensitive(true);
                response.headers_mut().insert(X_REQUEST_ID, id);
            }
            if protocol != Protocol::Grpc {
                security::protect(response.headers_mut());
            }
            Ok(exchange.answered(response))
        })
    }
}

/// The caller's id for the request where it is sane, or a new one.
fn request_id(headers: &HeaderMap, environment: &impl Environment) -> String {
    let given = headers
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    given
        .filter(sane)
        .map_or_else(|| id::encode("req", environment.new_uuid()), str::to_owned)
}

/// Where the caller is in its trace.
fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(&TRACEPARENT)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEnvironment;

    #[test]
    fn protocols() {
        for (path, media, protocol) in [
            ("/v1/catalog/products", None, Protocol::Rest),
            (
                "/v1/catalog/products",
                Some("application/json"),
                Protocol::Rest,
            ),
            (
                "/v1/catalog/products",
                Some("application/connect+json"),
                Protocol::Rest,
            ),
            (
                "/v1/catalog/products",
                Some("application/grpc"),
                Protocol::Grpc,
            ),
            (
                "/catalog.v1.CatalogService/GetProduct",
                None,
                Protocol::Connect,
            ),
            (
                "/catalog.v1.CatalogService/GetProduct",
                Some("application/json"),
                Protocol::Connect,
            ),
            (
                "/catalog.v1.CatalogService/GetProduct",
                Some("application/grpc-web+proto"),
                Protocol::GrpcWeb,
            ),
            (
                "/catalog.v1.CatalogService/Nothing",
                Some("application/proto"),
                Protocol::Connect,
            ),
            (
                "/catalog.v1.CatalogService/Nothing",
                Some("application/json"),
                Protocol::Rest,
            ),
        ] {
            let mut request = Request::post(path);
            if let Some(media) = media {
                request = request.header(header::CONTENT_TYPE, media);
            }
            let request = request.body(()).expect("a request");
            assert_eq!(Protocol::of(&request), protocol, "{path} {media:?}");
        }
    }

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                X_REQUEST_ID,
                HeaderValue::from_bytes(value.as_bytes()).expect("a header"),
            );
            request_id(&headers, &SystemEnvironment)
        };
        assert_eq!(id("req_abc-1.2:3"), "req_abc-1.2:3");
        for value in ["", "a b", "<script>", "ä"] {
            assert!(id(value).starts_with("req_"), "{value}");
        }
    }
}
