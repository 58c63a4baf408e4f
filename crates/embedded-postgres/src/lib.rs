//! Starts a private, real PostgreSQL server for development and tests.
//!
//! The server keeps its data in a directory of the caller's, answers on a Unix socket only, syncs every commit to
//! disk, and ends with the process that started it, also when that is killed (on Linux). Its programs come with this
//! crate where a build of them exists for the target, otherwise from the system.
//!
//! ```no_run
//! # fn main() -> Result<(), embedded_postgres::Error> {
//! let server = embedded_postgres::Postgres::start(&embedded_postgres::Options::new(".data"))?;
//! println!("{}", server.url("postgres"));
//! server.stop()
//! # }
//! ```

use std::path::PathBuf;

mod error;
pub use error::Error;

#[cfg(unix)]
mod account;
#[cfg(unix)]
mod bundle;
#[cfg(unix)]
mod cluster;
#[cfg(unix)]
mod owner;
#[cfg(unix)]
mod programs;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod socket;

#[cfg(not(unix))]
#[path = "unsupported.rs"]
mod owner;

pub use owner::Postgres;

/// Which PostgreSQL to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Binaries {
    /// The one in this build when there is one, else an installed one.
    #[default]
    Auto,
    /// The one in this build.
    Bundled,
    /// An installed one: from the named directory (that of its programs, or the one above), or the newest in the
    /// usual places.
    Installed(Option<PathBuf>),
}

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the data, the unpacked programs, the log and the lock. Made when it is missing. One running server each.
    pub data_dir: PathBuf,
    /// Which PostgreSQL to run.
    pub binaries: Binaries,
    /// How many connections the server accepts at a time.
    pub max_connections: u16,
}

impl Options {
    /// [`Binaries::Auto`] and 100 connections, with the data below `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            binaries: Binaries::default(),
            max_connections: 100,
        }
    }
}

/// Whether this build has a PostgreSQL in it.
pub fn bundled_available() -> bool {
    #[cfg(unix)]
    return bundle::AVAILABLE;
    #[cfg(not(unix))]
    return false;
}
