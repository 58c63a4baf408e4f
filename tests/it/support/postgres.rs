//! A PostgreSQL for this test run: one private server, a fresh database for every test.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use catalog_service::migrate::{DatabaseUrl, Migrator, Options as MigrateOptions, Source};
use catalog_service::store::postgres::{PoolSettings, pool};
use embedded_postgres::{Binaries, Options, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

/// The server of this process. It ends with the process, also when that is killed.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let binaries = match std::env::var("CATALOG_TEST_POSTGRES").as_deref() {
        Ok("bundled") => Binaries::Bundled,
        _ => Binaries::Installed(None),
    };
    let folder = tempfile::Builder::new()
        .prefix("catalog-test-")
        .tempdir()
        .expect("a folder")
        .keep();
    remove_at_the_end(&folder).expect("a shell to clean up");
    let options = Options {
        binaries,
        max_connections: 200,
        ..Options::new(&folder)
    };
    Postgres::start(&options).unwrap_or_else(|error| panic!("the tests need a PostgreSQL: {error}"))
});

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own, empty.
pub(crate) struct Database {
    pub(crate) url: String,
}

/// Makes a database.
pub(crate) async fn database() -> Database {
    // Starting takes a second, which the other tests of this thread need not wait for.
    let admin = tokio::task::spawn_blocking(|| SERVER.url("postgres"))
        .await
        .expect("a server");
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&admin).await;
    let sql = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(sql)
        .execute(&mut connection)
        .await
        .expect("a database");
    connection.close().await.expect("closed");
    Database {
        url: SERVER.url(&name),
    }
}

/// Makes a database with the tables of the service, and a pool for it.
pub(crate) async fn migrated() -> (Database, PgPool) {
    let database = database().await;
    let mut migrator =
        Migrator::connect(&database.url, Source::embedded(), MigrateOptions::default())
            .await
            .expect("a migrator");
    migrator.up(None).await.expect("migrated");
    migrator.close().await;
    let pool = pool(&database.url, &PoolSettings::default()).expect("a pool");
    (database, pool)
}

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> PgConnection {
    DatabaseUrl::parse(url)
        .expect("a URL")
        .connect_options()
        .connect()
        .await
        .expect("a connection")
}

/// Starts a shell that waits for the end of this process, however it comes (nothing of a static is dropped at the end,
/// and after a kill nothing of ours runs at all), then for that of the server, and removes its folder.
fn remove_at_the_end(folder: &Path) -> io::Result<()> {
    const SCRIPT: &str = r#"
        read -r _
        n=0
        while [ -e "$1/pgdata/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
        rm -rf -- "$1"
    "#;
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of a Ctrl-C on the terminal.
        .process_group(0)
        .spawn()?;
    // The pipe closes when this process ends, and not before.
    std::mem::forget(shell.stdin.take());
    Ok(())
}
