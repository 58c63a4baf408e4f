//! Publishes the events of the outbox: at least once, and in order per product.
//!
//! Any number of instances run a relay; the one that has the turn publishes, the others stand by and take over as soon
//! as it is gone. A broker that is away stops publishing and nothing else. An event that a broker refuses while it
//! takes others is put aside and tried again, the later events of its product wait behind it, and after some attempts
//! it is parked for an operator.

mod sending;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::contract::EVENT_PREFIX;
use super::publisher::{Outgoing, Publisher, Rejection, Unavailable};
use crate::domain::id;
use crate::domain::ports::Environment;
use crate::domain::{Error, ProductId, Recorded};
use crate::store::PgOutbox;
use crate::store::outbox::{Batch, Message, OutboxEvent, RelayTurn};
use crate::telemetry::metrics::EventCounts;
use crate::telemetry::trace::Tracer;
use sending::Sending;

/// How a relay works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most events that are published at a time.
    pub batch: usize,
    /// How often a refused event is tried before it is parked.
    pub max_attempts: i32,
    /// The pause after a first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause between two attempts to reach the broker.
    pub longest_pause: Duration,
    /// The longest pause between two attempts to publish a refused event.
    pub longest_refusal_pause: Duration,
    /// How long published events are kept, for watchers that come back.
    pub retention: Duration,
    /// How often the outbox is looked at when nothing rings.
    pub poll: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: 1000,
            max_attempts: 10,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            longest_refusal_pause: Duration::from_mins(5),
            retention: Duration::from_hours(24),
            poll: Duration::from_secs(1),
        }
    }
}

/// The least time between two looks into the outbox: under load many events are taken by each.
const PACE: Duration = Duration::from_millis(10);

/// How often old events are removed, and how many at a time.
const PRUNE_INTERVAL: Duration = Duration::from_mins(1);
const PRUNE_BATCH: i64 = 5000;

/// How publishing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known yet.
    #[default]
    Starting,
    /// This instance publishes.
    Publishing,
    /// Another instance publishes.
    StandingBy,
    /// The broker, or the database, does not answer.
    Failing(String),
}

/// Why a turn ended early.
enum Failure {
    Broker(Unavailable),
    Store(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What is left to do after a turn.
enum Turn {
    /// There may be more at once.
    More,
    /// Nothing, for now.
    Done,
    /// Another instance has the turn.
    NotOurs,
}

/// Events that are published at once.
struct Run<'a> {
    events: Vec<Outgoing>,
    /// What they were made of, and where that stands.
    messages: Vec<(Recorded, &'a Message)>,
}

/// Publishes the events of an outbox.
#[derive(Debug)]
pub struct Relay<P, E> {
    outbox: PgOutbox,
    publisher: P,
    environment: E,
    settings: Settings,
    counts: EventCounts,
    /// None where no spans are made of what is published.
    tracer: Option<(Tracer, &'static str)>,
    status: watch::Sender<Status>,
}

impl<P: Publisher, E: Environment> Relay<P, E> {
    /// A relay from an outbox to a publisher.
    pub fn new(outbox: PgOutbox, publisher: P, environment: E, settings: Settings) -> Self {
        Self {
            outbox,
            publisher,
            environment,
            settings,
            counts: EventCounts::default(),
            tracer: None,
            status: watch::Sender::default(),
        }
    }

    /// Counts what becomes of events where others see it.
    #[must_use]
    pub fn counting(self, counts: EventCounts) -> Self {
        Self { counts, ..self }
    }

    /// Makes a span of each event that is published, in the trace of the request that caused it. `system` is where they
    /// go.
    #[must_use]
    pub fn traced(self, tracer: Tracer, system: &'static str) -> Self {
        let tracer = Some((tracer, system));
        Self { tracer, ..self }
    }

    /// Follows how publishing goes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Publishes until `stop` is said, and then what is still there. `bell` rings when there is something new.
    pub async fn run(self, mut bell: watch::Receiver<()>, mut stop: oneshot::Receiver<()>) {
        let mut failures = 0;
        let mut ahead = None;
        let mut pruned: Option<Instant> = None;
        loop {
            let began = Instant::now();
            bell.mark_unchanged();
            let pause = match self.turn(&mut ahead).await {
                Ok(Turn::More) => {
                    self.goes_on(&mut failures, Status::Publishing);
                    continue;
                }
                Ok(Turn::Done) => {
                    self.goes_on(&mut failures, Status::Publishing);
                    if pruned.is_none_or(|time| time.elapsed() >= PRUNE_INTERVAL) {
                        self.prune().await;
                        pruned = Some(Instant::now());
                    }
                    None
                }
                Ok(Turn::NotOurs) => {
                    self.goes_on(&mut failures, Status::StandingBy);
                    None
                }
                Err(failure) => {
                    let pause = self.pause(failures, self.settings.longest_pause);
                    self.fails(&failure, failures);
                    failures += 1;
                    Some(pause)
                }
            };
            if let Some(pause) = pause {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = &mut stop => return,
                }
            } else {
                tokio::select! {
                    () = self.wait(began, &mut bell) => {}
                    // Once more, for the last events.
                    _ = &mut stop => {
                        while matches!(self.turn(&mut ahead).await, Ok(Turn::More)) {}
                        return;
                    }
                }
            }
        }
    }

    async fn wait(&self, began: Instant, bell: &mut watch::Receiver<()>) {
        match tokio::time::timeout(self.settings.poll, bell.changed()).await {
            Ok(Ok(())) => tokio::time::sleep_until(began + PACE).await,
            // A bell that is gone would ring for ever.
            Ok(Err(_)) => tokio::time::sleep(self.settings.poll).await,
            Err(_) => {}
        }
    }

    fn goes_on(&self, failures: &mut u32, status: Status) {
        if *failures > 0 {
            tracing::info!(failures, "events are published again");
            *failures = 0;
        }
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
    }

    fn fails(&self, failure: &Failure, failures: u32) {
        let reason = match failure {
            Failure::Broker(error) => format!("the broker does not answer: {error}"),
            Failure::Store(error) => format!("the outbox can't be read: {error}"),
        };
        if failures == 0 {
            tracing::warn!(reason, "events are not published");
        }
        self.status.send_replace(Status::Failing(reason));
    }

    /// Half to all of a pause that doubles with each failure.
    fn pause(&self, failures: u32, longest: Duration) -> Duration {
        let pause = self
            .settings
            .first_pause
            .saturating_mul(1 << failures.min(20))
            .min(longest);
        // The last bits of an id are random.
        let [.., random] = *self.environment.new_uuid().as_bytes();
        pause / 2 + pause / 2 * u32::from(random) / 255
    }

    async fn prune(&self) {
        loop {
            match self
                .outbox
                .prune(self.settings.retention, PRUNE_BATCH)
                .await
            {
                Ok(count) if count.cast_signed() == PRUNE_BATCH => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, "old events were not removed");
                    return;
                }
            }
        }
    }

    /// Publishes what is there, up to the size of a batch. `ahead` is what was read in the last turn for this one, and
    /// then what this one reads for the next.
    async fn turn(&self, ahead: &mut Option<Batch>) -> Result<Turn, Failure> {
        let ready = ahead.take();
        let Some(mut turn) = self.outbox.claim().await? else {
            return Ok(Turn::NotOurs);
        };
        self.again(&mut turn).await?;
        let batch = match ready.filter(|ready| turn.begins_with(ready)) {
            Some(ready) => ready,
            None => turn.read(self.limit()).await?,
        };
        if batch.events.is_empty() {
            turn.commit(&batch.end()).await?;
            return Ok(if batch.more { Turn::More } else { Turn::Done });
        }
        let mut waiting = turn.waiting().await?;
        let mut done = 0;
        let mut next = None;
        for run in runs(&batch.events, self.publisher.keeps_order()) {
            let mut out = self.outgoing(&mut turn, run, &waiting).await?;
            // The broker and the database work at the same time.
            let (published, read) = tokio::join!(self.publish(&mut out.events), async {
                if done == 0 {
                    next = turn.read_ahead(&batch, self.limit()).await?;
                }
                Ok::<_, Failure>(())
            });
            read?;
            match published {
                Ok(rejections) => {
                    self.put_aside(&mut turn, &out, rejections, &mut waiting)
                        .await?;
                }
                Err(error) => {
                    // What went out before the failure need not go out again.
                    turn.commit(&batch.position(done)).await?;
                    return Err(Failure::Broker(error));
                }
            }
            done += run.len();
        }
        turn.commit(&batch.end()).await?;
        *ahead = next;
        Ok(if batch.more { Turn::More } else { Turn::Done })
    }

    /// Most events that are read at a time.
    fn limit(&self) -> i64 {
        i64::try_from(self.settings.batch).unwrap_or(i64::MAX)
    }

    /// What is to be published of a run; what has to wait is put aside.
    async fn outgoing<'a>(
        &self,
        turn: &mut RelayTurn,
        run: &'a [OutboxEvent],
        waiting: &HashSet<ProductId>,
    ) -> Result<Run<'a>, Failure> {
        let mut out = Run {
            events: Vec::with_capacity(run.len()),
            messages: Vec::with_capacity(run.len()),
        };
        for event in run {
            // What is for this service only is not published.
            let Some(message) = &event.message else {
                continue;
            };
            if waiting.contains(&message.product_id) {
                turn.put_aside(event.recorded, message, None, Duration::ZERO)
                    .await?;
            } else {
                out.events.push(outgoing(message));
                out.messages.push((event.recorded, message));
            }
        }
        Ok(out)
    }

    async fn publish(&self, events: &mut [Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let spans = self.tracer.as_ref();
        let spans = spans.map(|(tracer, system)| Sending::begin(tracer, system, events));
        let began = Instant::now();
        let published = self.publisher.publish(events).await;
        if let Some(spans) = spans {
            spans.end(events, &published);
        }
        match &published {
            Ok(refused) => {
                let taken = events.len() - refused.len();
                self.counts.batch(taken, refused.len(), began.elapsed());
            }
            Err(_) => self.counts.unavailable(),
        }
        published
    }

    /// Puts aside what the broker refused, so that later events of the same products wait.
    async fn put_aside(
        &self,
        turn: &mut RelayTurn,
        run: &Run<'_>,
        rejections: Vec<Rejection>,
        waiting: &mut HashSet<ProductId>,
    ) -> Result<(), Failure> {
        for rejection in rejections {
            let Some(&(recorded, message)) = run.messages.get(rejection.index) else {
                continue;
            };
            let pause = self.pause(0, self.settings.longest_refusal_pause);
            let event = &run.events[rejection.index].id;
            tracing::warn!(event, reason = rejection.reason, "an event was refused");
            turn.put_aside(recorded, message, Some(&rejection.reason), pause)
                .await?;
            waiting.insert(message.product_id);
        }
        Ok(())
    }

    /// Publishes events that were refused before and are due.
    async fn again(&self, turn: &mut RelayTurn) -> Result<(), Failure> {
        let due = turn.due(self.limit()).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut out: Vec<_> = due.iter().map(|event| outgoing(&event.message)).collect();
        let rejections = self.publish(&mut out).await.map_err(Failure::Broker)?;
        let refused: HashSet<_> = rejections.iter().map(|rejection| rejection.index).collect();
        let published: Vec<_> = due
            .iter()
            .enumerate()
            .filter(|(index, _)| !refused.contains(index))
            .map(|(_, event)| event.message.id)
            .collect();
        turn.published(&published).await?;
        for rejection in rejections {
            let Some(event) = due.get(rejection.index) else {
                continue;
            };
            let attempts = event.attempts.saturating_add(1);
            let pause = (attempts < self.settings.max_attempts)
                .then(|| self.pause(attempts.unsigned_abs(), self.settings.longest_refusal_pause));
            if pause.is_none() {
                self.counts.parked();
                let event = &out[rejection.index].id;
                tracing::error!(
                    event,
                    reason = rejection.reason,
                    "an event is parked: see `catalog-service events list`"
                );
            }
            turn.refused_again(event.message.id, &rejection.reason, pause)
                .await?;
        }
        Ok(())
    }
}

/// Events that may be published at once: all of them, or runs in which no product occurs twice.
fn runs(events: &[OutboxEvent], whole: bool) -> Vec<&[OutboxEvent]> {
    if whole {
        return vec![events];
    }
    let mut runs = Vec::new();
    let (mut start, mut seen) = (0, HashSet::new());
    for (index, event) in events.iter().enumerate() {
        if event.message.is_some() && !seen.insert(event.product_id) {
            runs.push(&events[start..index]);
            start = index;
            seen.clear();
            seen.insert(event.product_id);
        }
    }
    runs.push(&events[start..]);
    runs
}

fn outgoing(message: &Message) -> Outgoing {
    Outgoing {
        id: id::encode(EVENT_PREFIX, message.id),
        event_type: message.event_type.clone(),
        topic: message.topic.clone(),
        key: message.product_id.to_string(),
        time: message.time,
        traceparent: message.traceparent.clone(),
        payload: message.payload.clone(),
    }
}
