//! The configured database, for commands that work on it beside a running service.

use sqlx::PgPool;

use crate::app::{BadConfiguration, Embedded, Error};
use crate::config::Config;
use crate::migrate::{self, Source, TableName};
use crate::store::postgres::{PoolSettings, connect, pool};

/// A pool of one connection, to a database that answers and has all tables: the one that is configured, or that of the
/// service that runs on the data directory.
pub(super) async fn open(config: &Config) -> Result<PgPool, Error> {
    let configured = config.data.database.source.as_ref();
    let url = configured
        .map(|url| url.expose().to_owned())
        .or_else(|| Embedded::url_of_running(&config.data_dir))
        .ok_or_else(|| {
            BadConfiguration(
                "data.database.source (DATABASE_URL) is not set, and no service runs on data_dir \
                 (CATALOG_DATA_DIR): one of them says which database is meant"
                    .to_owned(),
            )
        })?;
    let database = &config.data.database;
    let settings = PoolSettings {
        max_connections: 1,
        acquire_timeout: database.timeout,
        statement_timeout: database.timeout,
    };
    let pool = pool(&url, &settings)
        .map_err(|_| "data.database.source (DATABASE_URL) is not a URL of a PostgreSQL database")?;
    // Not by the pool, which tries again and again, and in the end only says that it has none.
    let connected = connect(&pool, database.timeout).await;
    let mut connection =
        connected.map_err(|error| format!("the database does not answer: {error}"))?;
    let table = TableName::from(config.migration.table.as_str());
    let status = migrate::status(&mut connection, &Source::embedded(), &table).await?;
    if !status.pending.is_empty() {
        let pending = status.pending.join(", ");
        return Err(format!("the database lacks migrations: {pending}; run `migrate`").into());
    }
    Ok(pool)
}
