//! How often what was asked for was there.

use std::sync::atomic::{AtomicU64, Ordering};

/// Hits and misses of one layer for one kind of thing.
#[derive(Debug, Default)]
pub struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counts {
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was there.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often it was not there, or not fresh.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// The counts of one layer.
#[derive(Debug, Default)]
pub struct Layer {
    /// Single products.
    pub products: Counts,
    /// Pages of lists.
    pub lists: Counts,
}

impl Layer {
    /// Hits among all look-ups, in percent; none before the first.
    pub fn hit_rate(&self) -> Option<u64> {
        let hits = self.products.hits() + self.lists.hits();
        let all = hits + self.products.misses() + self.lists.misses();
        (hits * 100).checked_div(all)
    }
}

/// The counts of all layers since the process began.
#[derive(Debug, Default)]
pub struct Statistics {
    /// In the process.
    pub local: Layer,
    /// In Redis; asked only for what is not in the process.
    pub redis: Layer,
}

impl Statistics {
    /// Look-ups that did not reach the database among all, in percent; none before the first.
    pub fn hit_rate(&self) -> Option<u64> {
        let found = |layer: &Layer| layer.products.hits() + layer.lists.hits();
        let local = &self.local;
        let all = found(local) + local.products.misses() + local.lists.misses();
        ((found(local) + found(&self.redis)) * 100).checked_div(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let statistics = Statistics::default();
        assert_eq!(statistics.hit_rate(), None);
        statistics.local.products.hit();
        statistics.local.lists.miss();
        statistics.redis.lists.hit();
        statistics.local.lists.miss();
        statistics.redis.lists.miss();
        assert_eq!(statistics.local.hit_rate(), Some(33));
        assert_eq!(statistics.redis.hit_rate(), Some(50));
        assert_eq!(statistics.hit_rate(), Some(66));
    }
}
