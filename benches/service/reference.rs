//! What the service is compared with: the least that its frameworks do.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// Serves "hello" with axum.
pub(crate) async fn rest(addr: &str) {
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let router = Router::new().route("/", get(async || "hello"));
    axum::serve(listener, router).await.unwrap();
}

/// Serves an echo with tonic.
pub(crate) async fn grpc(addr: &str) {
    tonic::transport::Server::builder()
        .add_service(Echo)
        .serve(addr.parse().unwrap())
        .await
        .unwrap();
}

/// The path of the echo's RPC.
pub(crate) const ECHO: &str = "/bench.Echo/Echo";

/// What is echoed.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) content: Bytes,
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = std::future::Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Payload, Payload>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Echo, request).await)
        })
    }
}
