//! The ways in: REST, gRPC-Web, gRPC and the pages for people and probes, on two ports.

mod cors;
mod docs;
mod grpc;
mod http;
mod policy;
mod probes;
mod request;
mod server;
mod stream;

pub use docs::PAGE as DOCS_PAGE;
pub use grpc::GrpcServices;
pub use http::{GrpcPort, HttpApi, HttpPort, grpc_port, http_port};
pub use policy::AccessPolicy;
pub use probes::{CacheProbe, EventsProbe, Probes};
pub use server::serve;
