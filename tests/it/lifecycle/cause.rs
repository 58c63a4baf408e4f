//! What is told of a database that does not answer: the cause, to those who operate the service.

use catalog_service::config::Config;

use crate::support::postgres::database;
use crate::support::program;
use crate::support::redis::eventually;
use crate::support::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_why_the_database_does_not_answer() {
    let database = database().await;
    let refused = database.url.replace("user=postgres", "user=nobody_knows");
    assert_ne!(refused, database.url, "the URL names a user");
    for (url, cause) in [
        (
            "postgres://nobody@127.0.0.1:1/nothing",
            "Connection refused",
        ),
        (refused.as_str(), "nobody_knows"),
    ] {
        let service = Service::start_with(&[("DATABASE_URL", url)]).await;
        eventually("the cause", async || {
            let log = service.logged();
            let line = log
                .lines()
                .find(|line| line.contains(r#""message":"not ready""#));
            line.is_some_and(|line| line.contains(cause))
        })
        .await;
    }
}

#[test]
fn a_command_says_at_once_why_the_database_does_not_answer() {
    let longest = Config::default().data.database.timeout;
    let begun = std::time::Instant::now();
    let output = program::service()
        .args(["events", "list"])
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .output()
        .expect("the command");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains("Connection refused"), "{error}");
    assert!(begun.elapsed() < longest);
}
