//! `/health` and `/ready`: what operators and their machines ask.

mod cache;
mod consul;
mod dapr;
mod events;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use sqlx::PgPool;

use crate::domain::ports::Environment as _;
use crate::lifecycle::{self, NAME, Readiness, VERSION};
use crate::system::SystemEnvironment;

pub use cache::CacheProbe;
pub use consul::ConsulProbe;
pub use dapr::DaprProbe;
pub use events::EventsProbe;

/// Longest wait for the database's answer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What the probes look at.
pub struct Probes {
    /// How publishing events goes.
    pub events: EventsProbe,
    /// The database.
    pub pool: PgPool,
    /// Most connections of the pool.
    pub max_connections: u32,
    /// Whether requests can be answered.
    pub readiness: Readiness,
    /// When the process began.
    pub started: Instant,
    /// The cache, where reads are cached.
    pub cache: Option<CacheProbe>,
    /// Consul, where one is configured.
    pub consul: Option<ConsulProbe>,
    /// The Dapr sidecar, where there is one.
    pub dapr: Option<DaprProbe>,
}

/// The routes of the probes.
pub(super) fn router(probes: Arc<Probes>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(probes)
}

/// How the service and what it depends on are. It answers 200 as long as the process works: a database that is away is
/// no reason to restart the service, which comes back by itself.
async fn health(State(probes): State<Arc<Probes>>) -> Response {
    let cache = async {
        match &probes.cache {
            Some(cache) => Some(cache.look().await),
            None => None,
        }
    };
    let dapr = async {
        match &probes.dapr {
            Some(dapr) => Some(dapr.look().await),
            None => None,
        }
    };
    let (database, events, cache, dapr) =
        tokio::join!(probes.database(), probes.events.look(), cache, dapr);
    let consul = probes.consul.as_ref().map(ConsulProbe::look);
    let others = [
        events.status,
        cache.as_ref().map_or(HEALTHY, |cache| cache.status),
        consul.as_ref().map_or(HEALTHY, |consul| consul.status),
        dapr.as_ref().map_or(HEALTHY, |dapr| dapr.status),
    ];
    let healthy = database.status == HEALTHY && others.iter().all(|status| *status == HEALTHY);
    let health = Health {
        status: if healthy { HEALTHY } else { DEGRADED },
        service: Service {
            name: NAME,
            version: VERSION,
            uptime: uptime(probes.started.elapsed()),
        },
        checks: Checks {
            database,
            cache,
            consul,
            dapr,
            events,
        },
        timestamp: now(),
    };
    json_answer(StatusCode::OK, &health)
}

const HEALTHY: &str = "healthy";
const DEGRADED: &str = "degraded";
const UNHEALTHY: &str = "unhealthy";

/// The answer of `/health`. What is not configured has no check.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    service: Service,
    checks: Checks,
    timestamp: String,
}

#[derive(Serialize)]
struct Service {
    name: &'static str,
    version: &'static str,
    uptime: String,
}

#[derive(Serialize)]
struct Checks {
    database: Database,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<cache::Cache>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consul: Option<consul::Consul>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dapr: Option<dapr::Dapr>,
    events: events::Events,
}

#[derive(Serialize)]
struct Database {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<String>,
    connections: String,
}

/// The answer of `/ready`.
#[derive(Serialize)]
struct Ready {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    timestamp: String,
}

/// Whether requests should be sent here.
async fn ready(State(probes): State<Arc<Probes>>) -> Response {
    let state = probes.readiness.state();
    let ready = state == lifecycle::State::Ready;
    let (code, status) = if ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let reason = (!ready).then(|| state.describe());
    json_answer(
        code,
        &Ready {
            status,
            reason,
            timestamp: now(),
        },
    )
}

impl Probes {
    /// The part on the database.
    async fn database(&self) -> Database {
        let begun = Instant::now();
        let ping = sqlx::query("SELECT 1").execute(&self.pool);
        let answered = matches!(tokio::time::timeout(PING_TIMEOUT, ping).await, Ok(Ok(_)));
        let size = usize::try_from(self.pool.size()).unwrap_or(usize::MAX);
        Database {
            status: if answered { HEALTHY } else { UNHEALTHY },
            latency: answered.then(|| milliseconds(begun)),
            connections: format!(
                "{}/{}",
                size.saturating_sub(self.pool.num_idle()),
                self.max_connections
            ),
        }
    }
}

fn milliseconds(since: Instant) -> String {
    format!("{}ms", since.elapsed().as_millis())
}

fn json_answer(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn now() -> String {
    let now = SystemEnvironment.now();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

/// A time such as `2h30m15s`.
fn uptime(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes() {
        for (seconds, text) in [
            (0, "0s"),
            (75, "1m15s"),
            (9015, "2h30m15s"),
            (90_000, "25h0m0s"),
        ] {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        }
    }
}
