//! What ends a watch, and what does not.

use std::process::Command;
use std::time::{Duration, Instant};

use super::*;
use crate::store::{cause, new};

#[tokio::test(flavor = "multi_thread")]
async fn open_watches_do_not_hold_up_the_end_of_the_service() {
    let mut service = Service::start().await;
    let token = service.token("catalog:read");
    let all = pb::WatchProductsRequest::default();
    let mut grpc = messages(&service.grpc, &token, all).await.expect("open");
    let mut web = web_messages(&service, &token).await;
    let mut sse = events(&service, &token, "").await;
    grpc.message().await.expect("a bookmark");
    web.next().await.expect("a bookmark");
    sse.next().await.expect("a bookmark");

    let pid = service.pid().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.expect("kill").success());
    let begun = Instant::now();
    // Each is told that another instance will do.
    let status = grpc.message().await.expect_err("no more");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(web.next().await, Err(Code::Unavailable));
    let event = sse.next().await.expect("a last event");
    assert_eq!(event.name.as_deref(), Some("error"));
    assert_eq!(
        event.data,
        json!({"code": 14, "reason": "SERVICE_UNAVAILABLE", "message": "Service temporarily unavailable"})
    );
    assert!(sse.next().await.is_none());
    drop((grpc, web, sse));
    assert!(service.wait().success());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_an_answer_is_for_opening_a_watch() {
    let limit = Duration::from_secs(2);
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("SERVER_HTTP_TIMEOUT", "2s"),
        ("SERVER_GRPC_TIMEOUT", "2s"),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read");
    let (_pool, catalog) = other_instance(&service);
    let all = pb::WatchProductsRequest::default();
    let mut grpc = messages(&service.grpc, &token, all).await.expect("open");
    let mut sse = events(&service, &token, "").await;
    grpc.message().await.expect("a bookmark");
    sse.next().await.expect("a bookmark");
    tokio::time::sleep(limit + Duration::from_millis(200)).await;
    catalog.create(cause(), new("LATE")).await.expect("created");
    let event = sse.next().await.expect("a change");
    assert_eq!(event.data["created"]["data"]["sku"], "LATE", "{event:?}");
    let message = grpc.message().await.expect("a stream").expect("a message");
    assert!(message.change.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_deadline_is_for_all_of_a_watch() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let request = web(authorized(Method::POST, RPC, &token)).header("grpc-timeout", "1500m");
    let message = pb::WatchProductsRequest::default().encode_to_vec();
    let response = service.open(request, web_frame(&message)).await;
    let mut messages = WebMessages::new(response.into_body());
    assert!(messages.next().await.is_ok(), "a bookmark");
    assert_eq!(messages.next().await, Err(Code::DeadlineExceeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_the_token_of_its_caller() {
    let service = Service::start().await;
    // Good for a second, and for the five that clocks may differ.
    let token = service.token_for("catalog:read", "1s");
    let mut sse = events(&service, &token, "").await;
    sse.next().await.expect("a bookmark");
    let event = sse.next().await.expect("a last event");
    assert_eq!(event.name.as_deref(), Some("error"));
    assert_eq!(event.data["reason"], "UNAUTHORIZED");
    assert!(sse.next().await.is_none());
}
