//! All changes as they happen, for watchers and caches of this process: one reader of the outbox for all of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::Instant;

use crate::domain::Error;
use crate::domain::error::Result;
use crate::store::PgOutbox;
use crate::store::outbox::{Batch, OutboxEvent, Position};

/// The least time between two reads: under load many changes are read by each.
const PACE: Duration = Duration::from_millis(10);

/// How often the outbox is looked at when nothing rings: a change is known everywhere within 100 ms, even that of a
/// process that died before it could tell.
const POLL: Duration = Duration::from_millis(50);

/// The pause after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// How long the outbox may take to answer before changes count as missed: caches must not trust what they hold then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most events that are read at a time.
const BATCH: i64 = 1000;

/// How many batches a watcher may be behind before it reads the outbox by itself.
const CAPACITY: usize = 64;

/// How many watchers read the outbox by themselves at a time.
const READERS: usize = 4;

/// How often a watcher is told where it stands while nothing happens, so that its token does not grow too old.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// Hears of every change, in order.
pub trait Listener: Send + Sync + 'static {
    /// These changes happened, perhaps none; all up to the end of the batch are told.
    fn changed(&self, batch: &Batch);

    /// From now on changes may be missed, until [`Self::found`].
    fn lost(&self);

    /// Nothing is missed any more; [`Self::changed`] has told of all that was.
    fn found(&self);
}

/// Somebody listens, or nobody.
impl<L: Listener> Listener for Option<L> {
    fn changed(&self, batch: &Batch) {
        if let Some(listener) = self {
            listener.changed(batch);
        }
    }

    fn lost(&self) {
        if let Some(listener) = self {
            listener.lost();
        }
    }

    fn found(&self) {
        if let Some(listener) = self {
            listener.found();
        }
    }
}

/// Reads the outbox for all who want to know.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    outbox: PgOutbox,
    batches: broadcast::Sender<Arc<Batch>>,
    /// Where the reader stands; locked while a batch is handed out, so that a watcher begins between two batches.
    position: Mutex<Option<Position>>,
    readers: Semaphore,
    connected: watch::Sender<bool>,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub struct Step {
    /// What happened; none says only where the watcher stands.
    pub event: Option<OutboxEvent>,
    /// Where to go on.
    pub position: Position,
}

/// Why a watcher is told nothing more.
#[derive(Debug)]
pub enum Ended {
    /// Events are missing after the position it wanted to go on from.
    TooOld,
    /// The store failed.
    Store(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Feed {
    /// A feed of an outbox; [`run`](Self::run) has to run for it.
    pub fn new(outbox: PgOutbox) -> Self {
        Self(Arc::new(Inner {
            outbox,
            batches: broadcast::Sender::new(CAPACITY),
            position: Mutex::new(None),
            readers: Semaphore::new(READERS),
            connected: watch::Sender::new(false),
        }))
    }

    /// Reads until it is dropped. `bell` rings when there is something new.
    pub async fn run<L: Listener>(self, mut bell: watch::Receiver<()>, listener: L) {
        loop {
            let began = Instant::now();
            bell.mark_unchanged();
            let read = tokio::time::timeout(PATIENCE, self.read(&listener)).await;
            match read.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".into()))) {
                Ok(true) => {}
                Ok(false) => {
                    match tokio::time::timeout(POLL, bell.changed()).await {
                        Ok(Ok(())) => tokio::time::sleep_until(began + PACE).await,
                        // A bell that is gone would ring for ever.
                        Ok(Err(_)) => tokio::time::sleep(POLL).await,
                        Err(_) => {}
                    }
                }
                Err(error) => {
                    if self.0.connected.send_replace(false) {
                        tracing::debug!(%error, "changes can't be read");
                    }
                    listener.lost();
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Reads what is new; tells whether there may be more.
    async fn read<L: Listener>(&self, listener: &L) -> Result<bool> {
        let position = self.position();
        let Some(position) = position else {
            let end = self.0.outbox.end().await?;
            self.set_position(end);
            self.found(listener);
            return Ok(true);
        };
        let batch = self.0.outbox.read(&position, BATCH).await?;
        let (more, end) = (batch.more, batch.end());
        listener.changed(&batch);
        if batch.events.is_empty() {
            self.set_position(end);
        } else {
            let mut position = self.lock();
            // Without a watcher there is nobody to tell.
            let _ = self.0.batches.send(Arc::new(batch));
            *position = Some(end);
        }
        if !more {
            self.found(listener);
        }
        Ok(more)
    }

    fn found<L: Listener>(&self, listener: &L) {
        if !self.0.connected.send_replace(true) {
            listener.found();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Position>> {
        self.0
            .position
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self) -> Option<Position> {
        self.lock().clone()
    }

    fn set_position(&self, position: Position) {
        *self.lock() = Some(position);
    }

    /// Where the reader stands, and what it reads from there on.
    fn subscribe(&self) -> (Option<Position>, broadcast::Receiver<Arc<Batch>>) {
        let position = self.lock();
        (position.clone(), self.0.batches.subscribe())
    }

    /// What happens after a position, or from now on. The first step says where the watcher stands.
    pub async fn watch(
        &self,
        from: Option<Position>,
    ) -> std::result::Result<
        impl Stream<Item = std::result::Result<Step, Ended>> + Send + use<>,
        Ended,
    > {
        let (now, batches) = self.subscribe();
        let behind = from.is_some() || now.is_none();
        let position = match from {
            Some(position) => {
                self.0
                    .outbox
                    .check(&position)
                    .await?
                    .map_err(|_| Ended::TooOld)?;
                position
            }
            None => match now {
                Some(position) => position,
                None => self.0.outbox.end().await?,
            },
        };
        let watcher = Watcher {
            feed: self.clone(),
            position,
            batches,
            behind,
        };
        let first = Step {
            event: None,
            position: watcher.position.clone(),
        };
        let steps = stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(steps) => Some((stream::iter(steps).map(Ok).boxed(), Some(watcher))),
                Err(ended) => Some((stream::once(async { Err(ended) }).boxed(), None)),
            }
        });
        let steps: BoxStream<'_, _> = steps.flatten().boxed();
        Ok(stream::once(async { Ok(first) }).chain(steps))
    }
}

/// Where one watcher stands.
struct Watcher {
    feed: Feed,
    position: Position,
    batches: broadcast::Receiver<Arc<Batch>>,
    /// Whether there may be events that are not among the batches to come.
    behind: bool,
}

impl Watcher {
    /// The next steps.
    async fn next(&mut self) -> std::result::Result<Vec<Step>, Ended> {
        if self.behind {
            return self.catch_up().await;
        }
        loop {
            let batch = match tokio::time::timeout(BOOKMARK_INTERVAL, self.batches.recv()).await {
                Err(_) => {
                    if let Some(now) = self.feed.position()
                        && self.batches.is_empty()
                    {
                        self.position = now;
                    }
                    return Ok(vec![Step {
                        event: None,
                        position: self.position.clone(),
                    }]);
                }
                Ok(Ok(batch)) => batch,
                Ok(Err(_)) => {
                    // Too slow for the others: at its own pace.
                    self.batches = self.feed.subscribe().1;
                    self.behind = true;
                    return self.catch_up().await;
                }
            };
            let steps = self.steps(&batch);
            if !steps.is_empty() {
                return Ok(steps);
            }
        }
    }

    async fn catch_up(&mut self) -> std::result::Result<Vec<Step>, Ended> {
        let feed = self.feed.0.clone();
        // The semaphore is never closed.
        let _turn = feed.readers.acquire().await;
        let batch = feed.outbox.read(&self.position, BATCH).await?;
        // After reading: what was removed until now may have been missing.
        let kept = feed.outbox.check(&self.position).await?;
        kept.map_err(|_| Ended::TooOld)?;
        let steps = self.steps(&batch);
        self.position = batch.end();
        self.behind = batch.more;
        Ok(steps)
    }

    /// The events of a batch that are new to the watcher.
    fn steps(&mut self, batch: &Batch) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, event) in batch.events.iter().enumerate() {
            if !self.position.has_passed(event.recorded) {
                let position = self.position.towards(&batch.position(index + 1));
                steps.push(Step {
                    event: Some(event.clone()),
                    position,
                });
            }
        }
        // A batch in which all is known may end before where the watcher stands.
        if !steps.is_empty() {
            self.position = self.position.towards(&batch.end());
        }
        steps
    }
}
