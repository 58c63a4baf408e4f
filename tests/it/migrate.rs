//! Migrations against a real PostgreSQL: the repository's files, the flow of versions, and the `migrate` binary.

mod binary;
mod golang;

use std::{fs, time::Duration};

use crate::support::postgres::{connect, database};
use catalog_service::migrate::{Error, Migrator, Options, Source, TableName, Version, status};
use tempfile::TempDir;

/// A folder of migrations.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, body) in files {
        fs::write(folder.path().join(name), body).unwrap();
    }
    folder
}

async fn migrator(url: &str, source: Source) -> Migrator {
    let options = Options {
        lock_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    Migrator::connect(url, source, options).await.unwrap()
}

async fn in_folder(url: &str, folder: &TempDir) -> Migrator {
    migrator(url, Source::directory(folder.path()).unwrap()).await
}

fn clean(version: i64) -> Option<Version> {
    Some(Version {
        version,
        dirty: false,
    })
}

/// Every row of the version table.
async fn rows(url: &str) -> Vec<(i64, bool)> {
    sqlx::query_as("SELECT version, dirty FROM schema_migrations")
        .fetch_all(&mut connect(url).await)
        .await
        .unwrap()
}

async fn scalar<T>(url: &str, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(sql)
        .fetch_one(&mut connect(url).await)
        .await
        .unwrap()
}

/// All that defines the schema, as text: columns, constraints, indexes, comments.
async fn schema(url: &str) -> Vec<String> {
    let sql = "
        SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
               || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-') || ' ' || coalesce(col_description(c.oid, a.attnum), '-')
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || ' ' || coalesce(obj_description(indexrelid), '-')
          FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'table ' || relname || ' ' || relkind::text || ' ' || coalesce(obj_description(oid), '-')
          FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'type ' || oid::regtype FROM pg_type WHERE typnamespace = 'public'::regnamespace
        ORDER BY 1";
    sqlx::query_scalar(sql)
        .fetch_all(&mut connect(url).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_migration_can_be_rolled_back_and_repeated() {
    let url = database().await.url;
    let mut migrator = migrator(&url, Source::embedded()).await;
    let versions: Vec<i64> = Source::embedded().versions().collect();
    assert_eq!(migrator.version().await.unwrap(), None);

    migrator.force(-1).await.unwrap();
    let mut before = schema(&url).await;
    for version in versions {
        assert_eq!(migrator.up(Some(1)).await.unwrap().steps.len(), 1);
        assert_eq!(migrator.version().await.unwrap(), clean(version));
        let after = schema(&url).await;
        assert_ne!(before, after);
        migrator.down(Some(1)).await.unwrap();
        assert_eq!(schema(&url).await, before, "down of {version}");
        migrator.up(Some(1)).await.unwrap();
        assert_eq!(schema(&url).await, after, "up of {version} again");
        before = after;
    }
    assert!(migrator.up(None).await.unwrap().steps.is_empty());
    let all = migrator.down(None).await.unwrap();
    assert_eq!(all.steps.last().unwrap().target, -1);
    assert_eq!(rows(&url).await, []);
    assert_eq!(
        migrator.up(None).await.unwrap().steps.len(),
        all.steps.len()
    );
    assert_eq!(schema(&url).await, before);
}

#[tokio::test]
async fn a_failed_step_leaves_its_target_dirty() {
    let url = database().await.url;
    let folder = folder(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("1_a.down.sql", "DROP TABLE missing;"),
        (
            "2_b.up.sql",
            "BEGIN;\nCREATE TABLE b ();\nSELECT nonsense;\nCOMMIT;",
        ),
    ]);
    let mut migrator = in_folder(&url, &folder).await;
    let error = migrator.up(None).await.unwrap_err().to_string();
    assert!(
        error.starts_with("migration failed in 2_b.up.sql: line 3: column \"nonsense\""),
        "{error}"
    );
    assert_eq!(rows(&url).await, [(2, true)]);
    assert!(scalar::<bool>(&url, "SELECT to_regclass('b') IS NULL").await);
    for result in [migrator.up(None).await, migrator.down(None).await] {
        assert_eq!(
            result.unwrap_err().to_string(),
            "Dirty database version 2. Fix and force version."
        );
    }
    assert_eq!(
        migrator.version().await.unwrap(),
        Some(Version {
            version: 2,
            dirty: true
        })
    );

    migrator.force(1).await.unwrap();
    assert_eq!(rows(&url).await, [(1, false)]);
    assert!(matches!(
        migrator.down(Some(1)).await,
        Err(Error::Migration { .. })
    ));
    assert_eq!(
        rows(&url).await,
        [(-1, true)],
        "at the bottom the dirty version is -1"
    );
    assert!(matches!(migrator.up(None).await, Err(Error::Dirty(-1))));
    assert!(matches!(
        migrator.force(-2).await,
        Err(Error::InvalidVersion)
    ));
    migrator.force(-1).await.unwrap();
    assert_eq!(rows(&url).await, []);
    assert_eq!(
        scalar::<i64>(
            &url,
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
              WHERE locktype = 'advisory' AND datname = current_database()"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn only_versions_above_the_current_one_run() {
    let url = database().await.url;
    let folder = folder(&[
        ("2_b.up.sql", "CREATE TABLE b ();"),
        ("5_e.up.sql", "CREATE TABLE e ();"),
    ]);
    in_folder(&url, &folder).await.up(None).await.unwrap();

    fs::write(folder.path().join("3_c.up.sql"), "CREATE TABLE c ();").unwrap();
    assert!(
        in_folder(&url, &folder)
            .await
            .up(None)
            .await
            .unwrap()
            .steps
            .is_empty()
    );
    assert!(scalar::<bool>(&url, "SELECT to_regclass('c') IS NULL").await);

    fs::remove_file(folder.path().join("5_e.up.sql")).unwrap();
    let mut missing = in_folder(&url, &folder).await;
    let expected = "no migration found for version 5: file does not exist";
    assert_eq!(missing.up(None).await.unwrap_err().to_string(), expected);
    assert_eq!(
        missing.down(Some(1)).await.unwrap_err().to_string(),
        expected
    );
    assert_eq!(rows(&url).await, [(5, false)]);
}

#[tokio::test]
async fn two_migrators_do_not_run_at_the_same_time() {
    let url = database().await.url;
    let folder = folder(&[("1_a.up.sql", "CREATE TABLE a (); SELECT pg_sleep(0.3);")]);
    let connect = async || {
        let options = Options {
            lock_timeout: Duration::from_secs(20),
            ..Options::default()
        };
        Migrator::connect(&url, Source::directory(folder.path()).unwrap(), options)
            .await
            .unwrap()
    };
    let (mut one, mut two) = (connect().await, connect().await);
    let (one, two) = tokio::join!(one.up(None), two.up(None));
    assert_eq!(one.unwrap().steps.len() + two.unwrap().steps.len(), 1);
}

#[tokio::test]
async fn the_lock_of_either_way_to_use_golang_migrate_keeps_us_out() {
    let url = database().await.url;
    let mut migrator = migrator(&url, Source::embedded()).await;
    let mut other = connect(&url).await;
    let database = sqlx::query_scalar::<_, String>("SELECT current_database()")
        .fetch_one(&mut other)
        .await
        .unwrap();
    for name in [format!("/{database}"), database] {
        let key = i64::from(
            crc32fast::hash(format!("public\0schema_migrations\0{name}").as_bytes())
                .wrapping_mul(1_486_364_155),
        );
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(key)
            .execute(&mut other)
            .await
            .unwrap();
        assert!(matches!(migrator.up(None).await, Err(Error::LockTimeout)));
        assert!(matches!(migrator.force(1).await, Err(Error::LockTimeout)));
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(key)
            .execute(&mut other)
            .await
            .unwrap();
    }
    assert_eq!(
        migrator.version().await.unwrap(),
        None,
        "nothing was done, and reading the version needs no lock"
    );
    migrator.up(None).await.unwrap();
}

#[tokio::test]
async fn an_index_can_be_created_concurrently_while_another_migrator_waits() {
    let url = database().await.url;
    let folder = folder(&[
        (
            "1_a.up.sql",
            "CREATE TABLE a (x int); SELECT pg_sleep(0.5);",
        ),
        ("2_b.up.sql", "CREATE INDEX CONCURRENTLY a_x ON a (x);"),
    ]);
    let options = Options {
        lock_timeout: Duration::from_secs(20),
        ..Options::default()
    };
    let source = || Source::directory(folder.path()).unwrap();
    let mut first = Migrator::connect(&url, source(), options.clone())
        .await
        .unwrap();
    let mut second = Migrator::connect(&url, source(), options).await.unwrap();
    let (first, second) = tokio::time::timeout(Duration::from_secs(15), async {
        tokio::join!(first.up(None), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            second.up(None).await
        })
    })
    .await
    .expect("the waiting migrator must not stall the index");
    assert_eq!(
        (first.unwrap().steps.len(), second.unwrap().steps.len()),
        (2, 0)
    );
    assert!(
        scalar::<bool>(
            &url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_x'::regclass"
        )
        .await
    );
}

#[tokio::test]
async fn the_urls_parameters_count() {
    if std::env::var("CATALOG_TEST_POSTGRES").as_deref() == Ok("bundled") {
        println!("skipped: the bundled PostgreSQL keeps no statement_timeout");
        return;
    }
    let url = database().await.url;
    sqlx::raw_sql("CREATE SCHEMA app")
        .execute(&mut connect(&url).await)
        .await
        .unwrap();
    let folder = folder(&[("1_a.up.sql", "CREATE TABLE a (); SELECT pg_sleep(5);")]);
    let slow = format!("{url}&search_path=app&x-migrations-table=versions&x-statement-timeout=100");
    let error = in_folder(&slow, &folder)
        .await
        .up(None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("statement timeout"), "{error}");
    assert!(scalar::<bool>(&url, "SELECT dirty FROM app.versions WHERE version = 1").await);

    fs::write(
        folder.path().join("1_a.up.sql"),
        "CREATE TABLE a (x int);\nCREATE INDEX CONCURRENTLY i ON a (x);",
    )
    .unwrap();
    assert!(
        in_folder(&url, &folder).await.up(None).await.is_err(),
        "together they are one transaction"
    );
    let mut split = in_folder(&format!("{url}&x-multi-statement=true"), &folder).await;
    split.force(-1).await.unwrap();
    split.up(None).await.unwrap();
}

#[tokio::test]
async fn the_status_changes_nothing() {
    let url = database().await.url;
    let (source, table) = (Source::embedded(), TableName::default());
    let mut connection = connect(&url).await;
    let fresh = status(&mut connection, &source, &table).await.unwrap();
    assert_eq!(
        (fresh.applied, fresh.pending.len()),
        (None, source.versions().count())
    );
    assert!(scalar::<bool>(&url, "SELECT to_regclass('schema_migrations') IS NULL").await);

    let mut migrator = migrator(&url, Source::embedded()).await;
    migrator.up(Some(2)).await.unwrap();
    let behind = status(&mut connection, &source, &table).await.unwrap();
    assert_eq!(
        (behind.applied, behind.pending.len()),
        (clean(2), source.versions().count() - 2)
    );
    assert_eq!(behind.pending[0], "003_create_products_table.up.sql");
    migrator.force(99).await.unwrap();
    let ahead = status(&mut connection, &source, &table).await.unwrap();
    assert_eq!((ahead.unknown_newer, ahead.is_current()), (Some(99), true));
}

#[tokio::test]
async fn a_stop_ends_the_run_between_two_migrations() {
    let url = database().await.url;
    let mut migrator = migrator(&url, Source::embedded()).await;
    let stop = migrator.stop_handle();
    migrator.on_step(move |_| stop.store(true, std::sync::atomic::Ordering::Relaxed));
    assert!(matches!(migrator.up(None).await, Err(Error::Stopped)));
    assert_eq!(rows(&url).await, [(1, false)]);
}
