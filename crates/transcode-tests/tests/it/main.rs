//! The transcoder, from outside.

mod binary;
mod compression;
mod connect;
mod connection;
mod errors;
mod files;
mod form;
mod grpc;
mod idempotency;
mod intake;
mod link;
mod paths;
mod properties;
mod rest;
mod stream;
mod together;
mod upload;
mod websocket;
mod whole;
