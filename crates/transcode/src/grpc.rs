//! What stands in front of a service of tonic's: admission before a message is decoded, and answers that are ready made.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;

use crate::policy::{self, Policy};
use crate::rendered::{AcceptsFrame, ReadyFrame};
use crate::rest::BoxFuture;
use crate::spec::MethodSpec;

/// A service of tonic's whose callers are asked for by a policy before their message is decoded, and which gives answers
/// that are [ready made](crate::Rendered) as they are.
pub struct Admission<S, P> {
    inner: S,
    methods: &'static [&'static MethodSpec],
    policy: Arc<P>,
}

impl<S, P> Admission<S, P> {
    /// Puts a policy in front of a service, of which `methods` are the RPCs.
    pub const fn new(inner: S, methods: &'static [&'static MethodSpec], policy: Arc<P>) -> Self {
        Self {
            inner,
            methods,
            policy,
        }
    }
}

impl<S: Clone, P> Clone for Admission<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.methods, self.policy.clone())
    }
}

impl<S: NamedService, P> NamedService for Admission<S, P> {
    const NAME: &'static str = S::NAME;
}

impl<S, P> Service<Request<Body>> for Admission<S, P>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    P: Policy,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (policy, methods) = (self.policy.clone(), self.methods);
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match policy::admit(&*policy, methods, &mut request).await {
                Ok(spec) => {
                    // What is kept for a key is a message.
                    if spec.is_some_and(|spec| !spec.idempotency_key) {
                        request.extensions_mut().insert(AcceptsFrame);
                    }
                    inner.call(request).await.map(ready)
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// An answer with the message that is ready made in place of the one that stands for it.
fn ready(mut answer: Response<Body>) -> Response<Body> {
    match answer.extensions_mut().remove::<ReadyFrame>() {
        Some(ReadyFrame(frame)) => answer.map(|_| Body::new(Ready::Message(frame))),
        None => answer,
    }
}

/// The body of a unary answer: one message, and the trailers that say that all went well. It does not say how long it is:
/// gRPC-Web sends the trailers as a part of it.
enum Ready {
    Message(Bytes),
    Trailers,
    End,
}

impl http_body::Body for Ready {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, next) = match std::mem::replace(&mut *self, Self::End) {
            Self::Message(message) => (Frame::data(message), Self::Trailers),
            Self::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Self::End)
            }
            Self::End => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::End)
    }
}
