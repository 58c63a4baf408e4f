//! The part of `/health` on the cache: how much it spares the database, and whether its Redis answers.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::{HEALTHY, UNHEALTHY, milliseconds};
use crate::cache::Statistics;
use crate::redis::Redis;

/// What is looked at.
pub struct CacheProbe {
    /// Its layer in Redis, where it has one.
    pub redis: Option<Redis>,
    /// How often what was asked for was there.
    pub statistics: Arc<Statistics>,
}

/// What is said. Rates are absent before the first look-up.
#[derive(Serialize)]
pub(super) struct Cache {
    pub(super) status: &'static str,
    /// Of Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<String>,
    /// Look-ups that did not reach the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    hit_rate: Option<String>,
    layers: Layers,
}

/// The hit rates of the layers; those of Redis are of what was not in the process.
#[derive(Serialize)]
struct Layers {
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<String>,
}

impl CacheProbe {
    /// Without its Redis it is unhealthy, though it goes on in the process.
    pub(super) async fn look(&self) -> Cache {
        let begun = Instant::now();
        let answered = match &self.redis {
            Some(redis) => Some(redis.ping().await.is_ok()),
            None => None,
        };
        let percent = |rate: Option<u64>| rate.map(|rate| format!("{rate}%"));
        Cache {
            status: if answered == Some(false) {
                UNHEALTHY
            } else {
                HEALTHY
            },
            latency: (answered == Some(true)).then(|| milliseconds(begun)),
            hit_rate: percent(self.statistics.hit_rate()),
            layers: Layers {
                local: percent(self.statistics.local.hit_rate()),
                redis: percent(self.statistics.redis.hit_rate()),
            },
        }
    }
}
