//! The gRPC services: the catalog, health and reflection.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Service;
use transcode::policy::{self, Policy};
use transcode::rest::BoxFuture;

use crate::pb::DESCRIPTOR_SET;
use crate::pb::catalog::v1::catalog_service::METHODS;
use crate::pb::catalog::v1::catalog_service_server::{CatalogService, CatalogServiceServer};

/// What the gRPC port offers.
pub struct GrpcServices<C, H, P> {
    /// The catalog, behind its policy.
    pub catalog: Arc<C>,
    /// Asked before a message of the catalog's RPCs is decoded.
    pub policy: Arc<P>,
    /// `grpc.health.v1`.
    pub health: HealthServer<H>,
    /// Longest message that is read, in bytes.
    pub max_message_bytes: usize,
}

impl<C: CatalogService, H: Health, P: Policy> GrpcServices<C, H, P> {
    /// The services as routes.
    ///
    /// # Errors
    /// When the descriptor set that is built in can't be read.
    pub fn routes(self) -> Result<Routes, tonic_reflection::server::Error> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // What the details of errors are made of, so that a client can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let catalog = CatalogServiceServer::from_arc(self.catalog)
            .max_decoding_message_size(self.max_message_bytes);
        let catalog = Admission {
            inner: catalog,
            policy: self.policy,
        };
        Ok(Routes::new(catalog)
            .add_service(self.health)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?))
    }
}

/// Asks a policy about a call before its message is decoded.
struct Admission<S, P> {
    inner: S,
    policy: Arc<P>,
}

impl<S: Clone, P> Clone for Admission<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            policy: self.policy.clone(),
        }
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
        let policy = self.policy.clone();
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match policy::admit(&*policy, METHODS, &mut request).await {
                Ok(()) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}
