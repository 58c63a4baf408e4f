//! The product catalog service.

pub mod config;
