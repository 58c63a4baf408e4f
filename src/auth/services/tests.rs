use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::lifecycle::Readiness;
use crate::registry::consul;
use crate::transport::{Port, serve};

const GET: &str = "/catalog.v1.CatalogService/GetProduct";
const DELETE: &str = "/catalog.v1.CatalogService/DeleteProduct";

/// What an agent knows, how often it was asked, and what it answers instead.
#[derive(Default)]
struct Agent {
    tokens: RwLock<HashMap<String, Value>>,
    asked: AtomicUsize,
    instead: RwLock<Option<(StatusCode, &'static str)>>,
}

/// A clock that goes when it is told to.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Environment for Clock {
    fn now(&self) -> OffsetDateTime {
        let elapsed = time::Duration::milliseconds(self.0.load(Ordering::Relaxed));
        datetime!(2026-03-01 12:00 UTC) + elapsed
    }

    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
}

struct Test {
    agent: Arc<Agent>,
    clock: Clock,
    services: Arc<Services<Clock>>,
}

async fn answer(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> (StatusCode, String) {
    agent.asked.fetch_add(1, Ordering::Relaxed);
    if let Some((status, text)) = *agent.instead.read().unwrap() {
        return (status, text.to_owned());
    }
    let token = headers["x-consul-token"].to_str().unwrap();
    match agent.tokens.read().unwrap().get(token) {
        Some(token) => (StatusCode::OK, token.to_string()),
        None => (StatusCode::FORBIDDEN, "ACL not found".to_owned()),
    }
}

impl Test {
    async fn new() -> Self {
        Self::lasting(Duration::from_secs(15)).await
    }

    /// A test in which answers are good for a time.
    async fn lasting(usual: Duration) -> Self {
        let agent = Arc::new(Agent::default());
        let router = Router::new()
            .route("/v1/acl/token/self", get(answer))
            .with_state(agent.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let port = Port {
            listener,
            tls: None,
        };
        tokio::spawn(serve(port, router, Readiness::default()));
        let consul = Consul::new(&consul::Settings {
            address,
            tls: false,
            ca_file: None,
            datacenter: "dc1".to_owned(),
            token: None,
        });
        let list = |rpcs: &[&str]| rpcs.iter().map(|&rpc| rpc.to_owned()).collect();
        let permissions = Permissions::new(&BTreeMap::from([
            (
                "order-service".to_owned(),
                list(&["catalog.v1.CatalogService/GetProduct"]),
            ),
            ("reports".to_owned(), list(&["catalog.v1.CatalogService/*"])),
        ]));
        let lifetimes = Lifetimes {
            usual,
            away: Duration::from_mins(5),
        };
        let clock = Clock::default();
        let services = Services::new(consul.unwrap(), clock.clone(), permissions, lifetimes);
        Self {
            agent,
            clock,
            services: Arc::new(services),
        }
    }

    /// A test in which one token is known.
    async fn with(token: &str, what: Value) -> Self {
        let test = Self::new().await;
        test.know(token, what);
        test
    }

    fn know(&self, token: &str, mut what: Value) {
        if what["AccessorID"].is_null() {
            what["AccessorID"] = json!("a1");
        }
        let mut tokens = self.agent.tokens.write().unwrap();
        tokens.insert(token.to_owned(), what);
    }

    fn forget(&self, token: &str) {
        self.agent.tokens.write().unwrap().remove(token);
    }

    fn instead(&self, answer: Option<(StatusCode, &'static str)>) {
        *self.agent.instead.write().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.agent.asked.load(Ordering::Relaxed)
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    async fn verify(&self, token: &str) -> Result<Arc<Principal>, AuthError> {
        self.services.verify(token).await
    }
}

fn order() -> Value {
    json!({"ServiceIdentities": [{"ServiceName": "order-service"}]})
}

#[tokio::test]
async fn a_token_stands_for_its_service_identity_role_or_policy() {
    let elsewhere = json!([{"ServiceName": "reports", "Datacenters": ["dc2"]}]);
    let here = json!([{"ServiceName": "reports", "Datacenters": ["dc2", "dc1"]}]);
    let cases = [
        (order(), "service:order-service", [true, false]),
        (
            json!({"ServiceIdentities": here}),
            "service:reports",
            [true, true],
        ),
        (
            json!({"Roles": [{"Name": "reports"}]}),
            "service:reports",
            [true, true],
        ),
        (
            json!({"Policies": [{"Name": "other"}, {"Name": "reports"}]}),
            "service:reports",
            [true, true],
        ),
        // The identity names the caller, and all of them say what it may do.
        (
            json!({"ServiceIdentities": [{"ServiceName": "order-service"}], "Roles": [{"Name": "reports"}]}),
            "service:order-service",
            [true, true],
        ),
        (
            json!({"ServiceIdentities": elsewhere}),
            "consul-token:a1",
            [false, false],
        ),
        (json!({}), "consul-token:a1", [false, false]),
    ];
    for (what, subject, allowed) in cases {
        let test = Test::with("t", what.clone()).await;
        let caller = test.verify("t").await.unwrap();
        let rpcs = caller.rpcs.as_ref().unwrap();
        let may = [GET, DELETE].map(|path| rpcs.contain(path));
        assert_eq!((&*caller.subject, may), (subject, allowed), "{what}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_not_asked_about() {
    let test = Test::new().await;
    let long = "x".repeat(LONGEST_TOKEN + 1);
    for token in ["", " ", "a b", "é", &long] {
        assert_eq!(
            test.verify(token).await,
            Err(AuthError::Malformed),
            "{token}"
        );
    }
    assert_eq!(test.asked(), 0);
    test.know(
        "anonymous",
        json!({"AccessorID": ANONYMOUS, "Policies": [{"Name": "reports"}]}),
    );
    assert_eq!(test.verify("anonymous").await, Err(AuthError::UnknownToken));
}

#[tokio::test]
async fn an_answer_is_good_for_a_while() {
    let test = Test::with("t", order()).await;
    let first = test.verify("t").await.unwrap();
    test.pass(14);
    assert!(Arc::ptr_eq(&first, &test.verify("t").await.unwrap()));
    assert_eq!(test.asked(), 1);
    test.forget("t");
    test.pass(1);
    assert_eq!(test.verify("t").await, Err(AuthError::UnknownToken));
    // A refusal is remembered for less long.
    test.know("t", order());
    test.pass(4);
    assert_eq!(test.verify("t").await, Err(AuthError::UnknownToken));
    test.pass(1);
    assert!(test.verify("t").await.is_ok());
    assert_eq!(test.asked(), 3);
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let mut what = order();
    what["ExpirationTime"] = json!("2026-03-01T12:00:05.5Z");
    let test = Test::with("t", what).await;
    test.pass(5);
    assert!(test.verify("t").await.is_ok());
    test.pass(1);
    assert_eq!(
        test.verify("t").await,
        Err(AuthError::Expired),
        "though known"
    );
    assert_eq!(test.asked(), 1);
}

#[tokio::test]
async fn callers_of_one_token_ask_once() {
    let test = Test::with("t", order()).await;
    let callers = (0..20).map(|_| {
        let services = test.services.clone();
        tokio::spawn(async move { services.verify("t").await.is_ok() })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert!(caller.await.unwrap());
    }
    assert_eq!(test.asked(), 1);
}

#[tokio::test]
async fn while_consul_is_away_those_who_are_known_go_on() {
    let test = Test::with("known", order()).await;
    let known = test.verify("known").await.unwrap();
    test.instead(Some((
        StatusCode::INTERNAL_SERVER_ERROR,
        "No cluster leader",
    )));
    test.pass(16);
    assert!(Arc::ptr_eq(&known, &test.verify("known").await.unwrap()));
    assert_eq!(test.verify("unknown").await, Err(AuthError::Unavailable));
    // It is not asked again at once.
    assert_eq!(test.asked(), 2);
    test.pass(1);
    assert_eq!(test.verify("unknown").await, Err(AuthError::Unavailable));
    assert_eq!(test.asked(), 3);
    test.pass(282);
    assert!(test.verify("known").await.is_ok());
    test.pass(1);
    assert_eq!(
        test.verify("known").await,
        Err(AuthError::Unavailable),
        "too long"
    );
    test.instead(None);
    test.pass(1);
    assert!(test.verify("known").await.is_ok());
}

#[tokio::test]
async fn without_access_control_nobody_is_known() {
    let test = Test::with("t", order()).await;
    test.instead(Some((StatusCode::UNAUTHORIZED, "ACL support disabled")));
    assert_eq!(test.verify("t").await, Err(AuthError::NoAccessControl));
}

#[tokio::test]
async fn a_caller_who_stays_is_seen_to_be_gone() {
    let test = Test::lasting(Duration::from_millis(20)).await;
    test.know("t", order());
    test.verify("t").await.unwrap();
    let services = test.services.clone();
    let ended = tokio::spawn(async move { services.ended("t").await });
    test.forget("t");
    test.pass(1);
    assert_eq!(ended.await.unwrap(), AuthError::UnknownToken);
}
