//! The catalog service: its domain, its store and how it is served.

pub mod domain;
pub mod store;
pub mod system;
