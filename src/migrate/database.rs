//! The one connection migrations run on: golang-migrate's locks, its version table, and the execution of a file.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgDatabaseError,
};

use super::{DatabaseUrl, Error, NO_VERSION, TableName, Version, error::describe};

/// How often a held lock is tried again.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// golang-migrate's salt.
const LOCK_SALT: u32 = 1_486_364_155;

/// A connection that is going to migrate.
pub(super) struct Database {
    connection: PgConnection,
    /// The version table, quoted and with its schema: a migration may change `search_path`.
    table: String,
    /// The lock of golang-migrate's command, then the one of its library.
    keys: Vec<i64>,
    held: Vec<i64>,
    lock_timeout: Duration,
    statement_timeout: Option<Duration>,
    multi_statement: bool,
}

impl Database {
    pub(super) async fn connect(
        url: &DatabaseUrl,
        table: &TableName,
        lock_timeout: Duration,
    ) -> Result<Self, Error> {
        let connecting = url.options.connect();
        let connected = match url.connect_timeout {
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| Error::Connect(format!("no answer within {limit:?}")))?,
            None => connecting.await,
        };
        let mut connection = connected.map_err(|error| Error::Connect(describe(&error)))?;
        let (database, schema): (String, Option<String>) =
            sqlx::query_as("SELECT current_database()::text, current_schema()::text")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| Error::database("reading the current schema", &error))?;
        let schema = table.schema.clone().or(schema).ok_or(Error::NoSchema)?;
        Ok(Self {
            connection,
            table: quote(&schema, &table.name),
            keys: lock_keys(&url.path, &database, &schema, &table.name),
            held: Vec::new(),
            lock_timeout,
            statement_timeout: url.statement_timeout,
            multi_statement: url.multi_statement,
        })
    }

    /// Takes the locks, or gives up at the lock timeout or when a stop is asked for.
    ///
    /// They are polled, not waited for: a session that waits in `pg_advisory_lock` holds a snapshot, and a
    /// `CREATE INDEX CONCURRENTLY` run by the holder of the lock would wait for that snapshot for ever.
    pub(super) async fn lock(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        let started = tokio::time::Instant::now();
        for key in self.keys.clone() {
            loop {
                let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                    .bind(key)
                    .fetch_one(&mut self.connection)
                    .await
                    .map_err(|error| Error::database("taking the migration lock", &error))?;
                if taken {
                    self.held.push(key);
                    break;
                }
                let left = self.lock_timeout.saturating_sub(started.elapsed());
                let stopped = stop.load(Ordering::Relaxed);
                if stopped || left.is_zero() {
                    self.unlock().await;
                    return Err(if stopped {
                        Error::Stopped
                    } else {
                        Error::LockTimeout
                    });
                }
                tokio::time::sleep(LOCK_POLL.min(left)).await;
            }
        }
        Ok(())
    }

    /// Gives up the locks, the last one first. A failure is of no consequence: the locks end with the connection.
    pub(super) async fn unlock(&mut self) {
        // A failed migration that had its own BEGIN leaves an aborted transaction, in which nothing can be called.
        if sqlx::raw_sql("SELECT 1")
            .execute(&mut self.connection)
            .await
            .is_err()
        {
            let _ = sqlx::raw_sql("ROLLBACK")
                .execute(&mut self.connection)
                .await;
        }
        while let Some(key) = self.held.pop() {
            let _ = sqlx::query("SELECT pg_advisory_unlock($1)")
                .bind(key)
                .execute(&mut self.connection)
                .await;
        }
    }

    /// Creates the version table when it is missing. To be called under the lock.
    pub(super) async fn ensure_table(&mut self) -> Result<(), Error> {
        // Looked up first, so that a role without CREATE can work with a table that is there.
        if self.table_exists().await? {
            return Ok(());
        }
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (version bigint not null primary key, dirty boolean not null)",
            self.table
        );
        self.execute("creating the version table", sql).await
    }

    async fn table_exists(&mut self) -> Result<bool, Error> {
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&self.table)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| Error::database("looking for the version table", &error))
    }

    /// What the version table says; `None` when it is missing or empty.
    pub(super) async fn version(&mut self) -> Result<Option<Version>, Error> {
        if !self.table_exists().await? {
            return Ok(None);
        }
        read_version(&mut self.connection, &self.table).await
    }

    /// Replaces the row of the version table in one transaction. A clean [`NO_VERSION`] is an empty table; a dirty one
    /// is stored, or a failed last `down` would look like an untouched database.
    pub(super) async fn set_version(&mut self, version: i64, dirty: bool) -> Result<(), Error> {
        let table = &self.table;
        let insert = if version > NO_VERSION || dirty {
            format!("INSERT INTO {table} (version, dirty) VALUES ({version}, {dirty}); ")
        } else {
            String::new()
        };
        let sql = format!("BEGIN; TRUNCATE {table}; {insert}COMMIT");
        self.execute("recording the version", sql).await
    }

    /// Runs a migration's text as one simple query, which makes it one implicit transaction unless the text says
    /// otherwise. Never prepared: a prepared statement is a single one, and some statements cannot be prepared.
    pub(super) async fn run(&mut self, file_name: &str, body: &str) -> Result<(), Error> {
        if body.trim().is_empty() {
            return Ok(());
        }
        let restore = match self.statement_timeout {
            Some(limit) => Some(self.limit_statements(limit).await?),
            None => None,
        };
        let statements = if self.multi_statement {
            split_statements(body)
        } else {
            vec![body]
        };
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                .execute(&mut self.connection)
                .await
                .map_err(|error| Error::Migration {
                    file: file_name.to_owned(),
                    cause: describe_at(&error, statement),
                })?;
        }
        match restore {
            Some(before) => self.set_statement_timeout(&before).await,
            None => Ok(()),
        }
    }

    /// Sets the server's own limit on a statement, and returns the one before.
    async fn limit_statements(&mut self, limit: Duration) -> Result<String, Error> {
        let before: String = sqlx::query_scalar("SELECT current_setting('statement_timeout')")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| Error::database("reading the statement timeout", &error))?;
        self.set_statement_timeout(&limit.as_millis().to_string())
            .await?;
        Ok(before)
    }

    async fn set_statement_timeout(&mut self, value: &str) -> Result<(), Error> {
        sqlx::query("SELECT set_config('statement_timeout', $1, false)")
            .bind(value)
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|error| Error::database("setting the statement timeout", &error))
    }

    /// Runs one of the tool's own statements, made of quoted names and numbers only.
    async fn execute(&mut self, action: &'static str, sql: String) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|error| Error::database(action, &error))
    }

    /// Ends the connection, and with it whatever it still holds.
    pub(super) async fn close(self) {
        // Nothing is left to do for a connection that cannot even say goodbye.
        let _ = self.connection.close().await;
    }
}

/// Reads the version table, whose name must be quoted and which must exist.
pub(super) async fn read_version(
    connection: &mut PgConnection,
    table: &str,
) -> Result<Option<Version>, Error> {
    let row: Option<(i64, bool)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT version, dirty FROM {table} LIMIT 1"
    )))
    .persistent(false)
    .fetch_optional(connection)
    .await
    .map_err(|error| Error::database("reading the version table", &error))?;
    Ok(row.map(|(version, dirty)| Version { version, dirty }))
}

/// A schema-qualified name as SQL.
pub(super) fn quote(schema: &str, name: &str) -> String {
    format!(
        "\"{}\".\"{}\"",
        schema.replace('"', "\"\""),
        name.replace('"', "\"\"")
    )
}

/// The keys to lock, in this order. golang-migrate's command makes the key from the URL's path with its slash, its
/// library from the name of the database; whoever holds one of them keeps us out, and we keep both out.
fn lock_keys(path: &str, database: &str, schema: &str, table: &str) -> Vec<i64> {
    let mut keys = Vec::new();
    for name in [path, &format!("/{database}"), database] {
        let key = lock_key(name, &[schema, table]);
        if !name.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The advisory lock key: CRC-32 of the additional names and then the database, joined by NUL, times the salt.
fn lock_key(database: &str, additional: &[&str]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for name in additional {
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
    }
    hasher.update(database.as_bytes());
    hasher.finalize().wrapping_mul(LOCK_SALT).into()
}

/// The pieces between semicolons, for `x-multi-statement`. Like golang-migrate's, it does not know strings or comments.
fn split_statements(body: &str) -> Vec<&str> {
    body.split_inclusive(';')
        .filter(|part| !part.trim().is_empty())
        .collect()
}

/// The error as one line, with the line of the text it is about.
fn describe_at(error: &sqlx::Error, sql: &str) -> String {
    let position = error
        .as_database_error()
        .and_then(|database| database.try_downcast_ref::<PgDatabaseError>())
        .and_then(PgDatabaseError::position);
    match position {
        Some(sqlx::postgres::PgErrorPosition::Original(at)) => {
            let line = 1 + sql
                .chars()
                .take(at.saturating_sub(1))
                .filter(|c| *c == '\n')
                .count();
            format!("line {line}: {}", describe(error))
        }
        _ => describe(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_keys_are_golang_migrates() {
        assert_eq!(
            lock_key("/catalog", &["public", "schema_migrations"]),
            858_236_035
        );
        assert_eq!(
            lock_key("catalog", &["public", "schema_migrations"]),
            3_254_345_200
        );
        assert_eq!(lock_key("database_name", &[]), 1_764_327_054);
        assert_eq!(lock_key("database_name", &["schema_name_1"]), 2_453_313_553);
    }

    #[test]
    fn both_locks_are_taken_the_commands_first() {
        let keys = |path| lock_keys(path, "catalog", "public", "schema_migrations");
        assert_eq!(keys("/catalog"), [858_236_035, 3_254_345_200]);
        assert_eq!(
            keys(""),
            [858_236_035, 3_254_345_200],
            "the command without a path locks with the bare name"
        );
        assert_eq!(keys("/other").len(), 3);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(
            quote("public", "schema_migrations"),
            r#""public"."schema_migrations""#
        );
        assert_eq!(quote("a\"b", "c.d"), r#""a""b"."c.d""#);
    }

    #[test]
    fn statements_are_split_at_semicolons() {
        assert_eq!(split_statements("a;\nb;\n"), ["a;", "\nb;"]);
        assert_eq!(split_statements("a"), ["a"]);
    }
}
