//! The catalog service.

pub mod config;
pub mod pb;
