//! Watching: nothing is missed, nothing comes out of order, however often a watcher comes back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog_service::events::feed::{Ended, Feed, Listener, Step};
use catalog_service::store::outbox::{Batch, OutboxEvent, Position};
use futures_util::{Stream, StreamExt as _};

use super::{Events, assert_in_order, open, storm};

/// Keeps what it hears.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<(String, i64)>>>);

impl Listener for Ear {
    fn changed(&self, batch: &Batch) {
        self.0
            .lock()
            .unwrap()
            .extend(batch.events.iter().map(version));
    }

    fn lost(&self) {}

    fn found(&self) {}
}

fn version(event: &OutboxEvent) -> (String, i64) {
    (
        event.product_id.to_string(),
        i64::from(event.product_version),
    )
}

async fn start(events: &Events) -> (Feed, Ear) {
    let (feed, ear) = (Feed::new(events.outbox.clone()), Ear::default());
    tokio::spawn(feed.clone().run(events.bell.listen(), ear.clone()));
    // Its first step is where the feed stands.
    loop {
        let mut steps =
            std::pin::pin!(feed.watch(None).await.unwrap_or_else(|_| panic!("a watch")));
        if steps.next().await.is_some() {
            return (feed, ear);
        }
    }
}

async fn next(steps: &mut (impl Stream<Item = Result<Step, Ended>> + Unpin)) -> Step {
    let step = tokio::time::timeout(Duration::from_secs(20), steps.next()).await;
    step.expect("in time")
        .expect("a step")
        .unwrap_or_else(|ended| panic!("{ended:?}"))
}

/// Watches until `count` events were seen, and reconnects with the last token after every `each` of them.
async fn watch(feed: Feed, token: Option<String>, count: usize, each: usize) -> Vec<(String, i64)> {
    let mut token = token;
    let mut seen = Vec::new();
    while seen.len() < count {
        let position = token
            .as_ref()
            .map(|token| token.parse::<Position>().unwrap());
        let mut steps = Box::pin(
            feed.watch(position)
                .await
                .unwrap_or_else(|_| panic!("a watch")),
        );
        for _ in 0..=each {
            let step = next(&mut steps).await;
            token = Some(step.position.to_string());
            seen.extend(step.event.as_ref().map(version));
            if seen.len() == count {
                break;
            }
        }
    }
    seen
}

#[tokio::test]
async fn watchers_see_everything_in_order_and_once() {
    let events = open().await;
    let (feed, ear) = start(&events).await;
    let begin = events.outbox.end().await.unwrap().to_string();
    let watchers: Vec<_> = [1, 3, 7, 50, 100_000]
        .map(|each| tokio::spawn(watch(feed.clone(), Some(begin.clone()), 800, each)))
        .into_iter()
        .collect();
    storm(&events.catalog, 800).await;
    for watcher in watchers {
        let seen = watcher.await.unwrap();
        assert_eq!(seen.len(), 800);
        assert_in_order(seen);
    }
    let heard = ear.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 800);
    assert_in_order(heard);
}

#[tokio::test]
async fn a_slow_watcher_goes_on_by_itself() {
    let events = open().await;
    let (feed, _ear) = start(&events).await;
    let mut steps = Box::pin(feed.watch(None).await.unwrap_or_else(|_| panic!("a watch")));
    assert!(
        next(&mut steps).await.event.is_none(),
        "first where it stands"
    );
    // More batches than are kept for it.
    storm(&events.catalog, 1200).await;
    let mut seen = Vec::new();
    while seen.len() < 1200 {
        seen.extend(next(&mut steps).await.event.as_ref().map(version));
    }
    assert_in_order(seen);
}

#[tokio::test]
async fn a_position_that_is_too_old_is_refused() {
    let events = open().await;
    let (feed, _ear) = start(&events).await;
    let begin = events.outbox.end().await.unwrap();
    let slow = feed.watch(Some(begin.clone())).await;
    let mut slow = Box::pin(slow.unwrap_or_else(|_| panic!("a watch")));
    events.create("A").await;
    let mut turn = events.outbox.claim().await.unwrap().unwrap();
    let end = turn.read(10).await.unwrap().end();
    turn.commit(&end).await.unwrap();
    events.counts.advance().await.unwrap();
    events.outbox.prune(Duration::ZERO, 10).await.unwrap();
    assert!(matches!(
        feed.watch(Some(begin)).await.err(),
        Some(Ended::TooOld)
    ));
    let future = "900000000:900000000:".parse().unwrap();
    assert!(matches!(
        feed.watch(Some(future)).await.err(),
        Some(Ended::TooOld)
    ));
    // One who is there already and has not read on misses them too, and must be told.
    assert!(next(&mut slow).await.event.is_none());
    let missed = slow.next().await;
    assert!(matches!(missed, Some(Err(Ended::TooOld))), "{missed:?}");
}
