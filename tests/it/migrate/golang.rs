//! The real golang-migrate and this tool on one database. Runs where `GOLANG_MIGRATE` names its binary, as built by
//! `go install -tags postgres github.com/golang-migrate/migrate/v4/cmd/migrate@latest`.

use std::{
    process::{Command, Output},
    time::Duration,
};

use catalog_service::migrate::{Error, Source};

use super::{clean, folder, in_folder, migrator, rows, schema};
use crate::support::postgres::database;

fn golang(url: &str, path: &std::path::Path, arguments: &[&str]) -> Option<Command> {
    let Some(binary) = std::env::var_os("GOLANG_MIGRATE") else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "GOLANG_MIGRATE does not name a golang-migrate binary"
        );
        println!("skipped: GOLANG_MIGRATE does not name a golang-migrate binary");
        return None;
    };
    let mut command = Command::new(binary);
    command
        .arg("-path")
        .arg(path)
        .args(["-database", url])
        .args(arguments);
    Some(command)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn each_tool_continues_what_the_other_began() {
    let url = database().await.url;
    let files = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    let run = |arguments: &[&str]| {
        golang(&url, files, arguments).map(|mut command| command.output().unwrap())
    };

    let Some(first) = run(&["up", "1"]) else {
        return;
    };
    assert!(first.status.success(), "{}", text(&first));
    let mut ours = migrator(&url, Source::embedded()).await;
    assert_eq!(ours.version().await.unwrap(), clean(1));
    ours.up(Some(1)).await.unwrap();
    assert_eq!(text(&run(&["version"]).unwrap()), "2");
    assert!(run(&["up"]).unwrap().status.success());
    let complete = schema(&url).await;
    assert!(ours.up(None).await.unwrap().steps.is_empty());
    let names = std::fs::read_dir(files).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let count = names.filter(|name| name.ends_with(".up.sql")).count() as u64;
    ours.down(Some(count - 1)).await.unwrap();
    assert!(run(&["down", "1"]).unwrap().status.success());
    assert_eq!(rows(&url).await, []);
    assert_eq!(text(&run(&["version"]).unwrap()), "error: no migration");
    ours.up(None).await.unwrap();
    assert_eq!(schema(&url).await, complete);
    assert_eq!(text(&run(&["up"]).unwrap()), "no change");

    ours.force(2).await.unwrap();
    assert_eq!(text(&run(&["version"]).unwrap()), "2");
    assert!(run(&["force", "3"]).unwrap().status.success());
    assert_eq!(ours.version().await.unwrap(), clean(3));
}

#[tokio::test]
async fn each_tool_sees_the_others_failure() {
    let url = database().await.url;
    let broken = folder(&[("1_a.up.sql", "SELECT nonsense;")]);
    let Some(mut command) = golang(&url, broken.path(), &["up"]) else {
        return;
    };
    assert!(!command.output().unwrap().status.success());
    let mut ours = in_folder(&url, &broken).await;
    assert!(matches!(ours.up(None).await, Err(Error::Dirty(1))));
    ours.force(-1).await.unwrap();
    assert!(matches!(ours.up(None).await, Err(Error::Migration { .. })));
    let theirs = command.output().unwrap();
    assert_eq!(
        text(&theirs),
        "error: Dirty database version 1. Fix and force version."
    );
}

#[tokio::test]
async fn each_tool_waits_for_the_other() {
    let slow = folder(&[("1_a.up.sql", "CREATE TABLE a (); SELECT pg_sleep(3);")]);

    let url = database().await.url;
    let Some(mut command) = golang(&url, slow.path(), &["up"]) else {
        return;
    };
    let mut theirs = command.spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut ours = in_folder(&url, &slow).await;
    assert!(matches!(ours.up(None).await, Err(Error::LockTimeout)));
    assert!(theirs.wait().unwrap().success());
    assert!(ours.up(None).await.unwrap().steps.is_empty());

    let url = database().await.url;
    let mut ours = in_folder(&url, &slow).await;
    let running = tokio::spawn(async move { ours.up(None).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut command = golang(&url, slow.path(), &["up"]).unwrap();
    let theirs = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_eq!(
        text(&theirs),
        "no change",
        "it waited, or it would have found a dirty version or no version"
    );
    assert_eq!(running.await.unwrap().unwrap().steps.len(), 1);
}
