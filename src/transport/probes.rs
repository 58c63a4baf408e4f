//! `/health` and `/ready`: what operators and their machines ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::domain::ports::Environment as _;
use crate::lifecycle::{self, NAME, Readiness, VERSION};
use crate::system::SystemEnvironment;

/// Longest wait for the database's answer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What the probes look at.
pub struct Probes {
    /// The database.
    pub pool: PgPool,
    /// Most connections of the pool.
    pub max_connections: u32,
    /// Whether requests can be answered.
    pub readiness: Readiness,
    /// When the process began.
    pub started: Instant,
}

/// The routes of the probes.
pub(super) fn router(probes: Arc<Probes>) -> Router {
    Router::new().route("/health", get(health)).route("/ready", get(ready)).with_state(probes)
}

/// How the service and what it depends on are. It answers 200 as long as the process works: a database that is away is
/// no reason to restart the service, which comes back by itself.
async fn health(State(probes): State<Arc<Probes>>) -> Response {
    let (database, healthy) = probes.database().await;
    json_answer(
        StatusCode::OK,
        &json!({
            "status": if healthy { "healthy" } else { "degraded" },
            "service": {"name": NAME, "version": VERSION, "uptime": uptime(probes.started.elapsed())},
            "checks": {"database": database},
            "timestamp": now(),
        }),
    )
}

/// Whether requests should be sent here.
async fn ready(State(probes): State<Arc<Probes>>) -> Response {
    let state = probes.readiness.state();
    if state == lifecycle::State::Ready {
        json_answer(StatusCode::OK, &json!({"status": "ready", "timestamp": now()}))
    } else {
        let body = json!({"status": "not_ready", "reason": state.describe(), "timestamp": now()});
        json_answer(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}

impl Probes {
    /// The part on the database, and whether it is well.
    async fn database(&self) -> (Value, bool) {
        let begun = Instant::now();
        let ping = tokio::time::timeout(PING_TIMEOUT, sqlx::query("SELECT 1").execute(&self.pool)).await;
        let busy = self.pool.size() as usize - self.pool.num_idle().min(self.pool.size() as usize);
        let connections = format!("{busy}/{}", self.max_connections);
        if matches!(ping, Ok(Ok(_))) {
            let latency = format!("{}ms", begun.elapsed().as_millis());
            (json!({"status": "healthy", "latency": latency, "connections": connections}), true)
        } else {
            (json!({"status": "unhealthy", "connections": connections}), false)
        }
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn now() -> String {
    let now = SystemEnvironment.now();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
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
        for (seconds, text) in [(0, "0s"), (75, "1m15s"), (9015, "2h30m15s"), (90_000, "25h0m0s")] {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        }
    }
}
