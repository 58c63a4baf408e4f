//! All protocols on one port: what is gRPC by its content type goes to tonic, all else to the transcoder.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use tonic::codegen::Service;

use crate::rest::{Body, BoxFuture, Transcoder};

/// A `tower::Service` for any HTTP server: REST and [Connect](crate::connect) by a transcoder, gRPC by `grpc`, and
/// gRPC-Web as well where that has the layer of `tonic-web` in front.
#[derive(Clone)]
pub struct OnePort<G> {
    transcoder: Transcoder,
    grpc: G,
}

impl<G> OnePort<G> {
    /// Puts a transcoder beside tonic's routes.
    pub const fn new(transcoder: Transcoder, grpc: G) -> Self {
        Self { transcoder, grpc }
    }
}

/// What tonic and tonic-web read, without parameters.
const GRPC: [&str; 6] = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Whether a request is gRPC or gRPC-Web. One by another method than POST, or with messages of another format, which tonic
/// would read as if it were none, is for the transcoder to refuse.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let media = request.headers().get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    let essence = media.and_then(|media| media.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim();
        // Most are something else, from the first letters on.
        GRPC.iter().any(|grpc| essence.eq_ignore_ascii_case(grpc))
    }) && request.method() == Method::POST
}

impl<G, B> Service<Request<B>> for OnePort<G>
where
    G: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    G: Clone + Send + 'static,
    G::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_grpc(&request) {
            // The one that was waited for.
            let next = self.grpc.clone();
            let mut grpc = std::mem::replace(&mut self.grpc, next);
            return Box::pin(async move { grpc.call(request.map(Body::new)).await });
        }
        let transcoder = self.transcoder.clone();
        Box::pin(async move { Ok(transcoder.handle(request).await) })
    }
}
