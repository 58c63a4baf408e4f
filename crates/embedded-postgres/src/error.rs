//! What can go wrong between "start" and a server that answers.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no server. Every message is meant for the person who started the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program keeps a server on the same data directory.
    #[error("the data directory {} is in use by another running service; stop it, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// This build holds no PostgreSQL, though [`Binaries::Bundled`](crate::Binaries::Bundled) was asked for.
    #[error(
        "this build has no PostgreSQL in it (there is one for x86_64-unknown-linux-gnu with the feature `bundled`)"
    )]
    NotBundled,
    /// No `postgres` with its `initdb` was found.
    #[error(
        "no PostgreSQL found (looked for the programs `postgres` and `initdb` in {looked_in}); install PostgreSQL 15 or newer"
    )]
    NotInstalled {
        /// The searched places, for the message.
        looked_in: String,
    },
    /// The PostgreSQL at hand is older than the oldest one supported.
    #[error("the PostgreSQL in {} has version {version}; 15 or newer is needed", directory.display())]
    TooOld {
        /// Where its programs are.
        directory: PathBuf,
        /// Its version.
        version: String,
    },
    /// The data directory belongs to another major version, and PostgreSQL cannot read it.
    #[error(
        "the data in {} was made by PostgreSQL {found}, but this is PostgreSQL {running}; \
         run PostgreSQL {found}, or move the directory away to start afresh",
        directory.display()
    )]
    VersionMismatch {
        /// The directory with the data.
        directory: PathBuf,
        /// The major version that made it.
        found: String,
        /// The version of the programs at hand.
        running: String,
    },
    /// The data directory holds something, but not a PostgreSQL cluster.
    #[error("{} is not empty and holds no PostgreSQL data; move it away", .0.display())]
    NotACluster(PathBuf),
    /// PostgreSQL refuses to run as root, and the account used instead cannot get at a directory.
    #[error(
        "an installed PostgreSQL does not run as root, so it runs as `{account}`, which may not enter {}; \
         choose another place for {needed_for}, or do not run as root",
        directory.display()
    )]
    Untraversable {
        /// The account the server would run as.
        account: String,
        /// The first directory on the way that is closed to it.
        directory: PathBuf,
        /// What lies behind it.
        needed_for: &'static str,
    },
    /// The data belongs to another user, and this process is not root and cannot change that.
    #[error("{} belongs to the user with the id {owner}, and PostgreSQL only runs as the owner of its data", directory.display())]
    WrongOwner {
        /// The directory with the data.
        directory: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// No directory for the socket has a path short enough for a Unix socket.
    #[error("no place for the server's socket: every candidate is unusable ({0})")]
    NoSocketDirectory(String),
    /// `initdb` failed.
    #[error("PostgreSQL could not set up its data directory ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: String,
        /// What it printed last.
        output: String,
    },
    /// The server ended, or was not ready in time.
    #[error("PostgreSQL did not start ({reason}); the end of {} says:\n{tail}", log.display())]
    Start {
        /// How it ended.
        reason: String,
        /// The server's log.
        log: PathBuf,
        /// The last lines of this start in it.
        tail: String,
    },
    /// The server had to be killed, or ended with an error.
    #[error("PostgreSQL did not stop cleanly: {0}")]
    Stop(String),
    /// A file or a program could not be used.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The platform has no Unix sockets to serve on.
    #[error("an embedded PostgreSQL needs a Unix system")]
    Unsupported,
}

impl Error {
    /// An adapter for `map_err`: what was tried, and on which file.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
