//! The layer in the process: bounded, one read of a key at a time, and nothing that is not fresh.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::Shared as SharedFuture;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use super::freshness::Stamp;
use crate::domain::Error;
use crate::domain::error::Result;
use crate::telemetry::request::RequestRecord;

/// A value is read anew, while it is still given, from this part of its life on.
const REFRESH_AFTER: f64 = 0.9;

/// What a read came to, for all who waited for it.
type Outcome<V> = std::result::Result<V, Arc<Error>>;

/// A value with what it needs to be kept.
pub(super) struct Loaded<V> {
    pub value: V,
    /// How long it is kept.
    pub ttl: Duration,
    /// About how many bytes it takes.
    pub bytes: usize,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    stamp: Stamp,
    refresh_at: Instant,
    expires_at: Instant,
    bytes: u32,
}

/// A read that is under way.
struct Flight<V> {
    stamp: Stamp,
    outcome: SharedFuture<oneshot::Receiver<Outcome<V>>>,
}

#[derive(Clone)]
struct Bytes;

impl<K, V> Weighter<K, Entry<V>> for Bytes {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        u64::from(entry.bytes)
    }
}

/// Values by key. Clones share them.
pub(super) struct Local<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    entries: Cache<K, Entry<V>, Bytes>,
    flights: Mutex<HashMap<K, Flight<V>>>,
}

impl<K, V> Clone for Local<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Local<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A layer that takes about `max_bytes`, in values of about `expected_bytes` each.
    pub fn new(max_bytes: usize, expected_bytes: usize) -> Self {
        let entries = Cache::with_weighter(max_bytes / expected_bytes, max_bytes as u64, Bytes);
        Self(Arc::new(Inner {
            entries,
            flights: Mutex::default(),
        }))
    }

    /// The value of a key, if it is as fresh as `stamp`. Where it is soon to expire, `load` is begun for those who come
    /// later.
    pub fn get<F>(&self, key: &K, stamp: Stamp, load: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = Result<Loaded<V>>> + Send + 'static,
    {
        let entry = self.0.entries.get(key)?;
        if entry.stamp != stamp {
            return None;
        }
        let now = Instant::now();
        if now >= entry.refresh_at {
            if now >= entry.expires_at {
                return None;
            }
            // Nobody waits for it; its task goes on by itself.
            drop(self.begin(key, stamp, load));
        }
        Some(entry.value)
    }

    /// The value of a key as `load` reads it; all who ask meanwhile wait for the one read. Whoever asks after a change
    /// does not wait for a read that began before it.
    pub async fn load<F>(&self, key: &K, stamp: Stamp, load: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<Loaded<V>>> + Send + 'static,
    {
        match self.begin(key, stamp, load).await {
            Ok(outcome) => outcome.map_err(same_for_all),
            Err(_) => Err(Error::Internal("a read of the store panicked".into())),
        }
    }

    fn begin<F>(
        &self,
        key: &K,
        stamp: Stamp,
        load: impl FnOnce() -> F,
    ) -> SharedFuture<oneshot::Receiver<Outcome<V>>>
    where
        F: Future<Output = Result<Loaded<V>>> + Send + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(key)
            && flight.stamp == stamp
        {
            return flight.outcome.clone();
        }
        let (sender, outcome) = oneshot::channel();
        let outcome = outcome.shared();
        let flight = Flight {
            stamp,
            outcome: outcome.clone(),
        };
        flights.insert(key.clone(), flight);
        drop(flights);
        let landing = Landing {
            local: self.clone(),
            key: key.clone(),
            stamp,
        };
        let load = load();
        // In a task, so that a caller who goes away does not end it for the others.
        let task = async move {
            let outcome = load.await.map_err(Arc::new);
            if let Ok(loaded) = &outcome {
                landing.keep(loaded);
            }
            drop(landing);
            // Nobody may be waiting any more.
            let _ = sender.send(outcome.map(|loaded| loaded.value));
        };
        tokio::spawn(RequestRecord::carry(task));
        outcome
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        self.0
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight, also when its read panics.
struct Landing<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    local: Local<K, V>,
    key: K,
    stamp: Stamp,
}

impl<K, V> Landing<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn keep(&self, loaded: &Loaded<V>) {
        let now = Instant::now();
        let entry = Entry {
            value: loaded.value.clone(),
            stamp: self.stamp,
            refresh_at: now + loaded.ttl.mul_f64(REFRESH_AFTER),
            expires_at: now + loaded.ttl,
            bytes: u32::try_from(loaded.bytes).unwrap_or(u32::MAX).max(1),
        };
        // Held, so that a read which began later, after a change, is not overwritten.
        let flights = self.local.flights();
        if flights
            .get(&self.key)
            .is_some_and(|flight| flight.stamp == self.stamp)
        {
            self.local.0.entries.insert(self.key.clone(), entry);
        }
    }
}

impl<K, V> Drop for Landing<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let mut flights = self.local.flights();
        if flights
            .get(&self.key)
            .is_some_and(|flight| flight.stamp == self.stamp)
        {
            flights.remove(&self.key);
        }
    }
}

/// One error for several callers.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct SameForAll(Arc<Error>);

fn same_for_all(error: Arc<Error>) -> Error {
    match *error {
        Error::Unavailable(_) => Error::Unavailable(SameForAll(error).into()),
        // A read of the store fails in no other way.
        _ => Error::Internal(SameForAll(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::cache::freshness::{Freshness, Place};

    const PLACE: Place = Place::Product(7);

    struct Scene {
        freshness: Freshness,
        local: Local<u32, u32>,
        reads: Arc<AtomicU32>,
    }

    fn scene() -> Scene {
        let freshness = Freshness::default();
        freshness.find();
        let (local, reads) = (Local::new(10_000, 100), Arc::default());
        Scene {
            freshness,
            local,
            reads,
        }
    }

    impl Scene {
        fn stamp(&self) -> Stamp {
            self.freshness.stamp(PLACE).expect("followed")
        }

        fn read(&self, ttl: Duration) -> impl Future<Output = Result<Loaded<u32>>> + Send + use<> {
            let reads = self.reads.clone();
            async move {
                tokio::task::yield_now().await;
                let value = reads.fetch_add(1, Ordering::Relaxed) + 1;
                let bytes = 100;
                Ok(Loaded { value, ttl, bytes })
            }
        }

        fn get(&self) -> Option<u32> {
            let hour = Duration::from_hours(1);
            self.local.get(&1, self.stamp(), || self.read(hour))
        }

        async fn load(&self, ttl: Duration) -> u32 {
            let load = self.local.load(&1, self.stamp(), || self.read(ttl));
            load.await.expect("a value")
        }
    }

    #[tokio::test]
    async fn many_ask_and_one_reads() {
        let scene = scene();
        let hour = Duration::from_hours(1);
        let asked = futures_util::future::join_all((0..50).map(|_| scene.load(hour))).await;
        assert!(asked.iter().all(|value| *value == 1));
        assert_eq!(scene.get(), Some(1));
        assert!(scene.local.flights().is_empty());
    }

    #[tokio::test]
    async fn who_asks_after_a_change_reads_again() {
        let scene = scene();
        let hour = Duration::from_hours(1);
        let (stamp, early) = (scene.stamp(), scene.read(hour));
        let early = scene.local.load(&1, stamp, || early);
        tokio::pin!(early);
        assert!((&mut early).now_or_never().is_none(), "it is on its way");
        scene.freshness.change([PLACE], None);
        let late = scene.load(hour);
        let (early, late) = tokio::join!(early, late);
        assert_ne!(early.expect("a value"), late);
        assert_eq!(scene.get(), Some(late), "the later one is kept");
        assert!(scene.local.flights().is_empty());
    }

    #[tokio::test]
    async fn values_expire_and_are_read_before() {
        let scene = scene();
        scene.load(Duration::ZERO).await;
        assert_eq!(scene.get(), None, "expired at once");
        let ttl = Duration::from_millis(200);
        assert_eq!(scene.load(ttl).await, 2);
        assert_eq!(scene.get(), Some(2));
        tokio::time::sleep(ttl.mul_f64(0.92)).await;
        if scene.get() == Some(2) {
            // Begun by the look above.
            let begun = Instant::now();
            while scene.get() != Some(3) {
                assert!(begun.elapsed() < Duration::from_secs(10));
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn failures_reach_all_and_are_not_kept() {
        let scene = scene();
        let fail = || async {
            tokio::task::yield_now().await;
            Err(Error::Unavailable("away".into()))
        };
        let load = || scene.local.load(&1, scene.stamp(), fail);
        let (a, b) = tokio::join!(load(), load());
        assert!(matches!(a, Err(Error::Unavailable(_))));
        assert!(matches!(b, Err(Error::Unavailable(_))));
        assert_eq!(scene.load(Duration::from_hours(1)).await, 1);
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let scene = scene();
        let panic = || async { panic!("on purpose") };
        let result = scene.local.load(&1, scene.stamp(), panic).await;
        assert!(matches!(result, Err(Error::Internal(_))));
        assert_eq!(scene.load(Duration::from_hours(1)).await, 1);
    }

    #[tokio::test]
    async fn it_stays_within_its_bytes() {
        let scene = scene();
        let hour = Duration::from_hours(1);
        for key in 0..1000 {
            let load = scene.local.load(&key, scene.stamp(), || scene.read(hour));
            load.await.expect("a value");
        }
        assert!(scene.local.0.entries.weight() <= 10_000);
        assert!(scene.local.0.entries.len() > 10);
    }
}
