//! The pool of connections to PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

/// How the pool is made.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Most connections open at a time.
    pub max_connections: u32,
    /// Longest wait for a connection.
    pub acquire_timeout: Duration,
    /// Longest run of a statement, to the millisecond; the server stops it then.
    pub statement_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connections: 25,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

/// A pool for the database of `url`. Connects when a connection is first asked for, so it fails
/// only when the URL is wrong; the error may quote the URL and with it a password.
pub fn pool(url: &str, settings: &PoolSettings) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("catalog-service")
        .options([
            (
                "statement_timeout",
                settings.statement_timeout.as_millis().to_string(),
            ),
            ("timezone", "UTC".to_owned()),
            // Each statement is written for an index and any arguments: its plan is made once, and one that was made
            // while a table was small does not go on to read all of it when it is large.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            // Which costs more than it gains here, and the cost of a scan that can't be avoided would call for it.
            ("jit", "off".to_owned()),
        ]);
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout)
        // A round trip before every use; a dead connection shows itself at its first statement.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// A connection that is none of the pool's, or why there is none, at once: a pool tries again and again.
pub async fn connect(pool: &PgPool, wait: Duration) -> Result<PgConnection, sqlx::Error> {
    let options = pool.connect_options();
    let connected = tokio::time::timeout(wait, PgConnection::connect_with(&options)).await;
    connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
