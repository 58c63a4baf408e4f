//! Events as operators have them: the binary, with a broker that comes and goes.

use std::process::Output;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::program;
use crate::support::redis::{Server, eventually, installed};
use crate::support::service::Service;

const PRODUCTS: &str = "/v1/catalog/products";

/// Creates products, one after the other, and tells how long the middle one of them took.
async fn create(service: &Service, token: &str, prefix: &str, count: usize) -> Duration {
    let mut times = Vec::new();
    for number in 0..count {
        let body = json!({"sku": format!("{prefix}-{number}"), "name": "x"});
        let begun = Instant::now();
        let answer = service.json(Method::POST, PRODUCTS, token, &body).await;
        times.push(begun.elapsed());
        assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", answer.body());
    }
    times.sort();
    times[count / 2]
}

async fn events_check(service: &Service) -> Value {
    let health = service.get("/health", "").await;
    assert_eq!(health.status(), StatusCode::OK);
    let (whole, check) = (&health.body()["status"], &health.body()["checks"]["events"]);
    assert!(
        check["status"] == "healthy" || whole == "degraded",
        "{health:?}"
    );
    check.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_slows_no_write_and_loses_no_event() {
    if !installed() {
        return;
    }
    // It keeps what it took, also when it is killed.
    let mut broker = Server::start(&[("--appendonly", "yes"), ("--appendfsync", "always")]);
    let addr = broker.addr();
    broker.kill();
    let service = Service::start_with(&[("AUTO_MIGRATE", "true"), ("REDIS_ADDR", &addr)]).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");

    let away = create(&service, &token, "AWAY", 40).await;
    eventually("it is told", async || {
        let check = events_check(&service).await;
        check["state"] == "failing" && check["status"] == "degraded"
    })
    .await;
    let check = events_check(&service).await;
    assert_eq!(
        (&check["publisher"], &check["parked"]),
        (&json!("redis"), &json!(0))
    );
    assert!(check["oldest_unpublished"].is_string(), "{check}");
    assert!(!check.to_string().contains(&addr), "hosts are for the log");
    assert_eq!(service.get("/ready", "").await.status(), StatusCode::OK);

    broker.start_again();
    let published = async |count: usize| {
        eventually("all is published", async || {
            broker
                .ask::<usize>(&["XLEN", "catalog.product.created"])
                .await
                == count
        })
        .await;
    };
    published(40).await;
    eventually("it is well again", async || {
        events_check(&service).await
            == json!({"status": "healthy", "publisher": "redis", "state": "publishing", "refused": 0, "parked": 0})
    })
    .await;

    let there = create(&service, &token, "THERE", 40).await;
    published(80).await;
    // The machine may be busy; waiting for a broker would take much longer.
    assert!(
        away < there * 3 + Duration::from_millis(20),
        "{away:?} while it was away, {there:?} while it was there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_not_there_holds_up_nothing() {
    let begun = Instant::now();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("DAPR_HTTP_PORT", "1"),
        ("DAPR_API_TOKEN", "hunter2"),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    create(&service, &token, "A", 3).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    eventually("it is told", async || {
        let check = events_check(&service).await;
        check["publisher"] == "dapr" && check["state"] == "failing"
    })
    .await;
    let log = || service.log.lock().expect("the log").clone();
    eventually("it is in the log", async || {
        log().contains("events are not published")
    })
    .await;
    assert!(!log().contains("hunter2"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The output of a command that succeeded, or what it said when it failed.
fn said(output: &Output) -> Result<String, String> {
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "no event is published again\n");
        Err(text(&output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_events_are_shown_and_published_again() {
    if !installed() {
        return;
    }
    let broker = Server::start(&[]);
    let topic = "catalog.product.created";
    broker.ask::<()>(&["SET", topic, "no stream"]).await;
    let addr = broker.addr();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("REDIS_ADDR", &addr),
        ("EVENTS_MAX_ATTEMPTS", "2"),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    let none = service.run(&["events", "list"]);
    assert_eq!(said(&none).as_deref(), Ok(""));
    assert_eq!(text(&none.stderr), "no event is parked\n");
    assert_eq!(
        said(&service.run(&["events", "list", "--format=json"])).as_deref(),
        Ok("[]\n")
    );

    create(&service, &token, "BAD", 3).await;
    eventually("they are parked", async || {
        let check = events_check(&service).await;
        check["parked"] == 3 && check["status"] == "degraded"
    })
    .await;

    let shown = said(&service.run(&["events", "list", "-parked"])).expect("a list");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    for (line, words) in lines.iter().zip([
        ["EVENT ", " PRODUCT ", " ERROR"],
        ["evt_", " parked ", "WRONGTYPE"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{shown}");
    }
    let shown = said(&service.run(&["events", "list", "--all", "--format", "json"]));
    let shown: Value = serde_json::from_str(&shown.expect("a list")).expect("JSON");
    let event = &shown[0];
    assert_eq!(
        [
            &event["type"],
            &event["topic"],
            &event["state"],
            &event["attempts"]
        ],
        [
            &json!("ProductCreated"),
            &json!(topic),
            &json!("parked"),
            &json!(2)
        ]
    );
    assert_eq!(event["payload"]["eventId"], event["id"]);
    assert_eq!(event["payload"]["data"]["productId"], event["productId"]);
    let short = service.run(&["events", "list", "--limit", "2"]);
    assert_eq!(said(&short).expect("a list").lines().count(), 3);
    assert!(text(&short.stderr).contains("--limit 2 was reached"));

    broker.ask::<()>(&["DEL", topic]).await;
    let id = |number: usize| shown[number]["id"].as_str().expect("an id");
    let replayed = said(&service.run(&["events", "replay", id(1)]));
    assert_eq!(replayed.as_deref(), Ok("1 event is published again\n"));
    let published = async |count: usize| {
        eventually("they are published", async || {
            broker.ask::<usize>(&["XLEN", topic]).await == count
        })
        .await;
    };
    published(1).await;
    let unknown = "evt_00000000000000000000000010";
    let replayed = said(&service.run(&["events", "replay", unknown]));
    assert_eq!(
        replayed,
        Err(format!("catalog-service: not parked: {unknown}\n"))
    );
    let replayed = said(&service.run(&["events", "replay", "--all"]));
    assert_eq!(replayed.as_deref(), Ok("2 events are published again\n"));
    published(3).await;
    let entries: Vec<(String, Vec<String>)> = broker.ask(&["XRANGE", topic, "-", "+"]).await;
    assert!(
        entries[0].1[1].contains(id(1)),
        "with the same id: {entries:?}"
    );
    eventually("it is well again", async || {
        events_check(&service).await["status"] == "healthy"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_asked_of_a_database_that_has_them() {
    let list = |variables: &[(&str, &str)]| {
        let mut command = program::service();
        let output = command
            .args(["events", "list"])
            .envs(variables.iter().copied())
            .output()
            .expect("a command");
        assert_eq!(text(&output.stdout), "");
        (output.status.code(), text(&output.stderr))
    };
    let (code, error) = list(&[]);
    assert_eq!(code, Some(78));
    assert!(error.contains("DATABASE_URL"), "{error}");

    let away = "postgres://nobody:hunter2@127.0.0.1:1/nothing";
    let (code, error) = list(&[("DATABASE_URL", away), ("DATABASE_TIMEOUT", "100ms")]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("does not answer") && !error.contains("hunter2"),
        "{error}"
    );

    let empty = crate::support::postgres::database().await;
    let (code, error) = list(&[("DATABASE_URL", &empty.url)]);
    assert_eq!(code, Some(1));
    assert!(error.contains("004_create_outbox_tables"), "{error}");
}
