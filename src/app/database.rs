//! The database: its connections, its tables at the start, and whether it is there.

use std::time::Duration;

use sqlx::PgPool;

use super::Error;
use crate::config::Config;
use crate::lifecycle::{Readiness, State};
use crate::migrate::{self, Migrator, Source, TableName};
use crate::store::postgres::{self, PoolSettings};

/// How often the state of the database is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Connections to the database, which need not be there yet.
pub(super) fn pool(config: &Config, url: &str) -> Result<PgPool, Error> {
    let database = &config.data.database;
    let settings = PoolSettings {
        max_connections: database.max_connections,
        acquire_timeout: database.timeout,
        statement_timeout: database.timeout,
    };
    postgres::pool(url, &settings).map_err(|_| {
        "data.database.source (DATABASE_URL) is not a URL of a PostgreSQL database".into()
    })
}

/// Brings the tables up to date with the migrations that are built in.
pub(super) async fn migrate_up(
    url: &str,
    table: &TableName,
    lock_timeout: Duration,
) -> Result<(), Error> {
    let options = migrate::Options {
        table: Some(table.clone()),
        lock_timeout,
    };
    let mut migrator = Migrator::connect(url, Source::embedded(), options).await?;
    migrator.on_step(|step| tracing::info!(migration = %step, "migrated"));
    let result = migrator.up(None).await;
    migrator.close().await;
    result.map(|_| ()).map_err(Into::into)
}

/// Looks at the database from time to time, so that the service comes back when the database does.
pub(super) async fn watch(pool: PgPool, table: TableName, readiness: Readiness) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        check(&pool, &table, &readiness).await;
    }
}

pub(super) async fn check(pool: &PgPool, table: &TableName, readiness: &Readiness) {
    let look = async {
        let mut connection = pool.acquire().await.map_err(|error| error.to_string())?;
        migrate::status(&mut connection, &Source::embedded(), table)
            .await
            .map_err(|error| error.to_string())
    };
    let (state, newer) = match tokio::time::timeout(CHECK_INTERVAL, look).await {
        Ok(Ok(status)) if status.dirty => (
            State::DirtyMigration(status.applied.map_or(-1, |applied| applied.version)),
            None,
        ),
        Ok(Ok(status)) if !status.pending.is_empty() => {
            (State::PendingMigrations(status.pending), None)
        }
        Ok(Ok(status)) => (State::Ready, status.unknown_newer),
        Ok(Err(error)) => {
            tracing::debug!(error, "the database does not answer");
            (State::DatabaseDown, None)
        }
        Err(_) => (State::DatabaseDown, None),
    };
    if readiness.set(state.clone()) {
        match (&state, newer) {
            (State::Ready, Some(version)) => {
                tracing::warn!(
                    version,
                    "the database is migrated further than this version of the service knows"
                );
            }
            (State::Ready, None) => tracing::info!("ready"),
            _ => tracing::warn!(reason = state.describe(), "not ready"),
        }
    }
}
