//! Events by way of a Dapr sidecar: it asks what to subscribe to, and posts what comes, one by one.
//!
//! The answers mean: `SUCCESS`, it is done; `RETRY`, it is to come again, as the sidecar's resiliency policy says; `DROP`,
//! it goes to the dead letter topic. What goes there does not say why, so the reason is logged and kept in the inbox.
//!
//! The policy that is deployed tries for ever, for a sidecar that gives up while the broker or the service is away loses
//! the event (1.14 does). Who gives up is this side: of an event that it fails at, as often as [`ATTEMPTS`].
//!
//! Events do not come in bulk, though Dapr can. Of a bulk that was tried again, a sidecar (1.14; 1.17 reads the same)
//! looks for a dropped event in the wrong place and panics; one event that is to come again holds up all others; and
//! with Redis a bulk has ten events at most, so that it is slower, too.
//!
//! Whoever may post here tells the stock. With a token of the app (`APP_API_TOKEN`) callers must have it; without one
//! only this host may call, where the sidecar is, and nothing that a browser sends.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;
use transcode::Event as _;

use super::{Handled, Subscriber};
use crate::config::Secret;
use crate::domain::ports::{Environment, InventoryStore};
use crate::pb::catalog::v1::InventoryUpdatedEvent;
use crate::store::PgInbox;

/// Where the sidecar posts the events.
const ROUTE: &str = "/dapr/events/inventory-stock-updated";

/// The header that carries the app's token.
const TOKEN: &str = "dapr-api-token";

/// Longest body that is read: the longest that a sidecar sends, unless it is told otherwise.
const MAX_BODY: usize = 4 << 20;

/// How often an event is tried that the service fails at: for about a minute, at the pauses of the deployed policy.
const ATTEMPTS: u32 = 12;

/// Most events whose failures are counted at a time.
const MOST_COUNTED: usize = 10_000;

/// How the sidecar is met.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of its component.
    pub pubsub: String,
    /// The token it has to show.
    pub token: Option<Secret>,
}

struct Shared<S, E> {
    subscriber: Subscriber<S, E>,
    inbox: PgInbox,
    environment: E,
    settings: Settings,
    failures: Failures,
}

/// The routes that the sidecar calls.
pub fn router<S: InventoryStore, E: Environment>(
    subscriber: Subscriber<S, E>,
    inbox: PgInbox,
    environment: E,
    settings: Settings,
) -> Router {
    let shared = Arc::new(Shared {
        subscriber,
        inbox,
        environment,
        settings,
        failures: Failures::default(),
    });
    Router::new()
        .route("/dapr/subscribe", get(subscriptions::<S, E>))
        .route(ROUTE, post(deliver::<S, E>))
        .layer(from_fn_with_state(shared.clone(), admit::<S, E>))
        .with_state(shared)
}

/// Lets in who may tell the stock.
async fn admit<S: InventoryStore, E: Environment>(
    State(shared): State<Arc<Shared<S, E>>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let local = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    match check(shared.settings.token.as_ref(), request.headers(), local) {
        Ok(()) => next.run(request).await,
        Err((status, reason)) => {
            tracing::warn!(reason, "a call of the Dapr routes was refused");
            status.into_response()
        }
    }
}

fn check(
    token: Option<&Secret>,
    headers: &HeaderMap,
    local: bool,
) -> Result<(), (StatusCode, &'static str)> {
    let Some(token) = token else {
        return match local {
            true if !headers.contains_key(header::ORIGIN) => Ok(()),
            true => Err((StatusCode::FORBIDDEN, "a browser has nothing to tell")),
            false => Err((
                StatusCode::FORBIDDEN,
                "without dapr.app_api_token (APP_API_TOKEN) only this host may call",
            )),
        };
    };
    let given = headers.get(TOKEN).map_or(&b""[..], HeaderValue::as_bytes);
    verify_slices_are_equal(given, token.expose().as_bytes())
        .map_err(|_| (StatusCode::UNAUTHORIZED, "wrong or no dapr-api-token"))
}

/// What to subscribe to.
async fn subscriptions<S: InventoryStore, E: Environment>(
    State(shared): State<Arc<Shared<S, E>>>,
) -> Response {
    Json(json!([{
        "pubsubname": shared.settings.pubsub,
        "topic": InventoryUpdatedEvent::TOPIC,
        "deadLetterTopic": InventoryUpdatedEvent::SPEC.dead_letter_topic,
        "metadata": {},
        "routes": {"default": ROUTE},
    }]))
    .into_response()
}

/// What the sidecar is to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Retry,
    Drop,
}

/// How often the service failed at events, by what they are. A sidecar that delivers again delivers the same bytes, and
/// to the same instance.
#[derive(Debug, Default)]
struct Failures(Mutex<HashMap<u64, u32>>);

impl Failures {
    /// Counts a failure; gives how many there were.
    fn count(&self, event: &[u8]) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_COUNTED {
            counts.clear();
        }
        let count = counts.entry(key(event)).or_default();
        *count += 1;
        *count
    }

    /// Forgets an event that is done.
    fn forget(&self, event: &[u8]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.is_empty() {
            counts.remove(&key(event));
        }
    }
}

fn key(event: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.hash(&mut hasher);
    hasher.finish()
}

async fn deliver<S: InventoryStore, E: Environment>(
    State(shared): State<Arc<Shared<S, E>>>,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    Json(json!({"status": shared.handle(&body).await})).into_response()
}

impl<S: InventoryStore, E: Environment> Shared<S, E> {
    async fn handle(&self, event: &[u8]) -> Status {
        let status = match self.subscriber.handle(event, None).await {
            Handled::Done(_) => Status::Success,
            Handled::Away(reason) => {
                tracing::debug!(reason, "an event is to come again");
                Status::Retry
            }
            Handled::Failed(reason) if self.failures.count(event) < ATTEMPTS => {
                tracing::error!(reason, "an event is to come again");
                Status::Retry
            }
            Handled::Failed(reason) | Handled::Refused(reason) => self.refuse(event, &reason).await,
        };
        if status != Status::Retry {
            self.failures.forget(event);
        }
        status
    }

    /// Keeps the reason, and gives the event up. While the reason can't be kept it is to come again.
    async fn refuse(&self, event: &[u8], reason: &str) -> Status {
        let topic = InventoryUpdatedEvent::TOPIC;
        let id = self.environment.new_uuid();
        match self.inbox.refuse(id, topic, event, reason).await {
            Ok(()) => {
                tracing::error!(topic, reason, refused = %id, "an event goes to the dead letter topic");
                Status::Drop
            }
            Err(error) => {
                tracing::warn!(topic, reason, %error, "why an event is refused can't be kept");
                Status::Retry
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_call() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (name.parse().unwrap(), HeaderValue::from_static(value))
            };
            pairs.iter().map(pair).collect()
        };
        let secret = Secret::new("s3cret");
        for (token, given, local, status) in [
            (Some(&secret), &[(TOKEN, "s3cret")][..], false, None),
            (Some(&secret), &[(TOKEN, "s3cre")], true, Some(401)),
            (Some(&secret), &[(TOKEN, "")], true, Some(401)),
            (Some(&secret), &[], true, Some(401)),
            (None, &[], true, None),
            (None, &[(TOKEN, "any")], true, None),
            (None, &[], false, Some(403)),
            (
                None,
                &[("origin", "http://localhost:8001")],
                true,
                Some(403),
            ),
        ] {
            let checked = check(token, &headers(given), local);
            let found = checked.err().map(|(status, _)| status.as_u16());
            assert_eq!(found, status, "{token:?} {given:?} {local}");
        }
    }

    #[test]
    fn failures_are_counted_until_an_event_is_done() {
        let failures = Failures::default();
        failures.forget(b"a");
        assert_eq!([failures.count(b"a"), failures.count(b"a")], [1, 2]);
        assert_eq!(failures.count(b"b"), 1);
        failures.forget(b"a");
        assert_eq!([failures.count(b"a"), failures.count(b"b")], [1, 2]);
        for number in 0..MOST_COUNTED {
            failures.count(&number.to_le_bytes());
        }
        assert!(failures.0.lock().unwrap().len() <= MOST_COUNTED);
    }
}
