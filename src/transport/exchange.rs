//! A request and its answer, from the first byte of one to the end of the other, for those who observe.
//!
//! Over HTTP an answer is what its head says. A gRPC call ends with its status, which may come hours later, behind the
//! last message of a stream. One whose caller went away before is cancelled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::http::{HeaderMap, Method, Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tonic::Code;

use super::request::{Observer, Protocol};
use crate::telemetry::Access;
use crate::telemetry::metrics::HttpCall;
use crate::telemetry::request::RequestRecord;

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
    }
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
