//! The transcoder, from outside.

mod grpc;
mod link;
mod properties;
mod rest;
mod stream;
