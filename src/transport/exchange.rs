//! A request and its answer, from the first byte of one to the end of the other, for those who observe.
//!
//! Over HTTP an answer is what its head says. A call by gRPC or Connect ends with its status, which may come hours later,
//! behind the last message of a stream. One whose caller went away before is cancelled.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tonic::Code;
use transcode::{ReasonTable, connect};

use super::request::{Observer, Protocol};
use crate::telemetry::Access;
use crate::telemetry::metrics::{HttpCall, known_method};
use crate::telemetry::request::{RequestRecord, Route};
use crate::telemetry::trace::{Kind, Span};

/// The name of the span of a call that reaches no RPC.
const UNKNOWN_RPC: &str = "unknown";

/// The status of a request whose caller went away before the answer: in no RFC, but what proxies log for it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request that is being answered.
pub struct Exchange<E> {
    observer: Arc<Observer<E>>,
    pub(super) record: Arc<RequestRecord>,
    protocol: Protocol,
    method: Method,
    path: String,
    began: Instant,
    /// The HTTP status, once there is one.
    status: u16,
    ended: bool,
}

impl<E> Exchange<E> {
    pub(super) fn begin<A>(
        observer: &Arc<Observer<E>>,
        record: Arc<RequestRecord>,
        protocol: Protocol,
        request: &Request<A>,
    ) -> Self {
        observer.requests.begin(protocol != Protocol::Rest);
        Self {
            observer: observer.clone(),
            record,
            protocol,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
            status: CLIENT_CLOSED_REQUEST,
            ended: false,
        }
    }

    /// The answer has begun.
    pub(super) fn answered<B>(mut self, response: Response<B>) -> Response<ObservedBody<B, E>> {
        self.status = response.status().as_u16();
        if self.protocol == Protocol::Connect {
            // What HTTP refuses comes to no RPC that could say how it ended.
            match response.status() {
                StatusCode::NOT_FOUND => self.record.ended(Code::Unimplemented),
                status if status.is_client_error() => self.record.ended(Code::InvalidArgument),
                status if !status.is_success() => self.record.ended(Code::Unknown),
                _ if self.method == Method::OPTIONS => self.record.ended(Code::Ok),
                _ => {}
            }
        }
        // That of a call that failed at once is in the headers.
        let status = grpc_status(response.headers());
        let exchange = if self.protocol == Protocol::Rest || status.is_some() {
            self.end(status);
            None
        } else {
            Some(Box::new(self))
        };
        response.map(|body| ObservedBody { body, exchange })
    }

    /// Tells those who observe, once.
    fn end(&mut self, code: Option<Code>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (observer, record) = (&self.observer, &self.record);
        let took = self.began.elapsed();
        if self.protocol == Protocol::Rest {
            observer.requests.http(&HttpCall {
                method: &self.method,
                route: record.route.get(),
                status: self.status,
                took,
            });
        } else {
            let (spec, code) = (record.spec.get().copied(), code.unwrap_or(Code::Unknown));
            observer.requests.grpc(spec, &self.path, code, took);
        }
        let access = Access {
            protocol: self.protocol.as_str(),
            method: self.method.as_str(),
            path: &self.path,
            status: self.status,
            grpc_status: code,
            duration: took,
        };
        observer.access_log.log(record, &access);
        record.trace.end(|span| describe(span, record, &access));
    }
}

/// The span of a request, after OpenTelemetry's conventions for HTTP and RPC.
fn describe(span: &mut Span, record: &RequestRecord, access: &Access<'_>) {
    span.kind = Kind::Server;
    let spec = record.spec.get();
    if let Some(code) = access.grpc_status {
        // The path is `/package.Service/Method`; a caller may have made it up.
        span.name = spec.map_or(UNKNOWN_RPC, |spec| &spec.path[1..]).into();
        if access.protocol == Protocol::Connect.as_str() {
            span.set("rpc.system", "connect_rpc");
            if code != Code::Ok {
                span.set("rpc.connect_rpc.error_code", connect::code_name(code));
            }
        } else {
            span.set("rpc.system", "grpc");
            span.set("rpc.grpc.status_code", i64::from(i32::from(code)));
        }
        if is_fault(code) {
            span.error = Some(ReasonTable::CANONICAL.name(code).to_owned());
        }
    } else {
        let route = match record.route.get() {
            Some(Route::Binding(binding)) => Some(Cow::Borrowed(binding.template)),
            Some(Route::Page(path)) => Some(Cow::Owned(path.to_string())),
            None => None,
        };
        let method = known_method(access.method);
        span.name = match &route {
            Some(route) => format!("{method} {route}").into(),
            None => method.into(),
        };
        if let Some(route) = route {
            span.set("http.route", route);
        }
        span.set("http.request.method", method);
        span.set("http.response.status_code", i64::from(access.status));
        if access.status >= 500 {
            span.error = Some(access.status.to_string());
        }
    }
    span.set("catalog.protocol", access.protocol);
    span.set("url.path", access.path.to_owned());
    if let Some(error) = span.error.clone() {
        span.set("error.type", error);
    }
    if let Some(spec) = spec {
        span.set("rpc.service", spec.service);
        span.set("rpc.method", spec.name);
    }
    if let Some(principal) = record.principal.get() {
        span.set("enduser.id", principal.subject.clone());
    }
    if let Some(entity) = record.entity.get() {
        span.set(entity.attribute(), entity.to_string());
    }
    span.set("catalog.request.id", record.context.request_id.clone());
}

/// Whether a code is the service's fault and not the caller's.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

impl<E> Drop for Exchange<E> {
    fn drop(&mut self) {
        // What the RPC came to, if it came to its end.
        let code = (self.protocol != Protocol::Rest).then(|| {
            self.record
                .outcome
                .get()
                .copied()
                .unwrap_or(Code::Cancelled)
        });
        self.end(code);
    }
}

/// The status of a gRPC call in headers or trailers.
fn grpc_status(headers: &HeaderMap) -> Option<Code> {
    let status = headers.get("grpc-status")?;
    Some(Code::from_bytes(status.as_bytes()))
}

/// The body of an answer, with the request that it belongs to where that has not ended yet.
pub struct ObservedBody<B, E> {
    body: B,
    exchange: Option<Box<Exchange<E>>>,
}

impl<B: Body + Unpin, E> Body for ObservedBody<B, E> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(exchange) = &mut self.exchange {
            let record = &exchange.record;
            let code = match &frame {
                Some(Ok(frame)) => frame.trailers_ref().and_then(grpc_status),
                Some(Err(_)) => Some(Code::Cancelled),
                // gRPC-Web has its trailers among the data; by then the RPC has said how it ended.
                None => Some(record.outcome.get().copied().unwrap_or(Code::Ok)),
            };
            if code.is_some() {
                exchange.end(code);
                self.exchange = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
