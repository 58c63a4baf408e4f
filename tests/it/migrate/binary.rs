//! The `migrate` binary from end to end: messages, streams and exit codes.

use catalog_service::migrate::Source;
use std::process::Stdio;

use super::folder;
use crate::support::postgres::database;
use crate::support::program;

/// Runs the binary in an empty folder and an empty environment; returns the exit code, stdout and stderr.
fn migrate(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let empty = tempfile::tempdir().unwrap();
    let output = program::migrate()
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(empty.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The versions of the migrations that are built in, the last first. Their numbers may have gaps.
fn versions() -> Vec<i64> {
    let mut versions: Vec<_> = Source::embedded().versions().collect();
    versions.reverse();
    versions
}

fn ok(stdout: &str) -> (i32, String) {
    (0, stdout.to_owned())
}

#[tokio::test]
async fn the_specifications_messages() {
    let url = database().await.url;
    let run = |arguments: &str| {
        let mut all = vec!["-database-url", url.as_str()];
        all.extend(arguments.split_whitespace());
        migrate(&all, &[])
    };
    let out = |arguments: &str| {
        let (code, stdout, _) = run(arguments);
        (code, stdout)
    };
    let failed = |arguments: &str| {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments}");
        stderr
    };
    assert_eq!(
        failed("-command version"),
        "Failed to get migration version: no migration"
    );
    assert_eq!(
        out("-command up -steps 1"),
        ok("Migrations completed successfully")
    );
    assert_eq!(
        out("-command version"),
        ok("Current version: 1, Dirty: false")
    );
    assert_eq!(out("-command up"), ok("Migrations completed successfully"));
    assert_eq!(
        out("--command=up"),
        ok("Migrations completed successfully"),
        "nothing to do is no failure"
    );
    assert_eq!(
        out("-command version"),
        ok(&format!("Current version: {}, Dirty: false", versions()[0]))
    );
    assert_eq!(
        out("-command down"),
        ok("Migrations down completed successfully")
    );
    assert_eq!(
        out("-command version"),
        ok(&format!("Current version: {}, Dirty: false", versions()[1]))
    );
    assert_eq!(
        out("-command force -version 3"),
        ok("Migration forced successfully")
    );
    assert_eq!(
        failed("-command force"),
        "Version is required for force command"
    );
    assert_eq!(
        out("-command force -version 2"),
        ok("Migration forced successfully")
    );
    assert_eq!(
        out("-command down -steps 2"),
        ok("Migrations down completed successfully")
    );
    assert_eq!(
        failed("-command down"),
        "Failed to run migrations down: file does not exist"
    );

    let broken = folder(&[("1_a.up.sql", "SELECT nonsense")]);
    let path = format!("-path {} -command", broken.path().display());
    let message = failed(&format!("{path} up"));
    assert!(
        message.starts_with("Failed to run migrations up: migration failed in 1_a.up.sql: line 1:"),
        "{message}"
    );
    assert_eq!(
        out(&format!("{path} version")),
        ok("Current version: 1, Dirty: true")
    );
    let dirty = "Failed to run migrations up: Dirty database version 1. Fix and force version.";
    assert_eq!(failed(&format!("{path} up")), dirty);
    assert_eq!(
        failed("-command up -path /nowhere/at/all").lines().count(),
        1
    );
}

#[tokio::test]
async fn golang_migrates_messages() {
    let url = database().await.url;
    // All on standard error; the environment works as well as the flag.
    let run = |arguments: &str| {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let (code, stdout, stderr) = migrate(&words, &[("DATABASE_URL", &url)]);
        assert_eq!(stdout, "", "{arguments}");
        (code, stderr)
    };
    let both = |code: i32, stderr: &str| (code, stderr.to_owned());
    assert_eq!(run("version"), both(1, "error: no migration"));
    let (code, lines) = run("up 2");
    assert!(
        code == 0 && lines.starts_with("1/u create_users_table (") && lines.lines().count() == 2,
        "{lines}"
    );
    assert_eq!(run("version"), both(0, "2"));
    assert_eq!(run("up").0, 0);
    assert_eq!(run("up"), both(0, "no change"));
    assert_eq!(run("up 1"), both(1, "error: file does not exist"));
    let (code, lines) = run(&format!("down {}", versions().len() + 1));
    assert!(
        code == 1 && lines.ends_with("\nerror: limit 1 short"),
        "{lines}"
    );
    assert_eq!(run("down -all"), both(0, "no change"));
    assert!(
        run("down").1.ends_with("Not applying all down migrations"),
        "an empty answer is no"
    );
    assert_eq!(run("force 3"), both(0, ""));
    assert_eq!(run("force -- -1"), both(0, ""));
    assert_eq!(run("force -2"), both(1, "error: version must be >= -1"));
    assert_eq!(run("up -nope").0, 2);
}

#[test]
fn what_cannot_work_is_one_line_without_a_password() {
    let (code, _, stderr) = migrate(&["-command", "up"], &[]);
    assert_eq!((code, stderr.as_str()), (1, "Database URL is required"));
    let (code, stdout, _) = migrate(&["-help"], &[]);
    assert!(code == 0 && stdout.starts_with("Usage: migrate"));
    for url in [
        "postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=5",
        "postgres://u:hunter2@/db?host=/nowhere",
        "mysql://u:hunter2@h/db",
        "postgres://u:hunter2@h:x/db",
    ] {
        for command in [
            &["-command", "up", "-database-url", url][..],
            &["-database", url, "up"][..],
        ] {
            let (code, _, stderr) = migrate(command, &[]);
            assert_eq!(code, 1, "{stderr}");
            assert!(
                stderr.lines().count() == 1 && !stderr.contains("hunter2"),
                "{stderr}"
            );
        }
    }
}

#[tokio::test]
async fn a_job_leaves_its_metrics_in_a_file() {
    let url = database().await.url;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("migrate.prom");
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let common = ["-database-url", &url, "-metrics-file", file];
        let (code, _, _) = migrate(&[&common, arguments].concat(), &[]);
        (code, std::fs::read_to_string(file).unwrap())
    };
    let (code, metrics) = run(&["-command", "up", "-steps", "2"]);
    assert_eq!(code, 0);
    for line in [
        "migration_status 2",
        "migration_dirty 0",
        "migration_errors_total 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    let took = r#"migration_duration_seconds{version="2",direction="up"} 0."#;
    assert!(
        metrics.lines().any(|found| found.starts_with(took)),
        "{metrics}"
    );
    let (code, _) = run(&["-command", "force", "-version", "-7"]);
    assert_eq!(code, 1);
    let (code, metrics) = run(&["-command", "version"]);
    assert_eq!(code, 0);
    for line in ["migration_status 2", "migration_errors_total 1"] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}
