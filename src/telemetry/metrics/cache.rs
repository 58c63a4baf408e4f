//! How often the cache had what was asked for.

use std::sync::Arc;

use super::{Page, Source};
use crate::cache::{Counts, Statistics};

/// `cache_hits_total` and `cache_misses_total`, per layer and kind.
#[derive(Debug)]
pub struct CacheMetrics(pub Arc<Statistics>);

impl Source for CacheMetrics {
    fn write(&self, page: &mut Page) {
        let Statistics { local, redis } = &*self.0;
        let counts = [
            ("local", "product", &local.products),
            ("local", "list", &local.lists),
            ("redis", "product", &redis.products),
            ("redis", "list", &redis.lists),
        ];
        let mut write = |name, help, value: fn(&Counts) -> u64| {
            let mut family = page.counter(name, help);
            for (layer, kind, counts) in counts {
                family.sample(&[("layer", layer), ("kind", kind)], value(counts));
            }
        };
        write(
            "cache_hits_total",
            "Look-ups that were answered by a layer of the cache",
            Counts::hits,
        );
        write(
            "cache_misses_total",
            "Look-ups that a layer of the cache had nothing fresh for",
            Counts::misses,
        );
    }
}
