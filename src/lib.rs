//! The catalog service.

pub mod pb;
