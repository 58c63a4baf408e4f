//! Coming back: nothing is missed, nothing comes twice or out of order.

use catalog_service::store::PgOutbox;

use super::*;
use crate::events::{assert_in_order, storm};
use crate::store::{cause, new};

/// Changes of a storm.
const COUNT: usize = 400;

/// Watches by REST as a browser does: it comes back to the same URL after every few changes.
async fn by_events(service: &Service, token: &str, begin: &str, each: usize) -> Vec<(String, i64)> {
    let (mut seen, mut last) = (Vec::new(), None);
    while seen.len() < COUNT {
        let path = format!("{WATCH}?resumeToken={begin}");
        let mut request = authorized(Method::GET, &path, token);
        if let Some(last) = &last {
            request = request.header("last-event-id", last);
        }
        let response = service.open(request, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut events = Events::new(response.into_body());
        for _ in 0..=each {
            let event = events.next().await.expect("an event");
            assert_eq!(event.name, None, "{event:?}");
            last = event.id;
            let message: pb::WatchProductsResponse =
                serde_json::from_value(event.data).expect("a message");
            seen.extend(version(&message));
            if seen.len() == COUNT {
                break;
            }
        }
    }
    seen
}

/// The same by gRPC.
async fn by_messages(
    service: &Service,
    token: &str,
    begin: &str,
    each: usize,
) -> Vec<(String, i64)> {
    let mut seen = Vec::new();
    let mut resume_token = begin.to_owned();
    while seen.len() < COUNT {
        let request = pb::WatchProductsRequest {
            resume_token: resume_token.clone(),
            ..Default::default()
        };
        let mut stream = messages(&service.grpc, token, request).await.expect("open");
        for _ in 0..=each {
            let message = stream
                .message()
                .await
                .expect("a stream")
                .expect("a message");
            seen.extend(version(&message));
            resume_token = message.resume_token;
            if seen.len() == COUNT {
                break;
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_sees_everything_in_order_and_once() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let (_pool, catalog) = other_instance(&service);
    let begin = events(&service, &token, "").await.next().await;
    let begin = begin.expect("a bookmark").id.expect("a token");
    let storm = storm(&catalog, i32::try_from(COUNT).expect("a count"));
    let ((), often, seldom, never, grpc) = tokio::join!(
        storm,
        by_events(&service, &token, &begin, 3),
        by_events(&service, &token, &begin, 40),
        by_events(&service, &token, &begin, usize::MAX - 1),
        by_messages(&service, &token, &begin, 5),
    );
    for seen in [often, seldom, never, grpc] {
        assert_eq!(seen.len(), COUNT);
        assert_in_order(seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_too_old_says_to_begin_anew() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let (pool, catalog) = other_instance(&service);
    let mut watch = events(&service, &token, "").await;
    let old = watch.next().await.expect("a bookmark").id.expect("a token");
    catalog.create(cause(), new("OLD")).await.expect("created");
    let fresh = watch.next().await.expect("a change").id.expect("a token");
    // Once it is published, it may be removed.
    let outbox = PgOutbox::new(pool);
    let removed = async {
        while outbox
            .prune(std::time::Duration::ZERO, 10)
            .await
            .expect("removed")
            == 0
        {
            tokio::task::yield_now().await;
        }
    };
    let removed = tokio::time::timeout(std::time::Duration::from_secs(20), removed).await;
    removed.expect("in time");

    let response = service
        .get(&format!("{WATCH}?resumeToken={old}"), &token)
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error = &response.body()["error"];
    assert_eq!(error["code"], "INVALID_PARAMETERS");
    assert_eq!(
        error["details"],
        json!({"resumeToken": "Is too old: watch without it and read the list again"})
    );
    let request = pb::WatchProductsRequest {
        resume_token: old,
        ..Default::default()
    };
    let refused = messages(&service.grpc, &token, request).await;
    assert_eq!(refused.expect_err("refused").code(), Code::OutOfRange);
    // One who has seen what was removed misses nothing.
    let mut watch = events(&service, &token, &format!("?resumeToken={fresh}")).await;
    watch.next().await.expect("a bookmark");
    catalog.create(cause(), new("NEW")).await.expect("created");
    let event = watch.next().await.expect("a change");
    assert_eq!(event.data["created"]["data"]["sku"], "NEW");
}
