//! What the tests stand on.

pub(crate) mod caller;
pub(crate) mod collector;
pub(crate) mod connect;
pub(crate) mod consul;
pub(crate) mod folder;
pub(crate) mod grpc;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod redis;
pub(crate) mod service;
pub(crate) mod sidecar;
pub(crate) mod stream;
pub(crate) mod tls;
