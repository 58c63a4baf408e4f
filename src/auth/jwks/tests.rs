use std::io::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::auth::keys::{PrivateKey, generate_pem};
use crate::lifecycle::Readiness;
use crate::outbound::Trust;
use crate::transport::{Port, serve};

static KEYS: LazyLock<[PrivateKey; 3]> = LazyLock::new(|| {
    [(); 3].map(|()| {
        let pem = generate_pem().unwrap();
        PrivateKey::from_pem(pem.as_bytes()).unwrap()
    })
});

/// A key as it is published, with changes.
fn published(key: &PrivateKey, id: &str, changes: &Value) -> Value {
    let jwk = Jwk::from_encoding_key(key.signing(), Algorithm::RS256).unwrap();
    let mut value = serde_json::to_value(jwk).unwrap();
    value["kid"] = json!(id);
    value["use"] = json!("sig");
    for (name, change) in changes.as_object().into_iter().flatten() {
        value[name] = change.clone();
        if change.is_null() {
            value.as_object_mut().unwrap().remove(name);
        }
    }
    value
}

fn set(keys: &[(usize, &str)]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|(index, id)| published(&KEYS[*index], id, &Value::Null))
        .collect();
    json!({"keys": keys}).to_string()
}

fn read(key: &Value) -> usize {
    let text = json!({"keys": [key, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, 7]});
    KeySet::read(text.to_string().as_bytes()).unwrap().0.len()
}

#[test]
fn only_keys_that_sign_such_tokens_are_taken() {
    let with = |changes: Value| read(&published(&KEYS[0], "a", &changes));
    assert_eq!(with(json!({})), 1);
    assert_eq!(with(json!({"alg": null, "kid": null})), 1);
    for changes in [
        json!({"use": "enc"}),
        json!({"use": null}),
        json!({"alg": "RS512"}),
        json!({"alg": "PS256"}),
        json!({"kty": "EC"}),
        json!({"n": "AQAB"}),
        json!({"n": "!"}),
        json!({"e": ""}),
        json!({"kid": 7}),
    ] {
        assert_eq!(with(changes.clone()), 0, "{changes}");
    }
    let read = KeySet::read(set(&[(0, "a"), (1, "b")]).as_bytes()).unwrap();
    assert_eq!(
        read.candidates(Some("b")).collect::<Vec<_>>(),
        [&KEYS[1].public()]
    );
    assert_eq!(read.candidates(Some("c")).count(), 0);
    assert_eq!(read.candidates(None).count(), 0, "of two, none is meant");
    let one = KeySet::read(set(&[(0, "a")]).as_bytes()).unwrap();
    assert_eq!(
        one.candidates(None).collect::<Vec<_>>(),
        [&KEYS[0].public()]
    );
    for bad in ["", "{}", "[]", r#"{"keys": {}}"#] {
        assert!(KeySet::read(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// An issuer that publishes what it is told to; none for a failure.
#[derive(Clone, Default)]
struct Issuer(Arc<RwLock<Option<String>>>, Arc<AtomicU64>);

impl Issuer {
    async fn start(pace: Pace) -> (Self, Jwks) {
        async fn answer(State(issuer): State<Issuer>) -> (StatusCode, String) {
            issuer.1.fetch_add(1, Ordering::Relaxed);
            match &*issuer.0.read().unwrap() {
                Some(text) => (StatusCode::OK, text.clone()),
                None => (StatusCode::BAD_GATEWAY, set(&[])),
            }
        }
        let issuer = Self::default();
        let router = Router::new()
            .route("/jwks", get(answer))
            .with_state(issuer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let port = Port {
            listener,
            tls: None,
        };
        tokio::spawn(serve(port, router, Readiness::default()));
        let client = HttpClient::new(Trust::Nobody).unwrap();
        (
            issuer,
            Jwks::new(Source::Url(url.parse().unwrap(), Box::new(client)), pace),
        )
    }

    fn publish(&self, text: Option<String>) {
        *self.0.write().unwrap() = text;
    }
}

impl Jwks {
    /// Waits for the next look to be over.
    async fn looked(&self) {
        self.0.looks.subscribe().changed().await.unwrap();
        let mut looks = self.0.looks.subscribe();
        looks.wait_for(|looks| !looks.resting).await.unwrap();
    }

    fn has(&self, id: &str) -> bool {
        self.keys()
            .is_some_and(|keys| keys.candidates(Some(id)).next().is_some())
    }
}

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn an_unknown_key_is_looked_for_and_not_too_often() {
    let pace = Pace {
        least: LONG,
        usual: LONG,
        failed: LONG,
    };
    let (issuer, jwks) = Issuer::start(pace).await;
    issuer.publish(Some(set(&[(0, "a")])));
    // The first look is that of the first who wants a key.
    let first = tokio::spawn({
        let jwks = jwks.clone();
        async move { jwks.look_again().await }
    });
    tokio::spawn(jwks.clone().run());
    assert!(first.await.unwrap() && jwks.has("a"));
    issuer.publish(Some(set(&[(0, "a"), (1, "b")])));
    for _ in 0..10 {
        assert!(!jwks.look_again().await);
    }
    assert_eq!(issuer.1.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn keys_come_and_go_with_good_answers_only() {
    let pace = Pace {
        least: SHORT,
        usual: LONG,
        failed: LONG,
    };
    let (issuer, jwks) = Issuer::start(pace).await;
    issuer.publish(Some(set(&[(0, "a"), (1, "b")])));
    assert!(jwks.keys().is_none());
    tokio::spawn(jwks.clone().run());
    jwks.looked().await;
    assert!(jwks.has("a") && jwks.has("b"));
    for away in [None, Some("no JSON".to_owned())] {
        issuer.publish(away);
        assert!(jwks.look_again().await);
        assert!(jwks.has("a") && jwks.losses() == 0, "stale ones stay");
        jwks.looked().await;
    }
    // A new one is no loss of another.
    issuer.publish(Some(set(&[(0, "a"), (1, "b"), (2, "c")])));
    assert!(jwks.look_again().await && jwks.has("c") && jwks.losses() == 0);
    jwks.looked().await;
    // The same id with another key is another key.
    issuer.publish(Some(set(&[(2, "b"), (2, "c")])));
    assert!(jwks.look_again().await && !jwks.has("a") && jwks.losses() == 1);
    assert_eq!(
        jwks.keys()
            .unwrap()
            .candidates(Some("b"))
            .collect::<Vec<_>>(),
        [&KEYS[2].public()]
    );
}

#[tokio::test]
async fn a_file_is_read_again() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let refused = Jwks::file(path.clone()).unwrap_err().to_string();
    assert!(refused.contains(&*path.to_string_lossy()), "{refused}");
    file.write_all(set(&[(0, "a")]).as_bytes()).unwrap();
    let jwks = Jwks::file(path.clone()).unwrap();
    assert!(jwks.has("a"));
    tokio::spawn(jwks.clone().run());
    std::fs::write(&path, set(&[(1, "b")])).unwrap();
    let mut looks = jwks.0.looks.subscribe();
    while !jwks.has("b") {
        looks.changed().await.unwrap();
    }
    assert!(!jwks.has("a") && jwks.losses() == 1);
    assert!(Jwks::file("/nowhere/jwks.json".into()).is_err());
}
