//! What runs beside the requests: publishing events, hearing those of others, following the changes of all instances.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use transcode::Event as _;

use super::registry::Registry;
use super::{BadConfiguration, Error};
use crate::audit::{self, Audit};
use crate::cache::CachedProducts;
use crate::config::{Config, PublisherKind};
use crate::domain::{Inventory, ProductStore};
use crate::events::feed::{Feed, Listener};
use crate::events::publisher::{Configured, Dapr, InProcess, RedisStreams, dapr};
use crate::events::relay::{self, Relay};
use crate::events::subscriber::redis_streams::{self, Consumer};
use crate::events::subscriber::{Subscriber, keep_short};
use crate::lifecycle::{Readiness, State};
use crate::pb::catalog::v1::InventoryUpdatedEvent;
use crate::redis::Redis;
use crate::store::{Bell, PgAudit, PgCounts, PgInbox, PgInventory, PgOutbox};
use crate::system::SystemEnvironment;
use crate::telemetry::metrics::{EventCounts, Metrics};
use crate::telemetry::trace::Tracer;
use crate::transport::ConsulProbe;

/// Longest time the last events get when the service stops; what is left, another instance or the next start publishes.
const FLUSH: Duration = Duration::from_secs(1);

/// The tasks that run as long as the service.
pub(super) struct Background {
    stop: oneshot::Sender<()>,
    relay: JoinHandle<()>,
    consumer: Option<JoinHandle<()>>,
    status: watch::Receiver<relay::Status>,
    counts: EventCounts,
    feed: Feed,
    audit: Option<(Audit, audit::Writer)>,
    registry: Option<Registry>,
}

impl Background {
    /// Starts them; a cache hears of all changes.
    pub(super) fn start<S: ProductStore>(
        config: &Config,
        tracer: &Tracer,
        pool: &PgPool,
        bell: &Bell,
        readiness: &Readiness,
        cache: Option<CachedProducts<S>>,
        inventory: Inventory<PgInventory, SystemEnvironment>,
    ) -> Result<Self, Error> {
        let publisher = publisher(config)?;
        let counts = EventCounts::default();
        let consumer = consumer(config, inventory, &counts, tracer)
            .map(|consumer| tokio::spawn(consumer.run(readiness.subscribe())));
        let inbox = PgInbox::new(pool.clone());
        tokio::spawn(keep_short(inbox, readiness.subscribe()));
        tokio::spawn(bell.clone().connect(pool.clone()));
        let outbox = PgOutbox::new(pool.clone());
        if let Some(cache) = cache.clone() {
            let outbox = outbox.clone();
            tokio::spawn(async move { cache.learn(&outbox).await });
        }
        let feed = Feed::new(outbox);
        tokio::spawn(follow(feed.clone(), bell.clone(), readiness.clone(), cache));
        tokio::spawn(count(
            PgCounts::new(pool.clone()),
            bell.clone(),
            readiness.clone(),
        ));
        let relay = Relay::new(
            PgOutbox::new(pool.clone()),
            publisher,
            SystemEnvironment,
            relay::Settings {
                batch: config.events.batch,
                max_attempts: config.events.max_attempts,
                retention: config.events.retention,
                ..relay::Settings::default()
            },
        )
        .counting(counts.clone())
        .traced(tracer.clone(), config.publisher().name());
        let status = relay.status();
        let audit = config.features.enable_audit_logging.then(|| {
            let settings = &config.audit;
            Audit::start(
                PgAudit::new(pool.clone()),
                settings.reads,
                settings.retention,
            )
        });
        let (stop, stopped) = oneshot::channel();
        let (bell, readiness) = (bell.listen(), readiness.clone());
        let relay = tokio::spawn(async move {
            if has_tables(&readiness).await {
                relay.run(bell, stopped).await;
            }
        });
        Ok(Self {
            stop,
            relay,
            consumer,
            status,
            counts,
            feed,
            audit,
            registry: None,
        })
    }

    /// Takes what the audit log is to say, where one is kept.
    pub(super) fn audit(&self) -> Option<Audit> {
        self.audit.as_ref().map(|(audit, _)| audit.clone())
    }

    /// Registers an instance that listens for HTTP and gRPC at these addresses, where Consul is configured.
    pub(super) fn register(
        &mut self,
        config: &Config,
        ports: [SocketAddr; 2],
        readiness: &Readiness,
        metrics: &Metrics,
    ) -> Result<(), Error> {
        self.registry = Registry::start(config, ports, readiness, metrics)?;
        Ok(())
    }

    /// How it stands between the instance and Consul.
    pub(super) fn consul(&self) -> Option<ConsulProbe> {
        self.registry.as_ref().map(Registry::probe)
    }

    /// All changes as they happen.
    pub(super) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Follows how publishing goes.
    pub(super) fn relay_status(&self) -> watch::Receiver<relay::Status> {
        self.status.clone()
    }

    /// What became of events.
    pub(super) fn event_counts(&self) -> EventCounts {
        self.counts.clone()
    }

    /// Publishes what is there, finishes what was heard, and ends.
    pub(super) async fn stop(self) {
        // A relay that has ended already needs no word.
        let _ = self.stop.send(());
        let heard = async {
            if let Some(consumer) = self.consumer {
                // One that panicked has ended too.
                let _ = consumer.await;
            }
        };
        let audited = async {
            if let Some((_, writer)) = self.audit {
                writer.stop().await;
            }
        };
        let (published, heard, ()) = tokio::join!(
            tokio::time::timeout(FLUSH, self.relay),
            tokio::time::timeout(FLUSH, heard),
            audited
        );
        if let Some(registry) = self.registry {
            registry.stop().await;
        }
        if published.is_err() {
            tracing::info!("stopping: some events are left to be published later");
        }
        if heard.is_err() {
            tracing::info!("stopping: some events are left to be handled by another instance");
        }
    }
}

/// The publisher that is configured. It connects when there is something to publish: a broker, or a sidecar, that is not
/// there yet holds up nothing.
fn publisher(config: &Config) -> Result<Configured, Error> {
    let pubsub = &config.dapr.pubsub_name;
    let unset = |key: &str| BadConfiguration(format!("events.publisher: {key} is not set"));
    Ok(match config.publisher() {
        PublisherKind::Dapr => {
            let api_token = config.dapr.api_token.as_ref();
            Configured::Dapr(Box::new(Dapr::new(dapr::Settings {
                http_port: (config.dapr.http_port).ok_or_else(|| unset("dapr.http_port"))?,
                pubsub: pubsub.clone(),
                api_token: api_token.map(|token| token.expose().to_owned()),
            })))
        }
        PublisherKind::Redis => {
            let redis = Redis::new(&config.data.redis).ok_or_else(|| unset("data.redis.addr"))?;
            let max_length = config.events.stream_max_length;
            let max_length = (max_length > 0).then_some(max_length);
            Configured::RedisStreams(RedisStreams::new(&redis, pubsub, max_length))
        }
        PublisherKind::InProcess => Configured::InProcess(InProcess::default()),
    })
}

/// What reads the streams of Redis, where events go there. Those of a sidecar come to the HTTP port.
fn consumer(
    config: &Config,
    inventory: Inventory<PgInventory, SystemEnvironment>,
    counts: &EventCounts,
    tracer: &Tracer,
) -> Option<Consumer<PgInventory, SystemEnvironment>> {
    if config.publisher() != PublisherKind::Redis {
        return None;
    }
    let redis = Redis::new(&config.data.redis)?;
    let max_length = config.events.stream_max_length;
    let settings = redis_streams::Settings {
        dead_letter_max_len: (max_length > 0).then_some(max_length),
        ..redis_streams::Settings::new(
            InventoryUpdatedEvent::TOPIC,
            InventoryUpdatedEvent::SPEC.dead_letter_topic?,
            &config.events.consumer_group,
        )
    };
    let subscriber = Subscriber::new(inventory)
        .counting(counts.clone())
        .traced(tracer.clone());
    Some(Consumer::new(
        subscriber,
        &redis,
        &SystemEnvironment,
        settings,
    ))
}

/// Tells the watchers, and those in this process who listen, of all changes.
async fn follow<L: Listener>(feed: Feed, bell: Bell, readiness: Readiness, listener: L) {
    if has_tables(&readiness).await {
        feed.run(bell.listen(), listener).await;
    }
}

/// Moves the counts of products on.
async fn count(counts: PgCounts, bell: Bell, readiness: Readiness) {
    if has_tables(&readiness).await {
        counts.run(bell.listen()).await;
    }
}

/// Waits for the tables, which may not be there yet.
pub(super) async fn has_tables(readiness: &Readiness) -> bool {
    let mut states = readiness.subscribe();
    states
        .wait_for(|state| matches!(state, State::Ready | State::Stopping))
        .await
        .is_ok()
}
