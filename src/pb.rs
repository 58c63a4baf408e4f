//! What is generated from the contract: messages, gRPC stubs, JSON mapping, validation, routes and specs of the RPCs.
//! This is the only place that includes generated code.
#![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]

include!(concat!(env!("OUT_DIR"), "/pb.rs"));

/// The descriptor set of the contract, for reflection and for tests that walk it.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The API description as JSON.
pub const OPENAPI_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The API description as YAML.
pub const OPENAPI_YAML: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.yaml"));

/// The description of the events as JSON.
pub const ASYNCAPI_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/asyncapi.json"));

/// The description of the events as YAML.
pub const ASYNCAPI_YAML: &str = include_str!(concat!(env!("OUT_DIR"), "/asyncapi.yaml"));

/// Pages on the events: their names and their Markdown, the index first.
pub const EVENT_PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/event_pages.rs"));
