//! The gRPC services: the catalog, health and reflection.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};
use transcode::policy::{self, Policy};

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
        let routes = Routes::new(catalog)
            .add_service(self.health)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let admission = from_fn_with_state(self.policy, admit::<P>);
        Ok(routes.into_axum_router().layer(admission).into())
    }
}

async fn admit<P: Policy>(
    State(policy): State<Arc<P>>,
    mut request: Request,
    next: Next,
) -> Response {
    match policy::admit(&*policy, METHODS, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(status) => status.into_http(),
    }
}
