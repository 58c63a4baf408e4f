//! The transcoder, from outside.

mod binary;
mod compression;
mod errors;
mod grpc;
mod idempotency;
mod link;
mod properties;
mod rest;
mod stream;
