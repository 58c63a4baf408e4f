//! A PostgreSQL for this test run: one private server, a fresh database for every test.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use catalog_service::migrate::DatabaseUrl;
use embedded_postgres::{Binaries, Options, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

/// Begins the names of the folders that test runs keep their servers in; the id of the process follows.
const PREFIX: &str = "catalog-test-";

/// The server of this process. It ends with the process, also when that is killed; its folder is removed by the next
/// run.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    remove_stale_folders();
    let binaries = match std::env::var("CATALOG_TEST_POSTGRES").as_deref() {
        Ok("bundled") => Binaries::Bundled,
        _ => Binaries::Installed(None),
    };
    let folder = folder(std::process::id());
    let mut options = Options::new(&folder);
    options.binaries = binaries;
    options.max_connections = 200;
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

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> PgConnection {
    DatabaseUrl::parse(url)
        .expect("a URL")
        .connect_options()
        .connect()
        .await
        .expect("a connection")
}

fn folder(process: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{process}"))
}

/// Removes what runs that were killed left behind.
fn remove_stale_folders() {
    for entry in std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|id| id.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
