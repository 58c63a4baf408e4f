//! lib
pub mod migrate;
