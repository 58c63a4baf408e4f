//! All integration tests of the service, in one binary, against a real PostgreSQL and a real Redis.
#![allow(clippy::unwrap_used)]

mod access;
mod architecture;
mod asyncapi;
mod audit;
mod cache;
mod config;
mod connect;
mod consul;
mod deploy;
mod documents;
mod event_contract;
mod events;
mod grpc;
mod headers;
mod health;
mod idempotency;
mod identity;
mod inventory;
mod jwks;
mod lifecycle;
mod log;
mod metrics;
mod migrate;
mod openapi;
mod overload;
mod rate_limit;
mod redis;
mod rest;
mod search;
mod store;
mod support;
mod tls;
mod traces;
mod watch;
