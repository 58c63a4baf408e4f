//! Keeps the catalog in PostgreSQL.

mod error;
pub mod postgres;
pub mod products;

pub use products::PgProducts;
