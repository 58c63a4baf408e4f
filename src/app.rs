//! The composition root: makes the parts, wires them by hand, runs them until the service is to stop.

mod background;
mod database;
mod embedded;
mod identity;
mod limits;
mod observability;
mod ports;
mod registry;
mod search;
mod stores;
mod traces;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;

use background::Background;
pub use embedded::Embedded;
pub use identity::{IdentityKeys, roles};
use observability::Shown;
pub use registry::{check as check_consul, client as consul};
use stores::Stores;
use traces::Traces;

use crate::auth::Verifier;
use crate::config::Config;
use crate::lifecycle::{DRAIN, Readiness, stop_on_signal};
use crate::migrate::TableName;
use crate::store::Bell;
use crate::system::SystemEnvironment;
use crate::telemetry::AccessLog;
use crate::telemetry::metrics::MigrationMetrics;
use crate::tls::Tls;
use crate::transport::{GrpcPort, HttpPort, Port, protected, serve};

/// Any error that ends the service.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A value of the configuration that only its use shows to be wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfiguration(pub String);

/// What the service needs besides its configuration.
pub struct Parts {
    /// URL of the database.
    pub database_url: String,
    /// Whether to bring the tables up to date at the start.
    pub auto_migrate: bool,
    /// Checks tokens.
    pub verifier: Verifier,
    /// What the identity service needs, or why there is none.
    pub identity: Result<IdentityKeys, &'static str>,
    /// When the process began.
    pub started: Instant,
    /// Gets a line for each request.
    pub access_log: AccessLog,
}

/// The certificate of the ports, where they have one.
fn tls(config: &Config) -> Result<Option<Tls>, Error> {
    let tls = Tls::load(&config.server.tls);
    Ok(tls.map_err(|error| BadConfiguration(format!("server.tls: {error}")))?)
}

/// Whether the files of the ports' certificate are of use.
///
/// # Errors
/// When they are not.
pub fn check_tls(config: &Config) -> Result<(), Error> {
    tls(config).map(drop)
}

/// A service whose ports are open.
pub struct App {
    http: (TcpListener, HttpPort<SystemEnvironment>),
    grpc: (TcpListener, GrpcPort<SystemEnvironment>),
    metrics: Option<(TcpListener, Router)>,
    tls: Option<Tls>,
    readiness: Readiness,
    background: Background,
    access_log: AccessLog,
    traces: Traces,
}

impl App {
    /// Opens the ports and wires the parts. The database need not be there yet.
    ///
    /// # Errors
    /// When a port is taken, the URL of the database is wrong or a migration fails.
    pub async fn start(config: &Config, parts: Parts) -> Result<Self, Error> {
        let tls = tls(config)?;
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
        let migrations = MigrationMetrics::default();
        if parts.auto_migrate {
            let lock_timeout = config.migration.lock_timeout;
            database::migrate_up(&parts.database_url, &table, lock_timeout, &migrations).await?;
        }
        let pool = database::pool(config, &parts.database_url)?;
        let readiness = Readiness::default();
        let watch = database::Watch {
            pool: pool.clone(),
            table,
            readiness: readiness.clone(),
            migrations: migrations.clone(),
        };
        watch.check().await;
        tokio::spawn(watch.run());
        let bell = Bell::default();
        let stores = Stores::new(config, &pool, &bell);
        let traces = Traces::start(config);
        let mut background = Background::start(
            config,
            &traces.tracer,
            &pool,
            &bell,
            &readiness,
            stores.cache(),
            stores.inventory.clone(),
        )?;
        if stores.search.is_some() {
            tokio::spawn(search::index(pool.clone(), bell, readiness.clone()));
        }
        let metrics =
            observability::metrics(parts.started, &pool, &stores, &background, &readiness);
        metrics.add(migrations);
        if let Some(tls) = tls.clone() {
            tokio::spawn(tls.watch(config.server.tls.reload_interval));
        }
        let access_log = parts.access_log.clone();
        metrics.add(traces.tracer.clone());
        let ports = [http.local_addr()?, grpc.local_addr()?];
        background.register(config, ports, &readiness, &metrics)?;
        let (http_port, grpc_port) = ports::ports(
            config,
            parts,
            pool,
            stores,
            &background,
            &readiness,
            &Shown {
                metrics: &metrics,
                tracer: &traces.tracer,
            },
        )?;
        Ok(Self {
            http: (http, http_port),
            grpc: (grpc, grpc_port),
            metrics: prometheus.map(|listener| (listener, protected(metrics.router()))),
            tls,
            readiness,
            background,
            access_log,
            traces,
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

    /// Serves until a signal says to stop and what is under way is finished. After SIGTERM it goes on for `delay` first.
    pub async fn run(self, delay: Duration) {
        let readiness = self.readiness;
        let access_log = self.access_log;
        let signals = stop_on_signal(readiness.clone(), delay, move || access_log.flush());
        let signals = tokio::spawn(signals);
        if let Some((listener, metrics)) = self.metrics {
            // Not drained: a scrape is no request that anybody misses. Plain even where the others are not: what scrapes it
            // is inside, and has no certificate.
            let port = Port {
                listener,
                tls: None,
            };
            tokio::spawn(serve(port, metrics, readiness.clone()));
        }
        let ((http, http_port), (grpc, grpc_port)) = (self.http, self.grpc);
        let port = |listener| Port {
            listener,
            tls: self.tls.clone(),
        };
        tokio::select! {
            _ = async { tokio::join!(
                serve(port(http), http_port, readiness.clone()),
                serve(port(grpc), grpc_port, readiness.clone()),
            ) } => {}
            () = async { readiness.draining().await; tokio::time::sleep(DRAIN).await } => {
                tracing::warn!("stopping: some requests took too long and were cut off");
            }
        }
        // After the last request, whose events are among those that are still to be published.
        self.background.stop().await;
        self.traces.stop().await;
        signals.abort();
    }
}

async fn bind(addr: SocketAddr, key: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| format!("{key}: {addr} can't be opened: {error}").into())
}
