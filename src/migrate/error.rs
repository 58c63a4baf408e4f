//! Why a migration did not run. Every message is one line, and none holds a connection string.

use std::path::PathBuf;

/// An error of the migration tool. Where golang-migrate has the same error, the text is the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database URL cannot be used.
    #[error("invalid database URL: {0}")]
    Url(String),
    /// No connection could be made.
    #[error("cannot connect to the database: {0}")]
    Connect(String),
    /// `search_path` names no schema that exists.
    #[error("no schema")]
    NoSchema,
    /// The database refused one of the tool's own statements.
    #[error("{action}: {cause}")]
    Database {
        /// What was being done.
        action: &'static str,
        /// What the database said.
        cause: String,
    },
    /// The lock was held by somebody else for the whole lock timeout.
    #[error("timeout: can't acquire database lock")]
    LockTimeout,
    /// An earlier migration to this version began and did not end.
    #[error("Dirty database version {0}. Fix and force version.")]
    Dirty(i64),
    /// `force` was given a version below −1.
    #[error("version must be >= -1")]
    InvalidVersion,
    /// The database is at a version the files do not have.
    #[error("no migration found for version {0}: file does not exist")]
    MissingVersion(i64),
    /// There is nothing to migrate with.
    #[error("no migration files in {0}: file does not exist")]
    NoFiles(String),
    /// Two files have the same version and direction.
    #[error("duplicate migration file: {0}")]
    Duplicate(String),
    /// The version does not fit the table's BIGINT.
    #[error("the version of migration file {0} is too large")]
    VersionTooLarge(String),
    /// A folder or file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The SQL of a migration failed. The version it was going to is dirty now.
    #[error("migration failed in {file}: {cause}")]
    Migration {
        /// The name of the migration file.
        file: String,
        /// What the database said, with the line where it is known.
        cause: String,
    },
    /// A stop was requested while there was still something to do.
    #[error("stopped before all migrations were run")]
    Stopped,
}

impl Error {
    /// An error of one of the tool's own statements.
    pub(super) fn database(action: &'static str, error: &sqlx::Error) -> Self {
        Self::Database {
            action,
            cause: describe(error),
        }
    }
}

/// The error as one line, with its SQLSTATE when it has one.
pub(super) fn describe(error: &sqlx::Error) -> String {
    let Some(database) = error.as_database_error() else {
        return one_line(&error.to_string());
    };
    let mut text = database.message().to_owned();
    if let Some(detail) = database
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .and_then(|e| e.detail())
    {
        text.push_str(", ");
        text.push_str(detail);
    }
    if let Some(code) = database.code() {
        text.push_str(" (SQLSTATE ");
        text.push_str(&code);
        text.push(')');
    }
    one_line(&text)
}

/// The text without line breaks, so that one failure is one line of a log.
pub(super) fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
