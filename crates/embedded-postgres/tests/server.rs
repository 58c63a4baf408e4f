//! Real servers: started, queried, killed and started again.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embedded_postgres::{Binaries, Error, Options, Postgres, bundled_available};
use sqlx::{Connection, PgConnection, Row};

/// Set for the process that is going to be killed: its data directory.
const VICTIM: &str = "EMBEDDED_POSTGRES_TEST_VICTIM";

fn options(data_dir: &Path, binaries: Binaries) -> Options {
    Options {
        binaries,
        ..Options::new(data_dir)
    }
}

/// The variants that can run here. On a build server each one that cannot is an error.
fn variants() -> Vec<Binaries> {
    let mut variants = Vec::new();
    if bundled_available() {
        variants.push(Binaries::Bundled);
    } else {
        skipped("this build has no PostgreSQL in it");
    }
    if installed_available() {
        variants.push(Binaries::Installed(None));
    } else {
        skipped("no PostgreSQL is installed");
    }
    variants
}

fn installed_available() -> bool {
    let directory = tempfile::tempdir().unwrap();
    match Postgres::start(&options(directory.path(), Binaries::Installed(None))) {
        Err(Error::NotInstalled { .. }) => false,
        started => {
            started.unwrap().stop().unwrap();
            true
        }
    }
}

fn skipped(why: &str) {
    println!("skipped: {why}");
    assert!(
        std::env::var_os("CI").is_none(),
        "not to be skipped here: {why}"
    );
}

async fn connect(server: &Postgres) -> PgConnection {
    PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap()
}

async fn text(connection: &mut PgConnection, query: &'static str) -> String {
    sqlx::query(query)
        .fetch_one(connection)
        .await
        .unwrap()
        .get(0)
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended too: in a container nobody may collect it.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

#[tokio::test]
async fn starts_cold_and_warm_and_keeps_its_data() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path(), binaries);

        let cold = Instant::now();
        let server = Postgres::start(&options).unwrap();
        let cold = cold.elapsed();
        let mut connection = connect(&server).await;
        let found = Postgres::url_of_running(directory.path(), "postgres");
        assert_eq!(found.as_deref(), Some(&*server.url("postgres")));
        assert_eq!(text(&mut connection, "SELECT lower('ÄÖ')").await, "äö");
        assert_eq!(text(&mut connection, "SELECT upper('ñ')").await, "Ñ");
        assert!(
            text(
                &mut connection,
                "SELECT to_tsvector('simple', 'Öl-Größe')::text"
            )
            .await
            .contains("öl")
        );
        assert_eq!(text(&mut connection, "SHOW fsync").await, "on");
        assert_eq!(text(&mut connection, "SHOW listen_addresses").await, "");
        assert_eq!(text(&mut connection, "SHOW shared_buffers").await, "64MB");
        assert_eq!(text(&mut connection, "SHOW max_connections").await, "100");
        assert!(
            text(&mut connection, "SHOW server_version")
                .await
                .starts_with(server.version())
        );
        assert_eq!(server.bundled(), options.binaries == Binaries::Bundled);
        sqlx::query("CREATE TABLE kept (id uuid DEFAULT gen_random_uuid(), name text)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("INSERT INTO kept (name) VALUES ($1)")
            .bind("größe")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("CREATE DATABASE \"other db\"")
            .execute(&mut connection)
            .await
            .unwrap();
        let mut other = PgConnection::connect(&server.url("other db"))
            .await
            .unwrap();
        assert_eq!(
            text(&mut other, "SELECT current_database()::text").await,
            "other db"
        );
        let pid = server.pid();
        // With both connections still open: a stop must not wait for them.
        server.stop().unwrap();
        assert!(!is_alive(pid));

        let warm = Instant::now();
        let server = Postgres::start(&options).unwrap();
        let warm = warm.elapsed();
        assert_eq!(
            text(&mut connect(&server).await, "SELECT name FROM kept").await,
            "größe"
        );
        let pid = server.pid();
        println!(
            "{:?} {}: cold {cold:.2?}, warm {warm:.2?}",
            options.binaries,
            server.version()
        );
        drop(server);
        assert!(!is_alive(pid), "a dropped server goes on");
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let server = Postgres::start(&options(directory.path(), binaries)).unwrap();
        let killed = server.pid();
        sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
            .execute(&mut connect(&server).await)
            .await
            .unwrap();
        let kill = Command::new("kill")
            .args(["-KILL", &killed.to_string()])
            .status();
        assert!(kill.unwrap().success());
        let deadline = Instant::now() + Duration::from_mins(1);
        while server.pid() == killed {
            assert!(Instant::now() < deadline, "the server stays away");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(
            text(&mut connect(&server).await, "SELECT n::text FROM kept").await,
            "42"
        );
    }
}

#[test]
fn an_installed_server_does_not_run_as_root() {
    if !installed_available() {
        return skipped("no PostgreSQL is installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Postgres::start(&options(directory.path(), Binaries::Installed(None))).unwrap();
    if let Ok(process) = std::fs::metadata(format!("/proc/{}", server.pid())) {
        assert_ne!(process.uid(), 0);
    }
    server.stop().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_closed_to_the_account_is_named() {
    let directory = tempfile::tempdir().unwrap();
    if directory.path().metadata().unwrap().uid() != 0 || !installed_available() {
        return skipped("only root starts an installed PostgreSQL as another user");
    }
    set_mode(directory.path(), 0o700);
    let below = directory.path().join("data");
    let error = Postgres::start(&options(&below, Binaries::Installed(None))).unwrap_err();
    let Error::Untraversable {
        directory: named, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(named, &directory.path().canonicalize().unwrap());
}

#[test]
fn a_second_start_on_the_same_data_fails_at_once() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path(), binaries);
        let server = Postgres::start(&options).unwrap();
        let begun = Instant::now();
        let error = Postgres::start(&options).unwrap_err();
        assert!(matches!(error, Error::InUse(_)), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        server.stop().unwrap();
    }
}

#[tokio::test]
async fn a_deep_data_directory_and_odd_names_work() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        // Root's installed server runs as another user, who must be able to pass.
        set_mode(directory.path(), 0o755);
        let short = directory.path().join("a, b%20ü&c");
        let deep = directory.path().join("x".repeat(100)).join("y".repeat(100));
        for place in [short, deep] {
            let server = Postgres::start(&options(&place, binaries.clone()))
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                text(&mut connect(&server).await, "SELECT 'here'").await,
                "here"
            );
            server.stop().unwrap();
        }
    }
}

#[test]
fn data_of_another_version_is_refused_by_name() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let pgdata = directory.path().join("pgdata");
        std::fs::create_dir(&pgdata).unwrap();
        std::fs::write(pgdata.join("PG_VERSION"), "11\n").unwrap();
        let error = Postgres::start(&options(directory.path(), binaries)).unwrap_err();
        let Error::VersionMismatch { found, running, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(found, "11");
        assert!(error.to_string().contains(running.as_str()));
    }
}

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let Some(binaries) = variants().pop() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), binaries);
    Postgres::start(&options).unwrap().stop().unwrap();
    std::fs::remove_file(directory.path().join("pgdata/global/pg_control")).unwrap();
    let error = Postgres::start(&options).unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("could not find the database system"),
        "{error}"
    );
}

/// The program that is killed below; in an ordinary run it does nothing.
#[tokio::test]
async fn victim() {
    let Some(data_dir) = std::env::var_os(VICTIM) else {
        return;
    };
    let binaries = match std::env::var("EMBEDDED_POSTGRES_TEST_BINARIES").as_deref() {
        Ok("bundled") => Binaries::Bundled,
        _ => Binaries::Installed(None),
    };
    let options = options(Path::new(&data_dir), binaries);
    // From a thread that ends at once: the server must not end with it.
    let server = std::thread::spawn(move || Postgres::start(&options).unwrap())
        .join()
        .unwrap();
    let mut connection = connect(&server).await;
    sqlx::query("CREATE TABLE IF NOT EXISTS acknowledged (n int)")
        .execute(&mut connection)
        .await
        .unwrap();
    println!("\npid {}", server.pid());
    for n in 0.. {
        sqlx::query("INSERT INTO acknowledged VALUES ($1)")
            .bind(n)
            .execute(&mut connection)
            .await
            .unwrap();
        println!("row {n}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_owner_takes_the_server_along_and_loses_no_acknowledged_row() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let (pid, last) = kill_a_writer(directory.path(), &binaries);

        // At once, while the old server may still be at work.
        let begun = Instant::now();
        let server = Postgres::start(&options(directory.path(), binaries.clone())).unwrap();
        println!(
            "{binaries:?}: again after a kill in {:.2?}",
            begun.elapsed()
        );
        assert!(!is_alive(pid), "the server outlived its owner");
        let mut connection = connect(&server).await;
        let rows: i64 = sqlx::query("SELECT count(*) FROM acknowledged WHERE n <= $1")
            .bind(last)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            .get(0);
        assert_eq!(rows, i64::from(last) + 1);
        server.stop().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_owner_needs_no_new_start_for_the_server_to_end() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let (pid, _) = kill_a_writer(directory.path(), &binaries);
        let begun = Instant::now();
        while is_alive(pid) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the server goes on without its owner"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Kills a process amid its writes. Gives the id of its server and the last row it was told is safe.
fn kill_a_writer(data_dir: &Path, binaries: &Binaries) -> (u32, i32) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, data_dir)
        .env(
            "EMBEDDED_POSTGRES_TEST_BINARIES",
            if *binaries == Binaries::Bundled {
                "bundled"
            } else {
                "installed"
            },
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let pid: u32 = lines
        .by_ref()
        .find_map(|line| line.strip_prefix("pid ")?.parse().ok())
        .expect("a started victim");
    let number = |line: String| line.strip_prefix("row ")?.parse::<i32>().ok();
    let mut last = lines
        .by_ref()
        .filter_map(number)
        .find(|n| *n >= 100)
        .expect("a hundred rows");
    assert!(is_alive(pid));
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it was told before it died counts too.
    last = lines.filter_map(number).last().unwrap_or(last);
    (pid, last)
}

#[cfg(target_os = "linux")]
#[test]
fn a_lock_left_for_a_process_that_is_no_server_does_not_block() {
    for binaries in variants() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path(), binaries);
        Postgres::start(&options).unwrap().stop().unwrap();
        let lock: PathBuf = directory.path().join("pgdata/postmaster.pid");
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        std::fs::write(
            &lock,
            format!("{}\n/nowhere\n1\n5432\n/nowhere\n\n  1  1\n", other.id()),
        )
        .unwrap();
        let begun = Instant::now();
        let started = Postgres::start(&options);
        other.kill().unwrap();
        other.wait().unwrap();
        started.unwrap().stop().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

fn set_mode(directory: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode)).unwrap();
}
