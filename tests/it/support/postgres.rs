//! One real PostgreSQL server per test process, and a database of its own for each test.
//!
//! The server comes from the system's packages (the oldest release supported); with
//! `CATALOG_TEST_POSTGRES=bundled` it is the one the service embeds. It is started by the first test that asks, on
//! a private socket, and ends with the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use embedded_postgres::{Binaries, Error, Options, Postgres};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

/// Lives as long as the process. `None`: there is no PostgreSQL on this machine.
static SERVER: OnceLock<Option<Shared>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

struct Shared {
    server: Postgres,
    /// Removes the directory when this process has ended; its standard input is a pipe from us.
    _janitor: Child,
}

/// An empty database, dropped with this value when that can be done.
pub struct Database {
    /// Its address, for sqlx.
    pub url: String,
    name: String,
}

/// Makes an empty database with a name that no other test has; `None`, with a line that says so, where there is no
/// PostgreSQL. On a build server that is a failure.
pub async fn database() -> Option<Database> {
    // Blocks for a second; the first test only.
    let shared = tokio::task::spawn_blocking(|| SERVER.get_or_init(start).as_ref())
        .await
        .expect("the server starts");
    let Some(shared) = shared else {
        println!("skipped: no PostgreSQL is installed");
        assert!(
            std::env::var_os("CI").is_none(),
            "no PostgreSQL is installed, and nothing may be skipped here"
        );
        return None;
    };
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(
        &shared.server.url("postgres"),
        format!("CREATE DATABASE {name}"),
    )
    .await
    .expect("a new database");
    Some(Database {
        url: shared.server.url(&name),
        name,
    })
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(Some(shared)) = SERVER.get() else {
            return;
        };
        let url = shared.server.url("postgres");
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A thread, as the test's own runtime may be ending. Best effort: the whole server goes away soon.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(execute(&url, statement)).ok()
        });
        let _ = dropping.join();
    }
}

async fn execute(url: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    // Only names made here.
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

fn start() -> Option<Shared> {
    let binaries = match std::env::var("CATALOG_TEST_POSTGRES").as_deref() {
        Ok("bundled") => Binaries::Bundled,
        Ok(other) if other != "installed" => {
            panic!("CATALOG_TEST_POSTGRES={other}: allowed are bundled and installed")
        }
        _ => Binaries::Installed(None),
    };
    let directory = tempfile::Builder::new()
        .prefix("catalog-test-")
        .tempdir()
        .expect("a directory")
        .keep();
    let janitor = janitor(&directory).expect("a shell to clean up");
    match Postgres::start(&Options {
        binaries,
        ..Options::new(&directory)
    }) {
        Ok(server) => Some(Shared {
            server,
            _janitor: janitor,
        }),
        // The janitor's pipe closes here, and the directory goes.
        Err(Error::NotInstalled { .. } | Error::NotBundled) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Starts a shell that waits for the end of this process, however it comes (nothing of a static is dropped at exit,
/// and after a kill nothing of ours runs at all), then for that of the server, and removes the directory.
fn janitor(directory: &Path) -> io::Result<Child> {
    const SCRIPT: &str = r#"
        read -r _
        n=0
        while [ -e "$1/pgdata/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
        rm -rf -- "$1"
    "#;
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of a Ctrl-C on the terminal.
        .process_group(0)
        .spawn()
}

#[tokio::test]
async fn every_test_has_a_database_of_its_own() {
    let (Some(one), Some(two)) = (database().await, database().await) else {
        return;
    };
    assert_ne!(one.url, two.url);
    execute(&one.url, "CREATE TABLE only_here ()".to_owned())
        .await
        .expect("made");
    execute(&two.url, "CREATE TABLE only_here ()".to_owned())
        .await
        .expect("made, as it is another database");
    let url = one.url.clone();
    drop(one);
    assert!(
        PgConnection::connect(&url).await.is_err(),
        "the database is still there"
    );
}
