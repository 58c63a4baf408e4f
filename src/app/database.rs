//! The database: its connections, its tables at the start, and whether it is there.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::error::Elapsed;

use super::Error;
use crate::config::Config;
use crate::lifecycle::{Readiness, State};
use crate::migrate::{self, Migrator, Source, TableName};
use crate::store::postgres::{self, PoolSettings};
use crate::telemetry::metrics::MigrationMetrics;

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
    metrics: &MigrationMetrics,
) -> Result<(), Error> {
    let options = migrate::Options {
        table: Some(table.clone()),
        lock_timeout,
    };
    let mut migrator = Migrator::connect(url, Source::embedded(), options).await?;
    let counted = metrics.clone();
    migrator.on_step(move |step| {
        tracing::info!(migration = %step, "migrated");
        counted.ran(step);
    });
    let result = migrator.up(None).await;
    migrator.close().await;
    result.map(|_| ()).map_err(Into::into)
}

/// Looks at the database from time to time, so that the service comes back when the database does.
pub(super) struct Watch {
    pub(super) pool: PgPool,
    /// The table that remembers the version.
    pub(super) table: TableName,
    /// Told what was seen.
    pub(super) readiness: Readiness,
    /// Told too.
    pub(super) migrations: MigrationMetrics,
}

impl Watch {
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.check().await;
        }
    }

    pub(super) async fn check(&self) {
        let look = async {
            let mut connection = (self.pool.acquire().await).map_err(|error| error.to_string())?;
            migrate::status(&mut connection, &Source::embedded(), &self.table)
                .await
                .map_err(|error| error.to_string())
        };
        let looked = tokio::time::timeout(CHECK_INTERVAL, look).await;
        let cause = match &looked {
            Ok(Ok(status)) => {
                self.migrations.seen(status);
                None
            }
            Ok(Err(error)) => Some(error.clone()),
            Err(_) => self.cause().await,
        };
        judge(looked, cause.as_deref(), &self.readiness);
    }
}

impl Watch {
    /// Why there is no connection in time: the pool tries again and again and does not tell. Asked once.
    async fn cause(&self) -> Option<String> {
        if self.readiness.state() == State::DatabaseDown {
            return None;
        }
        let connected = postgres::connect(&self.pool, CHECK_INTERVAL).await;
        connected.err().map(|error| error.to_string())
    }
}

/// What was seen, or nothing in time.
type Looked = Result<Result<migrate::Status, String>, Elapsed>;

fn judge(looked: Looked, cause: Option<&str>, readiness: &Readiness) {
    let (state, newer) = match looked {
        Ok(Ok(status)) if status.dirty => (
            State::DirtyMigration(status.applied.map_or(-1, |applied| applied.version)),
            None,
        ),
        Ok(Ok(status)) if !status.pending.is_empty() => {
            (State::PendingMigrations(status.pending), None)
        }
        Ok(Ok(status)) => (State::Ready, status.unknown_newer),
        Ok(Err(_)) | Err(_) => (State::DatabaseDown, None),
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
            _ => tracing::warn!(reason = state.describe(), cause, "not ready"),
        }
    }
}
