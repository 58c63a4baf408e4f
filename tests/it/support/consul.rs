//! Consul for a test: a double that speaks the part of its HTTP API that is used, and a real agent where there is one
//! (`consul` in the `PATH`, or where `CONSUL_BIN` says). Both are talked to in the same way, by that API.

mod agent;
mod double;

use std::time::{Duration, Instant};

use catalog_service::tls::Tls;
use http::{Method, Request};
use serde_json::{Value, json};

use super::service::Service;
use agent::Agent;
use double::Double;

/// The token that may do everything.
pub(crate) const MANAGEMENT: &str = "11111111-1111-1111-1111-111111111111";

/// How long anything may take until it is so.
const PATIENCE: Duration = Duration::from_mins(1);

/// A Consul of a test's own, with access control. It ends with the test.
pub(crate) struct Consul {
    kind: Kind,
    port: u16,
}

enum Kind {
    Double(Option<Double>),
    Agent(Agent),
}

/// Runs a test with a double, and with a real agent where there is one.
pub(crate) async fn with_each<T: Future<Output = ()>>(test: impl Fn(Consul) -> T) {
    let double = Double::start(0, None).await;
    let port = double.port;
    test(Consul {
        kind: Kind::Double(Some(double)),
        port,
    })
    .await;
    match Agent::start().await {
        Some(agent) => {
            let port = agent.port;
            test(Consul {
                kind: Kind::Agent(agent),
                port,
            })
            .await;
        }
        None => println!("without a real agent: there is no `consul`, and CONSUL_BIN is not set"),
    }
}

/// Waits until something is so.
pub(crate) async fn until<T>(what: &str, mut so: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = so().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: waited for too long");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Consul {
    /// A double that speaks TLS.
    pub(crate) async fn over_tls(tls: Tls) -> Self {
        let double = Double::start(0, Some(tls)).await;
        Self {
            port: double.port,
            kind: Kind::Double(Some(double)),
        }
    }

    /// Its `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it, as a host that fails does.
    pub(crate) async fn stop(&mut self) {
        match &mut self.kind {
            Kind::Double(double) => {
                if let Some(double) = double.take() {
                    double.stop().await;
                }
            }
            Kind::Agent(agent) => agent.stop(),
        }
    }

    /// Starts it again; it has forgotten everything.
    pub(crate) async fn start(&mut self) {
        match &mut self.kind {
            Kind::Double(double) => *double = Some(Double::start(self.port, None).await),
            Kind::Agent(agent) => agent.start_again().await,
        }
    }

    /// A request to its API by one who may do everything.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("x-consul-token", MANAGEMENT);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let url = format!("http://127.0.0.1:{}", self.port);
        let answer = Service::send_to(&url, request, body).await;
        let value = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status().as_u16(), value)
    }

    /// What a path shows.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.call(Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{path}");
        value
    }

    /// The instances of the catalog that pass their checks, or all.
    pub(crate) async fn instances(&self, passing: bool) -> Vec<Value> {
        let passing = if passing { "?passing" } else { "" };
        let found = self
            .get(&format!("/v1/health/service/catalog-service{passing}"))
            .await;
        found.as_array().expect("entries").clone()
    }

    /// Makes a token: its public id and its secret.
    pub(crate) async fn token(&self, what: &Value) -> (String, String) {
        let (status, token) = self.call(Method::PUT, "/v1/acl/token", what).await;
        assert_eq!(status, 200, "{token}");
        let text = |name: &str| token[name].as_str().expect("text").to_owned();
        (text("AccessorID"), text("SecretID"))
    }

    /// A token of a service, with no other right.
    pub(crate) async fn service_token(&self, service: &str) -> String {
        let what = json!({"ServiceIdentities": [{"ServiceName": service}]});
        self.token(&what).await.1
    }

    /// Takes a token back.
    pub(crate) async fn revoke(&self, accessor: &str) {
        let path = format!("/v1/acl/token/{accessor}");
        assert_eq!(self.call(Method::DELETE, &path, &Value::Null).await.0, 200);
    }
}
