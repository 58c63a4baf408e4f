//! A double of a Dapr sidecar that speaks its wire, in the words of a real one (daprd 1.14): takes events that are
//! published, as scripted, and delivers events to the app as it asked for them, with what its answers mean. It keeps
//! nothing on a broker: what it takes it remembers, and what it delivers a test gives it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use catalog_service::lifecycle::Readiness;
use catalog_service::transport::{Port, serve};
use futures_util::future::join_all;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The pause before an event is delivered again, which the deployed policy does for ever, and how long a test waits.
const PAUSE: Duration = Duration::from_millis(50);
const DELIVERIES: u32 = 400;

/// Longest request it reads.
const MAX_REQUEST: usize = 4 << 20;

/// What it says of an entry that Redis refused, and of one when there is no Redis.
pub(crate) const REFUSED: &str = "redis streams: error from publish: WRONGTYPE Operation against a key holding the wrong kind of value";
const AWAY: &str =
    "redis streams: error from publish: dial tcp 127.0.0.1:6379: connect: connection refused";

/// A sidecar of a test's own. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Sidecar {
    pub(crate) port: u16,
    state: Arc<Mutex<Script>>,
}

/// What it does, and what it has seen.
#[derive(Default)]
pub(crate) struct Script {
    /// The token the app has to show.
    pub(crate) api_token: Option<String>,
    /// Whether it is one from before bulk publishing was stable.
    pub(crate) before_stable: bool,
    /// Whether its broker is away.
    pub(crate) away: bool,
    /// Refuses entries whose text contains this.
    pub(crate) refused: Option<String>,
    /// Refuses the entries at these indices of the next requests.
    pub(crate) failures: VecDeque<Vec<usize>>,
    /// What it took, in order.
    pub(crate) taken: Vec<Taken>,
    /// The paths that were asked for.
    pub(crate) paths: Vec<String>,
    /// What went to a dead letter topic, with it.
    pub(crate) dead: Vec<(String, Value)>,
}

/// An event that was taken.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) topic: String,
    pub(crate) partition_key: String,
    pub(crate) envelope: Value,
}

/// A subscription of an app.
pub(crate) struct Subscription {
    url: String,
    token: Option<String>,
    sidecar: Sidecar,
    /// What the app said of it.
    pub(crate) said: Value,
}

/// What became of an event that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Success,
    /// After so many times that it was to come again.
    SuccessAfter(u32),
    Dead,
}

impl Sidecar {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let sidecar = Self {
            port,
            state: Arc::default(),
        };
        let bulk = |stable: bool| {
            post(
                move |State(sidecar): State<Sidecar>,
                      Path((_, topic)): Path<(String, String)>,
                      headers,
                      body| {
                    std::future::ready(sidecar.publish(stable, &topic, &headers, &body))
                },
            )
        };
        let router = Router::new()
            .route("/v1.0/publish/bulk/{pubsub}/{topic}", bulk(true))
            .route("/v1.0-alpha1/publish/bulk/{pubsub}/{topic}", bulk(false))
            .route(
                "/v1.0/healthz/outbound",
                get(|| async { StatusCode::NO_CONTENT }),
            )
            .route("/v1.0/healthz", get(|| async { StatusCode::NO_CONTENT }))
            .route("/v1.0/metadata", get(metadata))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(sidecar.clone());
        tokio::spawn(async move { axum_serve(listener, router).await });
        sidecar
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.state.lock().expect("the script")
    }

    fn publish(&self, stable: bool, topic: &str, headers: &HeaderMap, body: &Bytes) -> Response {
        let mut script = self.script();
        script
            .paths
            .push(if stable { "stable" } else { "alpha" }.to_owned());
        let token = headers
            .get("dapr-api-token")
            .and_then(|token| token.to_str().ok());
        if script.api_token.is_some() && token != script.api_token.as_deref() {
            return (StatusCode::UNAUTHORIZED, "invalid api token\n").into_response();
        }
        if stable && script.before_stable {
            let answer =
                json!({"errorCode": "ERR_PUBSUB_NOT_FOUND", "message": "pubsub bulk is not found"});
            return (StatusCode::NOT_FOUND, Json(answer)).into_response();
        }
        let entries: Vec<Value> = serde_json::from_slice(body).expect("entries");
        let failing = script.failures.pop_front().unwrap_or_default();
        let mut failed = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entry["contentType"], "text/plain");
            let text = entry["event"].as_str().expect("text");
            let refused = script
                .refused
                .as_ref()
                .is_some_and(|refused| text.contains(refused));
            if script.away || refused || failing.contains(&index) {
                let error = if script.away { AWAY } else { REFUSED };
                failed.push(json!({"entryId": entry["entryId"], "error": error}));
                continue;
            }
            let key = entry["metadata"]["partitionKey"].as_str().expect("a key");
            script.taken.push(Taken {
                topic: topic.to_owned(),
                partition_key: key.to_owned(),
                envelope: serde_json::from_str(text).expect("a CloudEvent"),
            });
        }
        if failed.is_empty() {
            return StatusCode::NO_CONTENT.into_response();
        }
        // It published them at the same time, and says what became of them in any order.
        failed.reverse();
        let answer = json!({"failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE"});
        (StatusCode::INTERNAL_SERVER_ERROR, Json(answer)).into_response()
    }

    /// Asks an app what it subscribes to, and gives its only subscription.
    pub(crate) async fn subscribe(&self, app: &str, token: Option<&str>) -> Subscription {
        let (status, said) = send(
            Method::GET,
            &format!("{app}/dapr/subscribe"),
            token,
            String::new(),
        )
        .await;
        assert_eq!(status, 200);
        let [said] = &said.as_array().expect("subscriptions")[..] else {
            panic!("{said}")
        };
        let route = said["routes"]["default"].as_str().expect("a route");
        Subscription {
            url: format!("{app}{route}"),
            token: token.map(str::to_owned),
            sidecar: self.clone(),
            said: said.clone(),
        }
    }
}

impl Subscription {
    /// Delivers what came until it is done or dead.
    pub(crate) async fn deliver(&self, event: &Value) -> Delivered {
        // What is no CloudEvent the app does not get to see.
        if !event.is_object() {
            self.bury(event);
            return Delivered::Dead;
        }
        for tried in 0..DELIVERIES {
            let (status, answer) = self.post(event).await;
            match meaning(status, &answer) {
                "SUCCESS" if tried == 0 => return Delivered::Success,
                "SUCCESS" => return Delivered::SuccessAfter(tried),
                "DROP" => {
                    self.bury(event);
                    return Delivered::Dead;
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("it is still to come again: {event}");
    }

    /// Delivers events at the same time, until each is done or dead.
    pub(crate) async fn deliver_all(&self, events: &[Value]) -> Vec<Delivered> {
        join_all(events.iter().map(|event| self.deliver(event))).await
    }

    /// Delivers something once, and gives what the app answers.
    pub(crate) async fn post(&self, body: &Value) -> (u16, Value) {
        send(
            Method::POST,
            &self.url,
            self.token.as_deref(),
            body.to_string(),
        )
        .await
    }

    /// The same with another token.
    pub(crate) async fn post_with(&self, token: Option<&str>, body: &Value) -> u16 {
        send(Method::POST, &self.url, token, body.to_string())
            .await
            .0
    }

    fn bury(&self, event: &Value) {
        let topic = self.said["deadLetterTopic"]
            .as_str()
            .expect("a dead letter topic");
        self.sidecar
            .script()
            .dead
            .push((topic.to_owned(), event.clone()));
    }
}

/// What an answer means.
fn meaning(status: u16, answer: &Value) -> &str {
    match (status, answer["status"].as_str()) {
        (404, _) => "DROP",
        (200..300, None | Some("")) => "SUCCESS",
        (200..300, Some(said @ ("SUCCESS" | "DROP"))) => said,
        _ => "RETRY",
    }
}

async fn metadata() -> Json<Value> {
    Json(
        json!({"id": "catalog-service", "runtimeVersion": "1.14.0", "components": [
        {"name": "pubsub-redis", "type": "pubsub.redis", "version": "v1"},
        {"name": "statestore-redis", "type": "state.redis", "version": "v1",
         "capabilities": ["ETAG", "TRANSACTIONAL", "TTL", "ACTOR"]}]}),
    )
}

async fn axum_serve(listener: TcpListener, router: Router) {
    let port = Port {
        listener,
        tls: None,
    };
    serve(port, router, Readiness::default()).await;
}

async fn send(method: Method, url: &str, token: Option<&str>, body: String) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(url);
    request = request.header("content-type", "application/cloudevents+json");
    if let Some(token) = token {
        request = request.header("dapr-api-token", token);
    }
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let answer = client
        .request(request.body(Full::from(body)).expect("a request"))
        .await;
    let (parts, body) = answer.expect("an answer").into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    (
        parts.status.as_u16(),
        serde_json::from_slice(&bytes).unwrap_or_default(),
    )
}
