//! The routers of the two ports. The HTTP port takes all protocols and tells them apart by content type.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use tonic::service::Routes;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, ServiceExt as _};
use transcode::rest::{Problem, Transcoder};

use super::request::{Observer, Protocol, observe};
use super::{cors, docs, probes};
use crate::domain::ports::Environment;
use crate::telemetry::AccessLog;
use crate::transport::Probes;

/// What the HTTP port offers.
pub struct HttpApi {
    /// REST.
    pub transcoder: Transcoder,
    /// gRPC, for gRPC-Web and for callers that have one port only.
    pub grpc: Routes,
    /// `/health` and `/ready`.
    pub probes: Arc<Probes>,
    /// Origins whose pages may call; `*` for all.
    pub allowed_origins: Vec<String>,
}

/// The router of the HTTP port.
pub fn http_router<E: Environment>(
    api: HttpApi,
    environment: Arc<E>,
    access_log: AccessLog,
) -> Router {
    let HttpApi {
        transcoder,
        grpc,
        probes,
        allowed_origins,
    } = api;
    let pages = transcoder.clone();
    let cors = cors::layer(&allowed_origins);
    let protocols = Protocols {
        transcoder,
        web: GrpcWebLayer::new().layer(grpc.clone().prepare()),
        grpc: grpc.into_axum_router(),
    };
    let observer = Observer {
        environment,
        access_log,
    };
    let calls = any(move |request: Request| protocols.clone().call(request));
    Router::new()
        .merge(probes::router(probes))
        .merge(docs::router())
        .method_not_allowed_fallback(move |request: Request| {
            let problem = Problem::method_not_allowed(&["GET", "HEAD"]);
            let answer = pages.answer(request.extensions(), problem).map(Body::new);
            std::future::ready(answer)
        })
        .fallback_service(calls)
        .layer(cors)
        .layer(from_fn_with_state(observer, observe::<E>))
}

/// The router of the gRPC port.
pub fn grpc_router<E: Environment>(
    grpc: Routes,
    environment: Arc<E>,
    access_log: AccessLog,
) -> Router {
    let observer = Observer {
        environment,
        access_log,
    };
    grpc.into_axum_router()
        .layer(from_fn_with_state(observer, observe::<E>))
}

/// The three ways to call an RPC on one port; clones share what is inside.
#[derive(Clone)]
struct Protocols {
    transcoder: Transcoder,
    grpc: Router,
    web: GrpcWebService<Routes>,
}

impl Protocols {
    async fn call(self, request: Request) -> Response {
        match Protocol::of(request.headers()) {
            Protocol::Rest => self.transcoder.handle(request).await.map(Body::new),
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
