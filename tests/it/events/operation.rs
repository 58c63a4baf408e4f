//! Events as operators have them: the binary, with a broker that comes and goes.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

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
    assert_eq!(whole, &check["status"], "nothing else is wrong");
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
    let log = service.log.lock().expect("the log").clone();
    assert!(log.contains("events are not published") && !log.contains("hunter2"));
}
