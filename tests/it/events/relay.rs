//! Publishing: order, failures, refusals, several relays.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalog_service::domain::ProductId;
use catalog_service::events::publisher::{Outgoing, Publisher, Rejection, Unavailable};
use catalog_service::events::relay::{Relay, Settings, Status};
use catalog_service::system::SystemEnvironment;
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::{Events, assert_in_order, open, storm};

/// A broker in memory that can be made to fail.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Vec<Outgoing>,
    away: bool,
    refused: Option<String>,
    one_by_one: bool,
}

impl Broker {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn taken(&self) -> Vec<Outgoing> {
        self.0.lock().unwrap().taken.clone()
    }

    async fn wait(&self, count: usize) -> Vec<Outgoing> {
        let begun = Instant::now();
        loop {
            let taken = self.taken();
            if taken.len() >= count {
                return taken;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{} of {count}",
                taken.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Publisher for Broker {
    fn keeps_order(&self) -> bool {
        !self.0.lock().unwrap().one_by_one
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        tokio::time::sleep(Duration::from_micros(200)).await;
        let mut state = self.0.lock().unwrap();
        if state.away {
            return Err(Unavailable("away".to_owned()));
        }
        let mut rejections = Vec::new();
        let mut keys = std::collections::HashSet::new();
        for (index, event) in batch.iter().enumerate() {
            assert!(
                !state.one_by_one || keys.insert(&event.key),
                "two events of one product at once"
            );
            if state
                .refused
                .as_ref()
                .is_some_and(|text| event.payload.get().contains(text))
            {
                rejections.push(Rejection {
                    index,
                    reason: "too spicy".to_owned(),
                });
            } else {
                state.taken.push(event.clone());
            }
        }
        Ok(rejections)
    }
}

fn settings() -> Settings {
    Settings {
        batch: 50,
        max_attempts: 3,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        longest_refusal_pause: Duration::from_millis(20),
        ..Settings::default()
    }
}

fn start(events: &Events, broker: &Broker) -> (watch::Receiver<Status>, oneshot::Sender<()>) {
    let relay = Relay::new(
        events.outbox.clone(),
        broker.clone(),
        SystemEnvironment,
        settings(),
    );
    let status = relay.status();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(relay.run(events.bell.listen(), stopped));
    (status, stop)
}

fn versions(taken: &[Outgoing]) -> Vec<(String, i64)> {
    taken
        .iter()
        .map(|event| {
            let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
            assert_eq!(payload["eventId"], event.id.as_str());
            (
                event.key.clone(),
                payload["data"]["productVersion"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_change_is_published_at_once() {
    let events = open().await;
    let broker = Broker::default();
    let (status, _stop) = start(&events, &broker);
    events.create("A").await;
    broker.wait(1).await;
    let begun = Instant::now();
    let id = events.create("B").await;
    let taken = broker.wait(2).await;
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "the bell, not the poll"
    );
    assert_eq!(
        (taken[1].topic.as_str(), taken[1].event_type.as_str()),
        ("catalog.product.created", "ProductCreated")
    );
    assert_eq!(taken[1].key, id.to_string());
    assert_eq!(*status.borrow(), Status::Publishing);
}

#[tokio::test]
async fn several_relays_publish_all_once_and_in_order() {
    for one_by_one in [false, true] {
        let events = open().await;
        let broker = Broker::default();
        broker.set(|state| state.one_by_one = one_by_one);
        let _relays: Vec<_> = (0..3).map(|_| start(&events, &broker)).collect();
        storm(&events.catalog, 400).await;
        let taken = broker.wait(400).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(broker.taken().len(), 400, "nothing twice");
        assert_in_order(versions(&taken));
    }
}

#[tokio::test]
async fn a_broker_that_is_away_delays_events_and_nothing_else() {
    let events = open().await;
    let broker = Broker::default();
    broker.set(|state| state.away = true);
    let (mut status, _stop) = start(&events, &broker);
    storm(&events.catalog, 80).await;
    status
        .wait_for(|status| matches!(status, Status::Failing(_)))
        .await
        .unwrap();
    assert!(
        events.outbox.refused(false, 10).await.unwrap().is_empty(),
        "no event is to blame"
    );
    broker.set(|state| state.away = false);
    assert_in_order(versions(&broker.wait(80).await));
    status
        .wait_for(|status| *status == Status::Publishing)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_event_holds_up_its_product_only_and_is_parked() {
    let events = open().await;
    let broker = Broker::default();
    broker.set(|state| state.refused = Some(r#""new":"poison""#.to_owned()));
    let (_status, _stop) = start(&events, &broker);
    let (sick, well) = (events.create("SICK").await, events.create("WELL").await);
    events.rename(sick, "poison").await;
    events.rename(well, "fine").await;
    broker.wait(3).await;
    events.rename(sick, "cured").await;
    events.rename(well, "finer").await;
    // The poison is tried until it is parked; then the cure, which waited for it, goes out.
    let taken = broker.wait(5).await;
    let of = |id: ProductId| -> Vec<i64> {
        let all = versions(&taken).into_iter();
        let all = all.filter(|(key, _)| *key == id.to_string());
        all.map(|(_, version)| version).collect()
    };
    assert_eq!((of(well), of(sick)), (vec![1, 2, 3], vec![1, 3]));
    let cures = taken
        .iter()
        .filter(|event| event.payload.get().contains("cured"));
    assert_eq!(cures.count(), 1);
    // The turn that published it may be about to end.
    while events.outbox.refused(false, 10).await.unwrap().len() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = events.outbox.refused(false, 10).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].attempts, 3);
    assert_eq!(refused[0].last_error.as_deref(), Some("too spicy"));
    assert!(refused[0].parked_at.is_some());
    let backlog = events.outbox.backlog().await.unwrap();
    assert_eq!((backlog.refused, backlog.parked), (0, 1));

    broker.set(|state| state.refused = None);
    assert_eq!(
        events
            .outbox
            .replay(Some(&[refused[0].message.id]))
            .await
            .unwrap(),
        [refused[0].message.id]
    );
    let others = events.outbox.replay(None).await.unwrap();
    assert!(others.is_empty(), "nothing else is parked");
    events.bell.ring();
    let taken = broker.wait(6).await;
    assert!(taken[5].payload.get().contains("poison"));
    while !events.outbox.refused(false, 10).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Puts what is not to be published into the outbox.
async fn note(events: &Events) {
    let sql = "INSERT INTO outbox (id, product_id, product_version, listed_before, listed_after, created_at)
               SELECT gen_random_uuid(), id, version, true, true, now() FROM products";
    sqlx::query(sql).execute(&events.pool).await.unwrap();
}

#[tokio::test]
async fn what_is_for_this_service_only_is_not_published() {
    let events = open().await;
    let broker = Broker::default();
    broker.set(|state| state.one_by_one = true);
    let id = events.create("A").await;
    // Between two of one product, and last of all.
    for name in ["a", "b"] {
        note(&events).await;
        events.rename(id, name).await;
    }
    note(&events).await;
    let (_status, stop) = start(&events, &broker);
    assert_in_order(versions(&broker.wait(3).await));
    // The position goes on to the end all the same.
    stop.send(()).unwrap();
    loop {
        if let Some(mut turn) = events.outbox.claim().await.unwrap()
            && turn.read(10).await.unwrap().events.is_empty()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(broker.taken().len(), 3);
    events.counts.advance().await.unwrap();
    assert_eq!(events.outbox.prune(Duration::ZERO, 10).await.unwrap(), 6);
}

#[tokio::test]
async fn the_last_events_go_out_before_a_relay_ends() {
    let events = open().await;
    let broker = Broker::default();
    let (_status, stop) = start(&events, &broker);
    events.create("A").await;
    stop.send(()).unwrap();
    broker.wait(1).await;
}
