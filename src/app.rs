//! The composition root: makes the parts, wires them by hand, runs them until the service is to stop.

mod background;
mod embedded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use sqlx::PgPool;
use tokio::net::TcpListener;
use transcode::rest::{Settings, Transcoder};

use background::Background;
pub use embedded::Embedded;

use crate::auth::{VerifiedTokens, Verifier};
use crate::cache::{self, CachedProducts};
use crate::config::{Config, PublisherKind};
use crate::domain::{Catalog, Inventory};
use crate::events::subscriber::{Subscriber, dapr};
use crate::lifecycle::{DRAIN, Readiness, State, stop_on_signal};
use crate::migrate::{self, Migrator, Source, TableName};
use crate::pb::catalog::v1 as pb;
use crate::pb::catalog::v1::catalog_service_server::CatalogServiceServer;
use crate::redis::Redis;
use crate::service::CatalogHandler;
use crate::store::postgres::{PoolSettings, pool};
use crate::store::{Bell, PgInbox, PgInventory, PgOutbox, PgProducts};
use crate::system::SystemEnvironment;
use crate::telemetry::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::transport::{
    AccessPolicy, CacheProbe, EventsProbe, GrpcPort, GrpcServices, HttpApi, HttpPort, Probes,
    grpc_port, http_port, serve,
};

/// Any error that ends the service.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A value of the configuration that only its use shows to be wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfiguration(pub String);

/// How often the state of the database is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// What the service needs besides its configuration.
pub struct Parts {
    /// URL of the database.
    pub database_url: String,
    /// Whether to bring the tables up to date at the start.
    pub auto_migrate: bool,
    /// Checks tokens.
    pub verifier: Verifier,
    /// When the process began.
    pub started: Instant,
    /// Gets a line for each request.
    pub access_log: AccessLog,
}

/// A service whose ports are open.
pub struct App {
    http: (TcpListener, HttpPort<SystemEnvironment>),
    grpc: (TcpListener, GrpcPort<SystemEnvironment>),
    metrics: Option<(TcpListener, Router)>,
    readiness: Readiness,
    background: Background,
}

impl App {
    /// Opens the ports and wires the parts. The database need not be there yet.
    ///
    /// # Errors
    /// When a port is taken, the URL of the database is wrong or a migration fails.
    pub async fn start(config: &Config, parts: Parts) -> Result<Self, Error> {
        let http = bind(
            config.server.http.addr,
            "server.http.addr (SERVER_HTTP_ADDR)",
        )
        .await?;
        let grpc = bind(
            config.server.grpc.addr,
            "server.grpc.addr (SERVER_GRPC_ADDR)",
        )
        .await?;
        let prometheus = match config.metrics.prometheus_port {
            Some(port) => {
                let addr = SocketAddr::new(config.server.http.addr.ip(), port);
                Some(bind(addr, "metrics.prometheus_port (PROMETHEUS_PORT)").await?)
            }
            None => None,
        };
        let table = TableName::from(config.migration.table.as_str());
        if parts.auto_migrate {
            migrate_up(&parts.database_url, &table, config.migration.lock_timeout).await?;
        }
        let database = &config.data.database;
        let settings = PoolSettings {
            max_connections: database.max_connections,
            acquire_timeout: database.timeout,
            statement_timeout: database.timeout,
        };
        let pool = pool(&parts.database_url, &settings).map_err(
            |_| "data.database.source (DATABASE_URL) is not a URL of a PostgreSQL database",
        )?;
        let readiness = Readiness::default();
        check_database(&pool, &table, &readiness).await;
        tokio::spawn(watch_database(pool.clone(), table, readiness.clone()));
        let bell = Bell::default();
        let stores = Stores::new(config, &pool, &bell);
        let background = Background::start(
            config,
            &pool,
            &bell,
            &readiness,
            stores.cache(),
            stores.inventory.clone(),
        )?;
        let metrics = Metrics::new(stores.caching.then(|| stores.products.statistics()));
        let (http_port, grpc_port) = ports(
            config,
            parts,
            pool,
            stores,
            &background,
            &readiness,
            metrics.clone(),
        )?;
        Ok(Self {
            http: (http, http_port),
            grpc: (grpc, grpc_port),
            metrics: prometheus.map(|listener| (listener, metrics.router())),
            readiness,
            background,
        })
    }

    /// The address of the HTTP port.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn http_addr(&self) -> std::io::Result<SocketAddr> {
        self.http.0.local_addr()
    }

    /// The address of the gRPC port.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn grpc_addr(&self) -> std::io::Result<SocketAddr> {
        self.grpc.0.local_addr()
    }

    /// Whether requests can be answered.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Serves until a signal says to stop and what is under way is finished.
    pub async fn run(self) {
        let signals = tokio::spawn(stop_on_signal(self.readiness.clone()));
        let (readiness, late) = (self.readiness.clone(), self.readiness.clone());
        let stopping = || {
            let readiness = readiness.clone();
            async move { readiness.stopping().await }
        };
        if let Some((listener, metrics)) = self.metrics {
            // Not drained: a scrape is no request that anybody misses.
            tokio::spawn(serve(listener, metrics, stopping()));
        }
        tokio::select! {
            _ = async {
                let ((http, http_port), (grpc, grpc_port)) = (self.http, self.grpc);
                tokio::join!(
                    serve(http, http_port, stopping()),
                    serve(grpc, grpc_port, stopping()),
                )
            } => {}
            () = async { late.stopping().await; tokio::time::sleep(DRAIN).await } => {
                tracing::warn!("stopping: some requests took too long and were cut off");
            }
        }
        // After the last request, whose events are among those that are still to be published.
        self.background.stop().await;
        signals.abort();
    }
}

/// What requests and events read and write.
struct Stores {
    products: CachedProducts<PgProducts>,
    inventory: Inventory<PgInventory, SystemEnvironment>,
    redis: Option<Redis>,
    /// Without it nothing is told of changes to the cache, which then keeps nothing.
    caching: bool,
}

impl Stores {
    fn new(config: &Config, pool: &PgPool, bell: &Bell) -> Self {
        let caching = config.features.enable_caching;
        let redis = Redis::new(&config.data.redis).filter(|_| caching);
        let settings = cache::Settings {
            local_max_bytes: config.cache.local_max_bytes,
            prefix: config.cache.prefix.clone(),
            product_ttl: config.cache.product_ttl,
            list_ttl: config.cache.list_ttl,
        };
        let products = PgProducts::new(pool.clone(), bell.clone());
        let inventory = PgInventory::new(pool.clone(), bell.clone());
        Self {
            products: CachedProducts::new(products, redis.clone(), settings),
            inventory: Inventory::new(inventory, SystemEnvironment),
            redis,
            caching,
        }
    }

    fn cache(&self) -> Option<CachedProducts<PgProducts>> {
        self.caching.then(|| self.products.clone())
    }
}

fn ports(
    config: &Config,
    parts: Parts,
    pool: PgPool,
    stores: Stores,
    background: &Background,
    readiness: &Readiness,
    metrics: Metrics,
) -> Result<(HttpPort<SystemEnvironment>, GrpcPort<SystemEnvironment>), Error> {
    let max_bytes = config.server.http.max_body_bytes;
    let policy = AccessPolicy {
        environment: SystemEnvironment,
        tokens: VerifiedTokens::new(parts.verifier),
        readiness: readiness.clone(),
        http_timeout: config.server.http.timeout,
        grpc_timeout: config.server.grpc.timeout,
    };
    let catalog = Catalog::new(stores.products.clone(), SystemEnvironment);
    let dapr = (config.publisher() == PublisherKind::Dapr).then(|| {
        let settings = dapr::Settings {
            pubsub: config.dapr.pubsub_name.clone(),
            token: config.dapr.app_api_token.clone(),
        };
        let subscriber = Subscriber::new(stores.inventory.clone());
        dapr::router(
            subscriber,
            PgInbox::new(pool.clone()),
            SystemEnvironment,
            settings,
        )
    });
    let handler = CatalogHandler::new(catalog, stores.inventory, background.feed());
    let policy = Arc::new(policy);
    let stack = pb::CatalogServiceStack::new(Arc::new(handler), policy.clone());
    let settings = Settings {
        max_body_bytes: max_bytes,
        reasons: &pb::REASONS,
        envelope: true,
        ..Settings::default()
    };
    let transcoder = Transcoder::new(
        settings,
        [Box::new(stack.clone()) as Box<dyn transcode::rest::Service>],
    );

    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(reporter, readiness.clone()));
    let grpc = GrpcServices {
        catalog: Arc::new(stack),
        policy,
        health,
        max_message_bytes: max_bytes,
    }
    .routes()?;
    let probes = Probes {
        events: EventsProbe {
            outbox: PgOutbox::new(pool.clone()),
            publisher: config.publisher().name(),
            status: background.relay_status(),
        },
        pool,
        max_connections: config.data.database.max_connections,
        readiness: readiness.clone(),
        started: parts.started,
        cache: stores.caching.then(|| CacheProbe {
            redis: stores.redis,
            statistics: stores.products.statistics(),
        }),
    };
    let api = HttpApi {
        transcoder,
        grpc: grpc.clone(),
        dapr,
        probes: Arc::new(probes),
        allowed_origins: config.server.http.cors.allowed_origins.clone(),
    };
    let environment = Arc::new(SystemEnvironment);
    Ok((
        http_port(api, environment.clone(), parts.access_log.clone()),
        grpc_port(grpc, metrics.router(), environment, parts.access_log),
    ))
}

async fn bind(addr: SocketAddr, key: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| format!("{key}: {addr} can't be opened: {error}").into())
}

/// Brings the tables up to date with the migrations that are built in.
async fn migrate_up(url: &str, table: &TableName, lock_timeout: Duration) -> Result<(), Error> {
    let options = migrate::Options {
        table: Some(table.clone()),
        lock_timeout,
    };
    let mut migrator = Migrator::connect(url, Source::embedded(), options).await?;
    migrator.on_step(|step| tracing::info!(migration = %step, "migrated"));
    let result = migrator.up(None).await;
    migrator.close().await;
    result.map(|_| ()).map_err(Into::into)
}

/// Looks at the database from time to time, so that the service comes back when the database does.
async fn watch_database(pool: PgPool, table: TableName, readiness: Readiness) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        check_database(&pool, &table, &readiness).await;
    }
}

async fn check_database(pool: &PgPool, table: &TableName, readiness: &Readiness) {
    let look = async {
        let mut connection = pool.acquire().await.map_err(|error| error.to_string())?;
        migrate::status(&mut connection, &Source::embedded(), table)
            .await
            .map_err(|error| error.to_string())
    };
    let (state, newer) = match tokio::time::timeout(CHECK_INTERVAL, look).await {
        Ok(Ok(status)) if status.dirty => (
            State::DirtyMigration(status.applied.map_or(-1, |applied| applied.version)),
            None,
        ),
        Ok(Ok(status)) if !status.pending.is_empty() => {
            (State::PendingMigrations(status.pending), None)
        }
        Ok(Ok(status)) => (State::Ready, status.unknown_newer),
        Ok(Err(error)) => {
            tracing::debug!(error, "the database does not answer");
            (State::DatabaseDown, None)
        }
        Err(_) => (State::DatabaseDown, None),
    };
    if readiness.set(state.clone()) {
        match (&state, newer) {
            (State::Ready, Some(version)) => {
                tracing::warn!(
                    version,
                    "the database is migrated further than this version of the service knows"
                );
            }
            (State::Ready, None) => tracing::info!("ready"),
            _ => tracing::warn!(reason = state.describe(), "not ready"),
        }
    }
}

/// Says in gRPC's own way whether calls can be answered.
async fn report_health(reporter: tonic_health::server::HealthReporter, readiness: Readiness) {
    let mut states = readiness.subscribe();
    loop {
        let serving = match *states.borrow_and_update() {
            State::Ready => tonic_health::ServingStatus::Serving,
            _ => tonic_health::ServingStatus::NotServing,
        };
        let catalog = <CatalogServiceServer<()> as tonic::server::NamedService>::NAME;
        reporter.set_service_status("", serving).await;
        reporter.set_service_status(catalog, serving).await;
        if states.changed().await.is_err() {
            return;
        }
    }
}
