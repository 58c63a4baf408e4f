//! How long things take, in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the buckets. 100, 300 and 500 milliseconds are what the service promises, so that a bucket tells
/// whether it keeps it.
pub(super) const BOUNDS: [Duration; 17] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// A histogram of durations. Recording is two additions.
#[derive(Debug)]
pub struct Times {
    /// How many fell between two bounds; the last is for what is longer than all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl Times {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1],
            nanos: AtomicU64::new(0),
        }
    }

    /// Adds a duration.
    pub fn record(&self, took: Duration) {
        let bucket = BOUNDS.iter().position(|bound| took <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets().sum()
    }

    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let times = Times::new();
        for micros in [0, 100, 101, 31_000_000] {
            times.record(Duration::from_micros(micros));
        }
        let buckets: Vec<_> = times.buckets().collect();
        assert_eq!((buckets[0], buckets[1]), (2, 1));
        assert_eq!(buckets.last(), Some(&1));
        assert_eq!(times.count(), 4);
        assert!(BOUNDS.is_sorted());
    }
}
