//! Events on their way out and in, and what is left to be published.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Page, Source, Times};
use crate::events::relay;
use crate::events::subscriber::Handled;
use crate::store::outbox::Backlog;

/// What became of events since the process began. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct EventCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    published: AtomicU64,
    refused: AtomicU64,
    parked: AtomicU64,
    failures: AtomicU64,
    batches: Times,
    handled: [AtomicU64; 4],
}

impl EventCounts {
    /// A batch was given to the broker, which took some events and refused others.
    pub fn batch(&self, taken: usize, refused: usize, took: Duration) {
        self.0.published.fetch_add(taken as u64, Ordering::Relaxed);
        self.0.refused.fetch_add(refused as u64, Ordering::Relaxed);
        self.0.batches.record(took);
    }

    /// The broker did not answer.
    pub fn unavailable(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// An event was given up.
    pub fn parked(&self) {
        self.0.parked.fetch_add(1, Ordering::Relaxed);
    }

    /// An event of others was handled.
    pub fn handled(&self, handled: &Handled) {
        let place = match handled {
            Handled::Done(_) => 0,
            Handled::Refused(_) => 1,
            Handled::Away(_) => 2,
            Handled::Failed(_) => 3,
        };
        self.0.handled[place].fetch_add(1, Ordering::Relaxed);
    }
}

/// The names of what became of an event of others, in the order of their places.
const OUTCOMES: [&str; 4] = ["done", "refused", "retry", "failed"];

/// All about events.
#[derive(Debug)]
pub struct EventMetrics {
    /// What became of them.
    pub counts: EventCounts,
    /// How publishing goes.
    pub status: watch::Receiver<relay::Status>,
    /// What is left, where it was looked at.
    pub backlog: watch::Receiver<Option<Backlog>>,
}

impl Source for EventMetrics {
    fn write(&self, page: &mut Page) {
        let counts = &*self.counts.0;
        for (name, help, count) in [
            (
                "events_published_total",
                "Events that the broker took",
                &counts.published,
            ),
            (
                "events_refused_total",
                "Attempts at an event that the broker refused while it took others",
                &counts.refused,
            ),
            (
                "events_parked_total",
                "Events that were given up until an operator asks for them",
                &counts.parked,
            ),
            (
                "events_publish_failures_total",
                "Batches that the broker did not answer",
                &counts.failures,
            ),
        ] {
            page.counter(name, help)
                .sample(&[], count.load(Ordering::Relaxed));
        }
        page.histogram(
            "events_publish_duration_seconds",
            "How long the broker took for a batch",
        )
        .times(&[], &counts.batches);
        let mut family = page.counter(
            "events_received_total",
            "Events of others, by what became of them",
        );
        for (outcome, count) in OUTCOMES.into_iter().zip(&counts.handled) {
            family.sample(&[("outcome", outcome)], count.load(Ordering::Relaxed));
        }
        let status = self.status.borrow().clone();
        let mut family = page.gauge(
            "events_relay_state",
            "1 for the state that the relay of this instance is in",
        );
        for (state, is) in [
            ("starting", status == relay::Status::Starting),
            ("publishing", status == relay::Status::Publishing),
            ("standing_by", status == relay::Status::StandingBy),
            ("failing", matches!(status, relay::Status::Failing(_))),
        ] {
            family.sample(&[("state", state)], u8::from(is));
        }
        let backlog = *self.backlog.borrow();
        let mut family = page.gauge(
            "outbox_depth",
            "Events that are not published yet, counted up to 10000",
        );
        if let Some(backlog) = backlog {
            family.sample(&[], backlog.waiting);
        }
        let mut family = page.gauge(
            "outbox_lag_seconds",
            "How long the first event that is not published waits",
        );
        if let Some(backlog) = backlog {
            family.sample(&[], backlog.oldest.unwrap_or_default().as_secs_f64());
        }
        let mut family = page.gauge(
            "outbox_refused",
            "Events that were refused, or wait behind one, by whether they are tried again",
        );
        if let Some(backlog) = backlog {
            family.sample(&[("state", "waiting")], backlog.refused);
            family.sample(&[("state", "parked")], backlog.parked);
        }
    }
}
