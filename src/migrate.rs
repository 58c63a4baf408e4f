//! Database migrations, interchangeable with golang-migrate: the same files, the same table, the same locks and the
//! same dirty flow, so that either tool can continue a database the other has managed.
//!
//! - [`Source`] is the ordered set of migration files, from a folder or from the binary itself.
//! - [`Migrator`] runs them on one connection, under golang-migrate's advisory locks.
//! - [`status`] compares a database with the files. It locks and creates nothing, so it can serve a readiness check.
//! - [`cli`] is the `migrate` binary.

pub mod cli;

mod args;
mod database;
mod error;
mod migrator;
mod settings;
mod source;
mod status;
mod url;

pub use error::Error;
pub use migrator::{Migrator, Options, Outcome, Step};
pub use source::{Direction, Source};
pub use status::{Status, status};
pub use url::{DatabaseUrl, table_name};

/// The version table's name when nothing else is configured.
pub const DEFAULT_TABLE: &str = "schema_migrations";

/// How long to wait for the migration lock when nothing else is configured.
pub const DEFAULT_LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(15);

/// The version that stands for "no migration is applied" in the version table and in [`Migrator::force`].
pub const NO_VERSION: i64 = -1;

/// What the version table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The number of the migration the database is at; [`NO_VERSION`] only together with `dirty`.
    pub version: i64,
    /// Whether a migration to this version began and did not end.
    pub dirty: bool,
}

/// The name of the version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The schema; `None` is the connection's current one.
    pub schema: Option<String>,
    /// The table, without quotes.
    pub name: String,
}

impl Default for TableName {
    fn default() -> Self {
        DEFAULT_TABLE.into()
    }
}

impl From<&str> for TableName {
    /// A name in the current schema. A dot is a part of the name, as it is for golang-migrate.
    fn from(name: &str) -> Self {
        Self {
            schema: None,
            name: name.to_owned(),
        }
    }
}
