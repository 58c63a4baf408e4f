//! Events straight from Redis Streams, by a consumer group, as Dapr's component `pubsub.redis` writes them.
//!
//! An entry has the field `data`, a CloudEvent, and may have `metadata`. Each instance is a consumer of its own. It
//! acknowledges an entry when the database has it; what it took and did not acknowledge, because it died, another one
//! claims after a while. What can not be handled is added to the dead letter stream, as it came and with the `reason`,
//! and then acknowledged. While the database is away nothing is: the entries in hand are tried again until it is back.

mod entry;

use std::time::{Duration, Instant};

use ::redis::{Value, cmd};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::{Handled, Subscriber};
use crate::domain::ports::{Environment, InventoryStore};
use crate::lifecycle::State;
use crate::redis::{Redis, RedisError};
use entry::{Entry, Pending, read_entries, read_pending};

/// How a consumer works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stream.
    pub stream: String,
    /// Where entries go that can not be handled.
    pub dead_letter_stream: String,
    /// The group of consumers.
    pub group: String,
    /// About how many entries the dead letter stream keeps, or all.
    pub dead_letter_max_len: Option<u64>,
    /// Most entries that are read at a time.
    pub batch: usize,
    /// How long a read waits for entries; the service stops no sooner.
    pub block: Duration,
    /// After how long without a word of its consumer an entry is claimed.
    pub claim_after: Duration,
    /// How often an entry that fails is tried.
    pub max_attempts: u32,
    /// The first pause after a failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause; shorter than `claim_after`, or entries in hand would be claimed.
    pub longest_pause: Duration,
}

impl Settings {
    /// Of a stream and its dead letter stream.
    pub fn new(
        stream: impl Into<String>,
        dead_letter_stream: impl Into<String>,
        group: impl Into<String>,
    ) -> Self {
        Self {
            stream: stream.into(),
            dead_letter_stream: dead_letter_stream.into(),
            group: group.into(),
            dead_letter_max_len: None,
            batch: 100,
            block: Duration::from_millis(500),
            claim_after: Duration::from_mins(1),
            max_attempts: 5,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// How many entries are handled at a time.
const AT_A_TIME: usize = 8;

/// How often an entry may be taken: one that ends whoever handles it must not end them all, again and again.
const MOST_DELIVERIES: u32 = 10;

/// How long commands may take, beside what a read waits.
const LIMIT: Duration = Duration::from_secs(5);

/// After how long without a word a consumer that has nothing in hand is forgotten: its instance is gone.
const GONE: Duration = Duration::from_hours(1);

/// A consumer.
#[derive(Debug)]
pub struct Consumer<S, E> {
    subscriber: Subscriber<S, E>,
    /// For reads, which block the connection.
    reader: Redis,
    /// For everything else.
    redis: Redis,
    name: String,
    settings: Settings,
}

impl<S: InventoryStore, E: Environment> Consumer<S, E> {
    /// A consumer of a stream, with connections of its own. `environment` gives its name.
    pub fn new(
        subscriber: Subscriber<S, E>,
        redis: &Redis,
        environment: &E,
        settings: Settings,
    ) -> Self {
        Self {
            subscriber,
            reader: redis.separate(settings.block + LIMIT),
            redis: redis.separate(LIMIT),
            name: environment.new_uuid().to_string(),
            settings,
        }
    }

    /// Consumes until the service stops; does not read while it is not ready.
    pub async fn run(self, mut states: watch::Receiver<State>) {
        let mut failures = 0;
        let mut has_group = false;
        let mut claimed: Option<Instant> = None;
        loop {
            let state = states.wait_for(|state| matches!(state, State::Ready | State::Stopping));
            if state.await.map_or(true, |state| *state == State::Stopping) {
                break;
            }
            let turn = async {
                if !has_group {
                    self.make_group().await?;
                }
                // A quarter of the time after which entries count as left behind.
                if claimed.is_none_or(|time| time.elapsed() >= self.settings.claim_after / 4) {
                    claimed = Some(Instant::now());
                    self.claim(&mut states).await?;
                    self.forget_the_gone().await?;
                }
                let entries = self.read().await?;
                self.handle(entries, &mut states).await
            };
            match turn.await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(failures, "events are heard again");
                    }
                    (failures, has_group) = (0, true);
                }
                Err(error) => {
                    // Also when the server lost its data: the group is made again.
                    has_group = false;
                    if failures == 0 && !is_no_group(&error) {
                        tracing::warn!(%error, stream = self.settings.stream, "events are not heard");
                    }
                    self.pause(failures, &mut states).await;
                    failures += 1;
                }
            }
        }
        self.leave().await;
    }

    /// Waits after a failure; tells whether the service stops.
    async fn pause(&self, failures: u32, states: &mut watch::Receiver<State>) -> bool {
        let pause = self
            .settings
            .first_pause
            .saturating_mul(1 << failures.min(20))
            .min(self.settings.longest_pause);
        let stopping = states.wait_for(|state| *state == State::Stopping);
        tokio::time::timeout(pause, stopping).await.is_ok()
    }

    async fn make_group(&self) -> Result<(), RedisError> {
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XGROUP");
        // From the beginning: what was sent before the first instance came is meant for it too.
        command
            .arg("CREATE")
            .arg(stream)
            .arg(group)
            .arg("0")
            .arg("MKSTREAM");
        match self.redis.command(stream, &command).await {
            Err(RedisError::Refused(cause)) if cause.to_string().starts_with("BUSYGROUP") => Ok(()),
            made => made.map(drop),
        }
    }

    async fn read(&self) -> Result<Vec<Entry>, RedisError> {
        let Settings {
            stream,
            group,
            batch,
            block,
            ..
        } = &self.settings;
        let block = u64::try_from(block.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(group).arg(&self.name);
        command.arg("COUNT").arg(*batch).arg("BLOCK").arg(block);
        command.arg("STREAMS").arg(stream).arg(">");
        let found = self.reader.command(stream, &command).await?;
        Ok(read_entries(found))
    }

    /// Takes over what other consumers left behind, and handles it.
    async fn claim(&self, states: &mut watch::Receiver<State>) -> Result<(), RedisError> {
        let Settings {
            stream,
            group,
            batch,
            claim_after,
            ..
        } = &self.settings;
        let idle = u64::try_from(claim_after.as_millis()).unwrap_or(u64::MAX);
        loop {
            let mut command = cmd("XPENDING");
            command.arg(stream).arg(group).arg("IDLE").arg(idle);
            command.arg("-").arg("+").arg(*batch);
            let pending = read_pending(self.redis.command(stream, &command).await?);
            if pending.is_empty() || *states.borrow() == State::Stopping {
                return Ok(());
            }
            let mut command = cmd("XCLAIM");
            command.arg(stream).arg(group).arg(&self.name).arg(idle);
            for Pending { id, .. } in &pending {
                command.arg(id);
            }
            let mut entries = Vec::new();
            for mut entry in entry::read_claimed(self.redis.command(stream, &command).await?) {
                let before = pending.iter().find(|pending| pending.id == entry.id);
                entry.deliveries += before.map_or(0, |pending| pending.deliveries);
                entries.push(entry);
            }
            if entries.is_empty() {
                // Others were faster, or the entries are no longer there.
                return Ok(());
            }
            tracing::info!(
                count = entries.len(),
                "events that a consumer left behind are handled"
            );
            self.handle(entries, states).await?;
        }
    }

    /// Handles entries until each is done or given up; those that fail are tried again after a pause.
    async fn handle(
        &self,
        mut entries: Vec<Entry>,
        states: &mut watch::Receiver<State>,
    ) -> Result<(), RedisError> {
        let mut round = 0;
        loop {
            let handled = entries.into_iter().map(|entry| async move {
                let handled = match &entry.data {
                    // Whoever took it so often and never came to an end was ended by it.
                    _ if entry.deliveries > MOST_DELIVERIES => Handled::Refused(format!(
                        "It was taken {} times and never done",
                        entry.deliveries
                    )),
                    Some(data) => {
                        self.subscriber
                            .handle(data, entry.arrival(&self.settings.stream))
                            .await
                    }
                    None => Handled::Refused("The entry has no field `data`".to_owned()),
                };
                (entry, handled)
            });
            let handled = handled.collect::<Vec<_>>();
            let handled: Vec<_> = stream::iter(handled)
                .buffer_unordered(AT_A_TIME)
                .collect()
                .await;
            let (mut done, mut again) = (Vec::new(), Vec::new());
            for (mut entry, handled) in handled {
                match handled {
                    Handled::Done(_) => done.push(entry.id),
                    Handled::Refused(reason) => {
                        self.give_up(&entry, &reason).await?;
                        done.push(entry.id);
                    }
                    Handled::Failed(reason) if entry.failures + 1 >= self.settings.max_attempts => {
                        entry.failures += 1;
                        self.give_up(&entry, &reason).await?;
                        done.push(entry.id);
                    }
                    Handled::Failed(reason) => {
                        tracing::error!(event = entry.id, reason, "an event is tried again");
                        entry.failures += 1;
                        again.push(entry);
                    }
                    Handled::Away(reason) => {
                        if round == 0 {
                            tracing::warn!(event = entry.id, reason, "an event is tried again");
                        }
                        again.push(entry);
                    }
                }
            }
            self.acknowledge(&done).await?;
            // What is left when the service stops, another one claims.
            if again.is_empty() || self.pause(round, states).await {
                return Ok(());
            }
            self.hold(&again).await?;
            entries = again;
            round += 1;
        }
    }

    async fn acknowledge(&self, ids: &[String]) -> Result<(), RedisError> {
        if ids.is_empty() {
            return Ok(());
        }
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XACK");
        command.arg(stream).arg(group).arg(ids);
        self.redis.command(stream, &command).await.map(drop)
    }

    /// Says that entries are still in hand, or others would claim them.
    async fn hold(&self, entries: &[Entry]) -> Result<(), RedisError> {
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XCLAIM");
        command.arg(stream).arg(group).arg(&self.name).arg(0);
        for entry in entries {
            command.arg(&entry.id);
        }
        // Without counting it as a delivery.
        command.arg("JUSTID");
        self.redis.command(stream, &command).await.map(drop)
    }

    /// Adds an entry to the dead letter stream. It is there twice when it can't be acknowledged afterwards.
    async fn give_up(&self, entry: &Entry, reason: &str) -> Result<(), RedisError> {
        let Settings {
            stream,
            dead_letter_stream: dead,
            ..
        } = &self.settings;
        tracing::error!(
            event = entry.id,
            stream,
            reason,
            "an event goes to the dead letter stream"
        );
        let mut command = cmd("XADD");
        command.arg(dead);
        if let Some(max_len) = self.settings.dead_letter_max_len {
            command.arg("MAXLEN").arg("~").arg(max_len);
        }
        command.arg("*");
        for (name, value) in &entry.fields {
            command.arg(name).arg(value);
        }
        command.arg("reason").arg(reason);
        command.arg("attempts").arg(entry.attempts());
        command.arg("entry").arg(&entry.id);
        self.redis.command(dead, &command).await.map(drop)
    }

    /// Forgets consumers that have nothing in hand and have not been heard of for long.
    async fn forget_the_gone(&self) -> Result<(), RedisError> {
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XINFO");
        command.arg("CONSUMERS").arg(stream).arg(group);
        let consumers = entry::read_consumers(self.redis.command(stream, &command).await?);
        for consumer in consumers {
            if consumer.pending == 0 && consumer.idle > GONE && consumer.name != self.name {
                self.forget(&consumer.name).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self, consumer: &str) -> Result<Value, RedisError> {
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XGROUP");
        command
            .arg("DELCONSUMER")
            .arg(stream)
            .arg(group)
            .arg(consumer);
        self.redis.command(stream, &command).await
    }

    /// Forgets this consumer, unless it has something in hand, which would be forgotten with it.
    async fn leave(&self) {
        let Settings { stream, group, .. } = &self.settings;
        let mut command = cmd("XPENDING");
        command
            .arg(stream)
            .arg(group)
            .arg("-")
            .arg("+")
            .arg(1)
            .arg(&self.name);
        let pending = self.redis.command(stream, &command).await;
        if pending.is_ok_and(|pending| read_pending(pending).is_empty()) {
            // If not now, another one does it later.
            let _ = self.forget(&self.name).await;
        }
    }
}

fn is_no_group(error: &RedisError) -> bool {
    matches!(error, RedisError::Refused(cause) if cause.to_string().starts_with("NOGROUP"))
}
