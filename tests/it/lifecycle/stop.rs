//! The end: in order under load, at once when asked twice.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use super::PRODUCTS;
use crate::support::caller::{Caller, Calls};
use crate::support::service::{Service, authorized};
use crate::support::stream::Events;

fn caller(url: &str, http2: bool) -> Caller {
    let address = url.trim_start_matches("http://");
    Caller {
        address: address.parse().expect("an address"),
        tls: None,
        http2,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_on_the_way_to_the_end() {
    let mut service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("SERVER_SHUTDOWN_DELAY", "2s")]).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    let watch = authorized(Method::GET, "/v1/catalog/products:watch", &token);
    let mut events = Events::new(service.open(watch, "").await.into_body());
    events.next().await.expect("where the watch stands");
    let calls = Calls::default();
    let mut callers = tokio::task::JoinSet::new();
    for http2 in [false, true, false, true, false, true] {
        let (caller, token, calls) = (caller(&service.http, http2), token.clone(), calls.clone());
        callers.spawn(async move { caller.run(PRODUCTS, &token, calls).await });
    }
    // The port of gRPC, by the way gRPC goes.
    let (grpc, metrics) = (caller(&service.grpc, true), calls.clone());
    callers.spawn(async move { grpc.run("/metrics", "", metrics).await });
    calls.more(50).await;
    service.signal("TERM");
    // At once it is ready no more, and goes on all the same.
    let begun = Instant::now();
    while service.get("/ready", "").await.status() == StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    calls.more(50).await;
    let body = json!({"sku": "LAST", "name": "x"});
    let created = service.json(Method::POST, PRODUCTS, &token, &body).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()["connection"], "close");
    let event = events.next().await.expect("an event");
    assert_eq!(event.data["created"]["data"]["sku"], "LAST", "{event:?}");
    let end = events.next().await.expect("a word at the end");
    assert_eq!(end.data["reason"], "SERVICE_UNAVAILABLE", "{end:?}");
    while let Some(caller) = callers.join_next().await {
        caller.expect("no call failed");
    }
    assert!(service.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("SERVER_SHUTDOWN_DELAY", "1h")]).await;
    service.ready().await;
    service.signal("TERM");
    while service.get("/ready", "").await.status() == StatusCode::OK {}
    let last = authorized(Method::GET, "/health", "").header("x-request-id", "the-last-one");
    assert_eq!(service.send(last, "").await.status(), StatusCode::OK);
    service.signal("TERM");
    assert_eq!(service.wait().code(), Some(143));
    // Lines that waited are written all the same; the reader of the log is another thread.
    let begun = Instant::now();
    while !service.logged().contains("the-last-one") {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{}",
            service.logged()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(service.logged().contains("stopping at once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_waits_for_no_load_balancer() {
    let mut service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("SERVER_SHUTDOWN_DELAY", "1h")]).await;
    service.ready().await;
    service.signal("INT");
    assert!(service.wait().success());
}
