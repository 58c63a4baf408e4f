//! The part of `/health` on the Dapr sidecar: whether it is there, and whether it has the components that are expected.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

use super::{DEGRADED, HEALTHY, UNHEALTHY};
use crate::config::Secret;
use crate::telemetry::metrics::{Page, Source};

/// How long the sidecar may take for its answers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// How often it is looked at for those who do not ask themselves, as Prometheus does not.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is looked at. Clones share what was seen.
#[derive(Clone)]
pub struct DaprProbe {
    client: Client<HttpConnector, Empty<Bytes>>,
    port: u16,
    token: Option<Secret>,
    /// The components that the service is configured with.
    expected: Arc<[String]>,
    seen: Arc<RwLock<Components>>,
}

/// Components by name, and whether they are there.
type Components = BTreeMap<String, bool>;

/// What is said.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub(super) struct Dapr {
    pub(super) status: &'static str,
    components: BTreeMap<String, &'static str>,
}

/// What the sidecar says of itself.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
}

impl DaprProbe {
    /// Looks at the sidecar of this port on this host, which is to have the `expected` components.
    pub fn new(port: u16, token: Option<Secret>, expected: impl Into<Arc<[String]>>) -> Self {
        let expected = expected.into();
        // Nobody has looked yet; what is not known to be there is not there.
        let seen = expected.iter().map(|name| (name.clone(), false)).collect();
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            port,
            token,
            expected,
            seen: Arc::new(RwLock::new(seen)),
        }
    }

    /// Looks from time to time, until the process ends.
    pub async fn watch(self) {
        loop {
            self.look().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    pub(super) async fn look(&self) -> Dapr {
        let answers = async {
            tokio::join!(
                self.get("/v1.0/healthz"),
                // A sidecar that is not well may still say what it has.
                self.get("/v1.0/metadata")
            )
        };
        let (health, metadata) = tokio::time::timeout(TIMEOUT, answers)
            .await
            .unwrap_or_default();
        let metadata = metadata.and_then(|bytes| serde_json::from_slice::<Metadata>(&bytes).ok());
        let loaded = metadata.map(|metadata| {
            let names = metadata.components.into_iter();
            names.map(|component| component.name).collect()
        });
        let (dapr, components) = judge(health.is_some(), loaded, &self.expected);
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = components;
        dapr
    }

    /// The body of a good answer.
    async fn get(&self, path: &str) -> Option<Bytes> {
        let mut request = Request::get(format!("http://127.0.0.1:{}{path}", self.port));
        if let Some(token) = &self.token {
            request = request.header("dapr-api-token", token.expose());
        }
        let request = request.body(Empty::new()).ok()?;
        let answer = self.client.request(request).await.ok()?;
        let good = matches!(answer.status(), StatusCode::OK | StatusCode::NO_CONTENT);
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        Some(body.ok()?.to_bytes()).filter(|_| good)
    }
}

/// What is said of a sidecar that is well or not, with the components that it has loaded, if it told.
fn judge(
    well: bool,
    loaded: Option<Vec<String>>,
    expected: &[String],
) -> (Dapr, BTreeMap<String, bool>) {
    let mut components: Components = expected.iter().map(|name| (name.clone(), false)).collect();
    let told = loaded.is_some();
    components.extend(loaded.into_iter().flatten().map(|name| (name, true)));
    let complete = components.values().all(|there| *there);
    let dapr = Dapr {
        status: match (well && told, complete) {
            (true, true) => HEALTHY,
            (true, false) => DEGRADED,
            (false, _) => UNHEALTHY,
        },
        components: components
            .iter()
            .map(|(name, there)| (name.clone(), if *there { HEALTHY } else { UNHEALTHY }))
            .collect(),
    };
    (dapr, components)
}

impl Source for DaprProbe {
    fn write(&self, page: &mut Page) {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let mut family = page.gauge(
            "dapr_component_health",
            "Whether the Dapr sidecar has a component, as it was seen last",
        );
        for (component, there) in &*seen {
            family.sample(&[("component", component)], u8::from(*there));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_and_missing_is_unhealthy() {
        let expected = ["pubsub-redis", "statestore-redis"].map(str::to_owned);
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        for (well, loaded, json) in [
            (
                true,
                names(&["pubsub-redis", "statestore-redis"]),
                r#"{"status":"healthy","components":{"pubsub-redis":"healthy","statestore-redis":"healthy"}}"#,
            ),
            (
                true,
                names(&["pubsub-redis", "more"]),
                concat!(
                    r#"{"status":"degraded","components":{"more":"healthy","pubsub-redis":"healthy","#,
                    r#""statestore-redis":"unhealthy"}}"#
                ),
            ),
            (
                true,
                None,
                r#"{"status":"unhealthy","components":{"pubsub-redis":"unhealthy","statestore-redis":"unhealthy"}}"#,
            ),
            (
                false,
                names(&["pubsub-redis", "statestore-redis"]),
                r#"{"status":"unhealthy","components":{"pubsub-redis":"healthy","statestore-redis":"healthy"}}"#,
            ),
        ] {
            let (dapr, _) = judge(well, loaded, &expected);
            assert_eq!(serde_json::to_string(&dapr).unwrap(), json);
        }
    }
}
