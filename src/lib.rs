//! The catalog service.

pub mod auth;
pub mod cli;
pub mod pb;
