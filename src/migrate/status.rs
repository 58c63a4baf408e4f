//! How a database compares with the migration files, for a readiness check.

use sqlx::PgConnection;

use super::{
    Error, NO_VERSION, Source, TableName, Version,
    database::{quote, read_version},
};

/// How far a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What the version table says; `None` when it is missing or empty.
    pub applied: Option<Version>,
    /// The files that would run, in order.
    pub pending: Vec<String>,
    /// The database's version when it is above every version of the source: a newer release has migrated it.
    pub unknown_newer: Option<i64>,
    /// Whether a migration began and did not end.
    pub dirty: bool,
}

impl Status {
    /// Whether everything the source has is applied.
    pub fn is_current(&self) -> bool {
        !self.dirty && self.pending.is_empty()
    }
}

/// Compares a database with a source. Takes no lock and creates nothing.
pub async fn status(
    connection: &mut PgConnection,
    source: &Source,
    table: &TableName,
) -> Result<Status, Error> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = coalesce($1, current_schema()) AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'f')",
    )
    .bind(&table.schema)
    .bind(&table.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| Error::database("looking for the version table", &error))?;
    let applied = match found {
        Some(schema) => read_version(connection, &quote(&schema, &table.name)).await?,
        None => None,
    };
    Ok(compare(applied, source))
}

fn compare(applied: Option<Version>, source: &Source) -> Status {
    let current = applied.map_or(NO_VERSION, |applied| applied.version);
    let newest = source.versions().next_back().unwrap_or(NO_VERSION);
    Status {
        applied,
        pending: source.pending_after(current),
        unknown_newer: (current > newest).then_some(current),
        dirty: applied.is_some_and(|applied| applied.dirty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions() {
        let source = Source::embedded();
        let newest = source.versions().next_back().unwrap();
        let at = |version, dirty| compare(Some(Version { version, dirty }), &source);

        let untouched = compare(None, &source);
        assert_eq!(untouched.pending.len(), source.versions().count());
        assert_eq!(untouched.pending[0], "001_create_users_table.up.sql");
        assert!(!untouched.is_current());

        assert!(at(newest, false).is_current());
        assert_eq!(at(newest, false).unknown_newer, None);
        assert_eq!(at(newest + 1, false).unknown_newer, Some(newest + 1));
        assert!(at(newest + 1, false).is_current());
        assert_eq!(at(newest - 1, false).pending.len(), 1);
        assert!(!at(newest, true).is_current() && at(newest, true).dirty);
        assert_eq!(at(NO_VERSION, true).pending, untouched.pending);
    }
}
