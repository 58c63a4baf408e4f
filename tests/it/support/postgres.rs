//! A PostgreSQL for this test run: one private server, a fresh database for every test.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use catalog_service::migrate::{DatabaseUrl, Migrator, Options as MigrateOptions, Source};
use catalog_service::store::postgres::{PoolSettings, pool};
use embedded_postgres::{Binaries, Options, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::folder;

/// The server of this process. It ends with the process, also when that is killed.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let binaries = match std::env::var("CATALOG_TEST_POSTGRES").as_deref() {
        Ok("bundled") => Binaries::Bundled,
        _ => Binaries::Installed(None),
    };
    let folder = folder::until_the_end("catalog-test-");
    let options = Options {
        binaries,
        max_connections: 200,
        ..Options::new(&folder)
    };
    Postgres::start(&options).unwrap_or_else(|error| panic!("the tests need a PostgreSQL: {error}"))
});

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own, empty.
#[derive(Clone, Default)]
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Database {
    /// Takes it away from everybody, and ends what is under way.
    pub(crate) async fn shut(&self) {
        self.allow_connections(false).await;
    }

    /// Gives it back.
    pub(crate) async fn open(&self) {
        self.allow_connections(true).await;
    }

    async fn allow_connections(&self, allowed: bool) {
        let admin = SERVER.url("postgres");
        let name = &self.name;
        let sql = format!(
            "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {allowed};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND NOT {allowed}"
        );
        let mut connection = connect(&admin).await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("done");
    }
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
        name,
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
