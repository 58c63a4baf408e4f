//! The same interface on systems where a server cannot be started this way.

use std::convert::Infallible;
use std::path::Path;

use crate::{Error, Options};

/// A running server: never one on this system.
#[derive(Debug)]
pub struct Postgres(Infallible);

impl Postgres {
    /// Fails with [`Error::Unsupported`].
    pub fn start(_options: &Options) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    /// None: no server can run.
    pub fn url_of_running(_data_dir: &Path, _database: &str) -> Option<String> {
        None
    }

    /// The address of `database`.
    pub fn url(&self, _database: &str) -> String {
        match self.0 {}
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        match self.0 {}
    }

    /// Whether the server's programs came with this build.
    pub fn bundled(&self) -> bool {
        match self.0 {}
    }

    /// The id of the server's process.
    pub fn pid(&self) -> u32 {
        match self.0 {}
    }

    /// Stops the server.
    pub fn stop(self) -> Result<(), Error> {
        match self.0 {}
    }
}
