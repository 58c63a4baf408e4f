//! The embedded default: a private PostgreSQL for a service that was given no database.

use std::path::Path;

use super::Error;

/// A private PostgreSQL that ends with the service.
#[cfg(feature = "embedded-postgres")]
pub struct Embedded(embedded_postgres::Postgres);

/// Where it is in a data directory.
#[cfg(feature = "embedded-postgres")]
const FOLDER: &str = "postgres";

/// The database that is there from the start.
#[cfg(feature = "embedded-postgres")]
const DATABASE: &str = "postgres";

/// Stands for the embedded PostgreSQL in a build without it.
#[cfg(not(feature = "embedded-postgres"))]
pub struct Embedded(std::convert::Infallible);

#[cfg(feature = "embedded-postgres")]
impl Embedded {
    /// Starts it in a data directory.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(data_dir: &Path) -> Result<Self, Error> {
        let options = embedded_postgres::Options::new(data_dir.join(FOLDER));
        embedded_postgres::Postgres::start(&options).map(Self).map_err(|error| {
            format!("the embedded PostgreSQL can't be started: {error}\nSet DATABASE_URL to use a server of your own.").into()
        })
    }

    /// URL of its database.
    pub fn url(&self) -> String {
        self.0.url(DATABASE)
    }

    /// URL of the database of a service that runs on a data directory, where one does.
    pub fn url_of_running(data_dir: &Path) -> Option<String> {
        embedded_postgres::Postgres::url_of_running(&data_dir.join(FOLDER), DATABASE)
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        let origin = if self.0.bundled() {
            "bundled"
        } else {
            "installed"
        };
        format!("PostgreSQL {} ({origin})", self.0.version())
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(self) -> Result<(), Error> {
        Ok(self.0.stop()?)
    }
}

#[cfg(not(feature = "embedded-postgres"))]
impl Embedded {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub fn start(_: &Path) -> Result<Self, Error> {
        Err("data.database.source (DATABASE_URL) is not set, and this build has no embedded PostgreSQL".into())
    }

    /// URL of its database.
    pub fn url(&self) -> String {
        match self.0 {}
    }

    /// None.
    pub fn url_of_running(_: &Path) -> Option<String> {
        None
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self.0 {}
    }

    /// Stops it.
    ///
    /// # Errors
    /// Never.
    pub fn stop(self) -> Result<(), Error> {
        match self.0 {}
    }
}
