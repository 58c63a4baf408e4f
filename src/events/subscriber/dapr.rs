//! Events by way of a Dapr sidecar: it asks what to subscribe to, and posts what comes, one by one or in bulk.
//!
//! The answers mean: `SUCCESS`, it is done; `RETRY`, it is to come again, as the sidecar's resiliency policy says; `DROP`,
//! it goes to the dead letter topic. What goes there does not say why, so the reason is logged and kept in the inbox.
//!
//! Whoever may post here tells the stock. With a token of the app (`APP_API_TOKEN`) callers must have it; without one
//! only this host may call, where the sidecar is, and nothing that a browser sends.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
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

/// Most events of a bulk, how long the sidecar waits for that many, and how many are handled at a time.
const BULK: usize = 100;
const BULK_WAIT_MS: u32 = 50;
const AT_A_TIME: usize = 8;

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
        "bulkSubscribe": {"enabled": true, "maxMessagesCount": BULK, "maxAwaitDurationMs": BULK_WAIT_MS},
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

/// Several events at once.
#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "entryId")]
    id: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

impl Entry<'_> {
    /// The event: a CloudEvent as it is, one without an envelope in base64.
    fn bytes(&self) -> Bytes {
        let json = self.event.get();
        let text = serde_json::from_str::<String>(json);
        let bytes = text.map(|text| STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes()));
        bytes.map_or_else(|_| Bytes::copy_from_slice(json.as_bytes()), Bytes::from)
    }
}

async fn deliver<S: InventoryStore, E: Environment>(
    State(shared): State<Arc<Shared<S, E>>>,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(bulk) = serde_json::from_slice::<Bulk<'_>>(&body) else {
        return Json(json!({"status": shared.handle(&body).await})).into_response();
    };
    let entries = bulk.entries.into_iter().map(|entry| {
        let (shared, bytes) = (shared.clone(), entry.bytes());
        async move { json!({"entryId": entry.id, "status": shared.handle(&bytes).await}) }
    });
    // In any order: of a product and a warehouse the newest stays.
    let entries = entries.collect::<Vec<_>>();
    let statuses: Vec<_> = stream::iter(entries).buffered(AT_A_TIME).collect().await;
    Json(json!({"statuses": statuses})).into_response()
}

impl<S: InventoryStore, E: Environment> Shared<S, E> {
    async fn handle(&self, event: &[u8]) -> Status {
        match self.subscriber.handle(event, None).await {
            Handled::Done(_) => Status::Success,
            Handled::Away(reason) => {
                tracing::debug!(reason, "an event is to come again");
                Status::Retry
            }
            Handled::Failed(reason) => {
                tracing::error!(reason, "an event is to come again");
                Status::Retry
            }
            Handled::Refused(reason) => self.refuse(event, &reason).await,
        }
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
    fn entries_of_a_bulk() {
        let body = r#"{"id": "1", "entries": [
            {"entryId": "a", "event": {"specversion": "1.0"}, "contentType": "application/cloudevents+json"},
            {"entryId": "b", "event": "eyJhIjoxfQ==", "contentType": "application/octet-stream"},
            {"entryId": "c", "event": "{no base64}"}]}"#;
        let bulk: Bulk<'_> = serde_json::from_str(body).unwrap();
        let bytes: Vec<_> = bulk.entries.iter().map(Entry::bytes).collect();
        assert_eq!(
            bytes,
            [
                &br#"{"specversion": "1.0"}"#[..],
                br#"{"a":1}"#,
                b"{no base64}"
            ]
        );
    }
}
