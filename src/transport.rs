//! The ways in: REST, gRPC-Web, gRPC and the pages for people and probes, on two ports.

mod address;
mod audit;
mod cors;
mod docs;
mod exchange;
mod grpc;
mod http;
mod in_flight;
mod keys;
mod measured;
mod policy;
mod probes;
mod request;
mod security;
mod server;
mod stream;

pub use address::TrustedProxies;
pub use audit::Audited;
pub use docs::PAGE as DOCS_PAGE;
pub use grpc::GrpcServices;
pub use http::{GrpcPort, HttpApi, HttpPort, grpc_port, http_port};
pub use in_flight::InFlight;
pub use keys::keys_router;
pub use measured::Measured;
pub use policy::{AccessPolicy, FORWARDED_HEADERS};
pub use probes::{CacheProbe, ConsulProbe, DaprProbe, EventsProbe, Probes};
pub use request::Observer;
pub use security::protected;
pub use server::{Port, serve};
