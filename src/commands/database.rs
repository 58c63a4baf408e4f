//! The configured database, for commands that work on it beside a running service.

use sqlx::PgPool;

use crate::app::{BadConfiguration, Error};
use crate::config::Config;
use crate::migrate::{self, Source, TableName};
use crate::store::postgres::{PoolSettings, pool};

/// A pool of one connection, to a database that answers and has all tables.
pub(super) async fn open(config: &Config) -> Result<PgPool, Error> {
    let Some(url) = &config.data.database.source else {
        let text =
            "data.database.source (DATABASE_URL) is not set: it says which database is meant";
        return Err(BadConfiguration(text.to_owned()).into());
    };
    let database = &config.data.database;
    let settings = PoolSettings {
        max_connections: 1,
        acquire_timeout: database.timeout,
        statement_timeout: database.timeout,
    };
    let pool = pool(url.expose(), &settings)
        .map_err(|_| "data.database.source (DATABASE_URL) is not a URL of a PostgreSQL database")?;
    let connected = pool.acquire().await;
    let mut connection =
        connected.map_err(|error| format!("the database does not answer: {error}"))?;
    let table = TableName::from(config.migration.table.as_str());
    let status = migrate::status(&mut connection, &Source::embedded(), &table).await?;
    if !status.pending.is_empty() {
        let pending = status.pending.join(", ");
        return Err(format!("the database lacks migrations: {pending}; run `migrate`").into());
    }
    drop(connection);
    Ok(pool)
}
