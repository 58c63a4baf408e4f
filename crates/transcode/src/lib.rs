//! Runtime of a gRPC-JSON transcoder for tonic services.
//!
//! `transcode-build` generates from a contract what differs between RPCs; this crate holds what is the same for all:
//! - [`router`]: finds the binding of an HTTP request, with the whole path grammar of `google.api.http`;
//! - [`json`]: ProtoJSON, through serde;
//! - [`validate`]: the rules of `buf.validate`;
//! - [`policy`]: what stands in front of every handler, for gRPC, Connect and REST alike;
//! - [`idempotency`]: calls that are made once, however often they come;
//! - [`rest`]: binds a request, be it a stream, calls the handler in process, renders its answer, be it a stream, or its error,
//!   over HTTP and over WebSocket;
//! - [`grpc`]: what stands in front of tonic's services;
//! - [`connect`]: the same for calls by the Connect protocol;
//! - [`OnePort`]: all protocols on one port;
//! - [`Lingering`]: answers that reach callers who are still sending;
//! - [`Trailers`]: what comes after an answer;
//! - [`Rendered`]: an answer that is given many times;
//! - [`status`]: errors with typed details;
//! - [`event`]: what the contract says about the events of a service.
//!
//! The way of a REST call: [`rest::Transcoder`] → [`router`] → generated `rest::Service` → [`rest::Call::unary`] →
//! [`policy::Policy::admit`] → body, path and query into the request message → [`validate`] → handler → answer.

mod body;
mod clock_text;
#[cfg(feature = "compression")]
mod coding;
#[cfg(not(feature = "compression"))]
#[path = "coding/none.rs"]
mod coding;
pub mod connect;
mod details;
pub mod event;
pub mod grpc;
pub mod idempotency;
mod inbound;
pub mod json;
mod lingering;
mod lists;
mod one_port;
pub mod policy;
mod rendered;
pub mod rest;
pub mod router;
pub mod spec;
pub mod status;
mod trailers;
pub mod validate;
mod violations;

pub use event::{Direction, Event, EventSpec};
pub use lingering::{Answering, Lingering, Lingers, Unread};
pub use one_port::OnePort;
pub use rendered::Rendered;
pub use spec::{Binding, Body, Idempotency, MethodSpec, RateClass, ReasonTable, Segment, Variable};
pub use trailers::{SendTrailers, Trailers};
pub use violations::{Violation, Violations};

// What generated code names.
#[doc(hidden)]
pub use {http, prost, prost_types, serde, serde_json, tonic};
