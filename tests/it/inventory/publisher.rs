//! Publishing through a sidecar: what it refuses is sent again, and each product's events stay in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog_service::domain::*;
use catalog_service::events::publisher::{
    Dapr, Outgoing, Publisher as _, Rejection, Unavailable, dapr,
};
use catalog_service::events::relay::{Relay, Settings};
use catalog_service::store::{Bell, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use serde_json::value::RawValue;
use time::macros::datetime;
use tokio::sync::oneshot;

use crate::store::{cause, new};
use crate::support::postgres::migrated;
use crate::support::redis::eventually;
use crate::support::sidecar::{REFUSED, Sidecar};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn publisher(sidecar: &Sidecar, api_token: Option<&str>) -> Dapr {
    Dapr::new(dapr::Settings {
        http_port: sidecar.port,
        pubsub: "pubsub-redis".to_owned(),
        api_token: api_token.map(str::to_owned),
    })
}

fn outgoing(number: usize, topic: &str) -> Outgoing {
    Outgoing {
        id: format!("evt_{number}"),
        event_type: "ProductCreated".to_owned(),
        topic: topic.to_owned(),
        key: format!("prod_{number}"),
        time: datetime!(2025-06-01 12:00 UTC),
        traceparent: Some(TRACE.to_owned()),
        payload: RawValue::from_string(format!(r#"{{"number":{number},"price":12.50}}"#)).unwrap(),
    }
}

#[tokio::test]
async fn only_what_was_refused_is_rejected() {
    let sidecar = Sidecar::start().await;
    let publisher = publisher(&sidecar, None);
    let batch: Vec<_> = (0..5).map(|number| outgoing(number, "topic")).collect();
    sidecar.script().failures.push_back(vec![1, 3]);
    let mut rejections = publisher.publish(&batch).await.unwrap();
    rejections.sort_by_key(|rejection| rejection.index);
    let reason = REFUSED.to_owned();
    let rejected = |index| Rejection {
        index,
        reason: reason.clone(),
    };
    assert_eq!(rejections, [rejected(1), rejected(3)]);
    let taken = sidecar.script().taken.clone();
    let ids: Vec<_> = taken
        .iter()
        .map(|taken| taken.envelope["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["evt_0", "evt_2", "evt_4"]);
    for taken in &taken {
        assert_eq!(taken.envelope["traceparent"], TRACE);
        assert_eq!(taken.envelope["subject"], taken.partition_key.as_str());
        assert_eq!(taken.envelope["specversion"], "1.0");
    }
    // None was taken, and each is to blame.
    sidecar.script().failures.push_back(vec![0]);
    let rejections = publisher.publish(&batch[1..2]).await.unwrap();
    assert_eq!(rejections.len(), 1);
}

#[tokio::test]
async fn a_broker_that_is_away_refuses_nothing_not_even_one_event() {
    let sidecar = Sidecar::start().await;
    let publisher = publisher(&sidecar, None);
    let batch: Vec<_> = (0..3).map(|number| outgoing(number, "topic")).collect();
    sidecar.script().away = true;
    for batch in [&batch[..1], &batch] {
        let Unavailable(reason) = publisher.publish(batch).await.unwrap_err();
        assert!(reason.contains("connection refused"), "{reason}");
    }
    sidecar.script().away = false;
    assert_eq!(publisher.publish(&batch).await.unwrap(), []);
}

#[tokio::test]
async fn long_events_go_in_requests_that_a_sidecar_reads() {
    let sidecar = Sidecar::start().await;
    let publisher = publisher(&sidecar, None);
    let long = |number| {
        let text = format!(r#"{{"text":"{}"}}"#, "\\n".repeat(20_000));
        let payload = RawValue::from_string(text).unwrap();
        Outgoing {
            payload,
            ..outgoing(number, "topic")
        }
    };
    let batch: Vec<_> = (0..150).map(long).collect();
    assert_eq!(publisher.publish(&batch).await.unwrap(), []);
    let script = sidecar.script();
    assert_eq!(script.taken.len(), 150);
    assert!(script.paths.len() > 1);
}

#[tokio::test]
async fn tokens_are_shown_and_older_sidecars_asked_in_their_way() {
    let sidecar = Sidecar::start().await;
    sidecar.script().api_token = Some("s3cret".to_owned());
    sidecar.script().before_stable = true;
    let batch = [outgoing(0, "a"), outgoing(1, "b")];
    publisher(&sidecar, None).publish(&batch).await.unwrap_err();
    publisher(&sidecar, Some("other"))
        .publish(&batch)
        .await
        .unwrap_err();
    assert_eq!(sidecar.script().taken.len(), 0);
    sidecar.script().paths.clear();
    assert_eq!(
        publisher(&sidecar, Some("s3cret"))
            .publish(&batch)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        sidecar.script().paths,
        ["stable", "alpha", "alpha"],
        "what was found is remembered"
    );
    let mut topics: Vec<_> = sidecar
        .script()
        .taken
        .iter()
        .map(|taken| taken.topic.clone())
        .collect();
    topics.sort();
    assert_eq!(topics, ["a", "b"]);
}

#[tokio::test]
async fn each_products_events_stay_in_order_through_partial_failures() {
    const PRODUCTS: usize = 12;
    const CHANGES: usize = 5;
    let (_database, pool) = migrated().await;
    let sidecar = Sidecar::start().await;
    // Every other request loses some of its entries at first.
    for round in 0..40 {
        let failing = if round % 2 == 0 {
            vec![0, 2, 5]
        } else {
            Vec::new()
        };
        sidecar.script().failures.push_back(failing);
    }
    let bell = Bell::default();
    let relay = Relay::new(
        PgOutbox::new(pool.clone()),
        publisher(&sidecar, None),
        SystemEnvironment,
        Settings {
            max_attempts: 1000,
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(20),
            longest_refusal_pause: Duration::from_millis(20),
            poll: Duration::from_millis(20),
            ..Settings::default()
        },
    );
    let (_stop, stopped) = oneshot::channel();
    tokio::spawn(relay.run(bell.listen(), stopped));
    let catalog = Arc::new(Catalog::new(PgProducts::new(pool, bell), SystemEnvironment));
    let traced = || Cause {
        traceparent: Some(TRACE.to_owned()),
        ..cause()
    };
    let writers: Vec<_> = (0..PRODUCTS)
        .map(|number| {
            let catalog = catalog.clone();
            tokio::spawn(async move {
                let id = catalog
                    .create(traced(), new(&format!("S{number}")))
                    .await
                    .unwrap()
                    .id;
                for change in 1..CHANGES {
                    let name = ProductName::parse(format!("n{change}")).unwrap();
                    let patch = ProductPatch {
                        name: Some(name),
                        ..Default::default()
                    };
                    catalog.update(traced(), id, patch).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    eventually("all are taken", async || {
        sidecar.script().taken.len() >= PRODUCTS * CHANGES
    })
    .await;
    let mut versions: HashMap<String, i64> = HashMap::new();
    let taken = sidecar.script().taken.clone();
    for event in &taken {
        let data = &event.envelope["data"];
        assert_eq!(data["data"]["productId"], event.partition_key.as_str());
        assert_eq!(event.envelope["traceparent"], TRACE);
        let last = versions.entry(event.partition_key.clone()).or_default();
        assert_eq!(
            data["data"]["productVersion"],
            *last + 1,
            "{}",
            event.partition_key
        );
        *last += 1;
    }
    assert_eq!(taken.len(), PRODUCTS * CHANGES, "nothing twice");
    assert_eq!(versions.len(), PRODUCTS);
}
