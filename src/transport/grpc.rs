//! The gRPC services: the catalog, health and reflection.

use std::sync::Arc;

use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::pb::DESCRIPTOR_SET;
use crate::pb::catalog::v1::catalog_service_server::{CatalogService, CatalogServiceServer};

/// What the gRPC port offers.
pub struct GrpcServices<C, H> {
    /// The catalog, behind its policy.
    pub catalog: Arc<C>,
    /// `grpc.health.v1`.
    pub health: HealthServer<H>,
    /// Longest message that is read, in bytes.
    pub max_message_bytes: usize,
}

impl<C: CatalogService, H: Health> GrpcServices<C, H> {
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
        Ok(Routes::new(catalog)
            .add_service(self.health)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?))
    }
}
