//! The services of the two ports. The HTTP port takes all protocols and tells them apart by content type.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::any;
use axum::{BoxError, Router};
use http::header;
use tonic::service::Routes;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};
use transcode::rest::{BoxFuture, Problem, Transcoder};
use transcode::router::Match;

use super::request::{Observed, Observer, Protocol};
use super::{cors, docs, probes};
use crate::telemetry::request::{RequestRecord, Route};
use crate::transport::Probes;

/// What the HTTP port offers.
pub struct HttpApi {
    /// REST.
    pub transcoder: Transcoder,
    /// gRPC, for gRPC-Web and for callers that have one port only.
    pub grpc: Routes,
    /// `/health` and `/ready`.
    pub probes: Arc<Probes>,
    /// What a Dapr sidecar calls, where there is one.
    pub dapr: Option<Router>,
    /// The keys that tokens of this service are checked with, where it makes any.
    pub keys: Option<Router>,
    /// Origins whose pages may call; `*` for all.
    pub allowed_origins: Vec<String>,
}

/// What the HTTP port answers with.
pub type HttpPort<E> = Observed<HttpService, E>;

/// What the gRPC port answers with.
pub type GrpcPort<E> = Observed<Router, E>;

/// The service of the HTTP port.
pub fn http_port<E>(api: HttpApi, observer: Arc<Observer<E>>) -> HttpPort<E> {
    let HttpApi {
        transcoder,
        grpc,
        probes,
        dapr,
        keys,
        allowed_origins,
    } = api;
    let pages = transcoder.clone();
    let cors = cors::layer(&allowed_origins);
    let protocols = Protocols {
        transcoder: transcoder.clone(),
        web: GrpcWebLayer::new().layer(grpc.clone().prepare()),
        grpc: grpc.into_axum_router(),
    };
    let calls = any(move |request: Request| protocols.clone().call(request));
    let others = Router::new()
        .merge(probes::router(probes))
        .merge(docs::router())
        .merge(dapr.unwrap_or_default())
        .merge(keys.unwrap_or_default())
        .route_layer(from_fn(page))
        .method_not_allowed_fallback(move |request: Request| {
            let problem = Problem::method_not_allowed(&["GET", "HEAD"]);
            let answer = pages.answer(request.extensions(), problem).map(Body::new);
            std::future::ready(answer)
        })
        .fallback_service(calls)
        .layer(cors);
    Observed::new(HttpService { transcoder, others }, observer)
}

/// Notes which page a request reached.
async fn page(path: MatchedPath, request: Request, next: Next) -> Response {
    RequestRecord::reached(Route::Page(path.as_str().into()));
    next.run(request).await
}

/// The service of the gRPC port; `others` are what it offers beside the RPCs.
pub fn grpc_port<E>(grpc: Routes, others: Router, observer: Arc<Observer<E>>) -> GrpcPort<E> {
    let others = others.route_layer(from_fn(page));
    Observed::new(grpc.into_axum_router().merge(others), observer)
}

/// Calls of programs by REST and Connect, which have no origin, go to the transcoder at once; all else goes the long way.
#[derive(Clone)]
pub struct HttpService {
    transcoder: Transcoder,
    others: Router,
}

impl<B> Service<http::Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let protocol = Protocol::of(&request);
        let is_ours = matches!(protocol, Protocol::Rest | Protocol::Connect);
        if is_ours && !request.headers().contains_key(header::ORIGIN) {
            let found = self.transcoder.find(&request);
            if let Match::Found(binding, _) = found {
                RequestRecord::reached(Route::Binding(binding));
            }
            if let Match::Found(..) | Match::Rpc(..) = found {
                let transcoder = self.transcoder.clone();
                return Box::pin(async move { Ok(transcoder.handle_found(found, request).await) });
            }
        }
        let answer = self.others.call(request);
        Box::pin(async move {
            answer
                .await
                .map(|answer| answer.map(tonic::body::Body::new))
        })
    }
}

/// The ways to call an RPC on one port; clones share what is inside.
#[derive(Clone)]
struct Protocols {
    transcoder: Transcoder,
    grpc: Router,
    web: GrpcWebService<Routes>,
}

impl Protocols {
    async fn call(self, request: Request) -> Response {
        match Protocol::of(&request) {
            Protocol::Rest | Protocol::Connect => {
                let found = self.transcoder.find(&request);
                if let Match::Found(binding, _) = found {
                    RequestRecord::reached(Route::Binding(binding));
                }
                let answer = self.transcoder.handle_found(found, request).await;
                answer.map(Body::new)
            }
            Protocol::Grpc => infallible(self.grpc.oneshot(request).await),
            Protocol::GrpcWeb => {
                let request = request.map(tonic::body::Body::new);
                infallible(self.web.oneshot(request).await).map(Body::new)
            }
        }
    }
}

fn infallible<T>(result: Result<T, std::convert::Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}
