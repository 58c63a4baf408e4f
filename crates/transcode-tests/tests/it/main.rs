//! The transcoder, from outside.

mod grpc;
mod properties;
mod rest;
mod stream;
