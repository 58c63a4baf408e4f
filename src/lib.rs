//! The catalog service: from the contract to REST, gRPC-Web and gRPC, over PostgreSQL.
//!
//! The way of a request: [`transport`] → the generated stack of [`pb`], with [`transport::policy`] in front →
//! [`service`] (parse, call, convert) → [`domain`] (rules) → [`store`] (SQL).

pub mod domain;
pub mod pb;
pub mod service;
pub mod system;
