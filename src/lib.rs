//! The catalog service: from the contract to REST, gRPC-Web and gRPC, over PostgreSQL.
//!
//! The way of a request: [`transport`] → the generated stack of [`pb`], with [`transport::AccessPolicy`] in front →
//! [`service`] (parse, call, convert) → [`domain`] (rules) → [`store`] (SQL).

pub mod app;
pub mod audit;
pub mod auth;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod domain;
pub mod duration;
pub mod events;
pub mod lifecycle;
pub mod migrate;
pub mod outbound;
pub mod pb;
pub mod pii;
pub mod private_file;
pub mod rate_limit;
pub mod redis;
pub mod registry;
pub mod service;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tls;
pub mod transport;
