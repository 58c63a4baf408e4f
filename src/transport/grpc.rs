//! The gRPC services: those of the contract, health and reflection.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Service;
use transcode::MethodSpec;
use transcode::grpc::Admission;
use transcode::policy::Policy;

use crate::pb::DESCRIPTOR_SET;

/// What the gRPC port offers.
pub struct GrpcServices<P> {
    policy: Arc<P>,
    routes: RoutesBuilder,
    names: Vec<&'static str>,
}

impl<P: Policy> GrpcServices<P> {
    /// No services yet; `policy` is asked before a message of theirs is decoded.
    pub fn new(policy: Arc<P>) -> Self {
        Self {
            policy,
            routes: RoutesBuilder::default(),
            names: Vec::new(),
        }
    }

    /// Adds a service of the contract, with what that says about its RPCs.
    pub fn add<S>(&mut self, service: S, methods: &'static [&'static MethodSpec])
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        self.names.push(S::NAME);
        let policy = self.policy.clone();
        self.routes
            .add_service(Admission::new(service, methods, policy));
    }

    /// Names of the services that were added.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The services as routes, with `grpc.health.v1` and reflection, which tells of those that are there.
    ///
    /// # Errors
    /// When the descriptor set that is built in can't be read.
    pub fn routes<H: Health>(
        mut self,
        health: HealthServer<H>,
    ) -> Result<Routes, tonic_reflection::server::Error> {
        let others = [
            HealthServer::<H>::NAME,
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // What the details of errors are made of, so that a client can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
            let names = self.names.iter().chain(&others);
            names.fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let (v1, v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
        self.routes
            .add_service(health)
            .add_service(v1)
            .add_service(v1alpha);
        Ok(self.routes.routes())
    }
}
