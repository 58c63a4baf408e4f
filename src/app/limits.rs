//! Wires what keeps callers within bounds.

use sqlx::PgPool;

use crate::config::Config;
use crate::lifecycle::Readiness;
use crate::rate_limit::{RateLimits, Settings};
use crate::redis::Redis;
use crate::service::KeptAnswers;
use crate::store::PgAnswers;
use crate::system::SystemEnvironment;

/// The limits of callers, unless they may call as often as they like.
pub(super) fn rate_limits(config: &Config) -> Option<RateLimits<SystemEnvironment>> {
    let limit = &config.rate_limit;
    let redis = &config.data.redis;
    let settings = Settings {
        requests_per_minute: limit.requests_per_minute,
        read_requests_per_minute: limit.read_requests_per_minute,
        write_requests_per_minute: limit.write_requests_per_minute,
        prefix: config.cache.prefix.clone(),
        longest_wait: redis.read_timeout.max(redis.write_timeout),
    };
    // A connection of their own, on which they wait behind nothing else.
    let limits = || RateLimits::new(settings, Redis::new(redis), SystemEnvironment);
    limit.enable.then(limits)
}

/// What was answered to calls that are to be made once, and a task that forgets it in time.
pub(super) fn answers(
    config: &Config,
    pool: &PgPool,
    readiness: &Readiness,
) -> KeptAnswers<SystemEnvironment> {
    let ttl = config.idempotency.ttl;
    let store = PgAnswers::new(pool.clone());
    tokio::spawn(store.clone().keep_short(ttl, readiness.subscribe()));
    KeptAnswers::new(store, SystemEnvironment, ttl)
}
