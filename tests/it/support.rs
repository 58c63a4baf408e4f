//! What the tests stand on.

pub(crate) mod grpc;
pub(crate) mod postgres;
pub(crate) mod service;
