//! Consul: this service is registered there, those of others are found there, and the tokens of callers are its own.

pub mod consul;
pub mod discovery;
pub mod registration;

pub use consul::{Consul, ConsulError};
pub use registration::{Registration, Status};
