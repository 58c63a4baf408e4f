//! What of the service is shown to those who observe it.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::background::Background;
use super::stores::Stores;
use crate::config::{Config, PublisherKind};
use crate::domain::Environment as _;
use crate::lifecycle::{Readiness, State};
use crate::store::PgOutbox;
use crate::store::outbox::Backlog;
use crate::system::SystemEnvironment;
use crate::telemetry::metrics::{
    CacheMetrics, DatabaseMetrics, EventMetrics, Metrics, ProcessMetrics,
};
use crate::telemetry::trace::Tracer;
use crate::transport::DaprProbe;

/// How often it is looked what is left to be published.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(5);

/// Where the parts show what they do.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) tracer: &'a Tracer,
}

/// The metrics of the parts; further ones add themselves.
pub(super) fn metrics(
    started: Instant,
    pool: &PgPool,
    stores: &Stores,
    background: &Background,
    readiness: &Readiness,
) -> Metrics {
    let metrics = Metrics::default();
    metrics.add(ProcessMetrics::new(since_1970(started), Handle::current()));
    metrics.add(DatabaseMetrics(stores.connections.clone()));
    if stores.caching {
        metrics.add(CacheMetrics(stores.products.statistics()));
    }
    let (sender, backlog) = watch::channel(None);
    let outbox = PgOutbox::new(pool.clone());
    tokio::spawn(watch_backlog(outbox, readiness.clone(), sender));
    metrics.add(EventMetrics {
        counts: background.event_counts(),
        status: background.relay_status(),
        backlog,
    });
    metrics
}

/// Looks at the Dapr sidecar, where there is one.
pub(super) fn dapr(config: &Config, metrics: &Metrics) -> Option<DaprProbe> {
    let dapr = &config.dapr;
    let publishes = config.publisher() == PublisherKind::Dapr;
    let expected = publishes.then(|| dapr.pubsub_name.clone());
    let expected = expected.into_iter().chain([dapr.state_store_name.clone()]);
    let expected: Vec<_> = expected.collect();
    let probe = DaprProbe::new(dapr.http_port?, dapr.api_token.clone(), expected);
    metrics.add(probe.clone());
    tokio::spawn(probe.clone().watch());
    Some(probe)
}

/// A point of the monotonic clock as a time of the calendar.
fn since_1970(point: Instant) -> Duration {
    let now = SystemEnvironment.now().unix_timestamp_nanos();
    let now = Duration::from_nanos(u64::try_from(now).unwrap_or_default());
    now.saturating_sub(point.elapsed())
}

/// Looks from time to time at what is left to be published. While the database is away nothing is known of it.
async fn watch_backlog(
    outbox: PgOutbox,
    readiness: Readiness,
    sender: watch::Sender<Option<Backlog>>,
) {
    while !sender.is_closed() {
        let ready = readiness.state() == State::Ready;
        let backlog = if ready {
            outbox.backlog().await.ok()
        } else {
            None
        };
        sender.send_replace(backlog);
        tokio::time::sleep(BACKLOG_INTERVAL).await;
    }
}
