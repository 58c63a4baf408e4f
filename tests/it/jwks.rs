//! Tokens of an issuer that publishes its keys, and exchanges them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use catalog_service::auth::dev_key;
use catalog_service::domain::Environment as _;
use catalog_service::lifecycle::Readiness;
use catalog_service::system::SystemEnvironment;
use catalog_service::transport::{Port, serve};
use http::StatusCode;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::consul::until;
use crate::support::program;
use crate::support::service::Service;

const PRODUCTS: &str = "/v1/catalog/products";

/// A key of an issuer, and its name.
struct Key {
    name: &'static str,
    key: EncodingKey,
}

impl Key {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        dev_key(folder.path()).expect("a key");
        let pem = std::fs::read(folder.path().join("keys/jwt-private-key.pem")).expect("a file");
        let key = EncodingKey::from_rsa_pem(&pem).expect("a key");
        Self { name, key }
    }

    fn published(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).expect("a key");
        let mut value = serde_json::to_value(jwk).expect("JSON");
        value["kid"] = json!(self.name);
        value["use"] = json!("sig");
        value
    }

    /// A token that names the key, or does not.
    fn token(&self, named: bool) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = named.then(|| self.name.to_owned());
        let now = SystemEnvironment.now().unix_timestamp();
        let claims = json!({"iss": "catalog-service", "aud": "catalog", "sub": "user_456",
            "scope": "catalog:read", "iat": now, "exp": now + 3600});
        jsonwebtoken::encode(&header, &claims, &self.key).expect("a token")
    }
}

fn set(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
    json!({"keys": keys}).to_string()
}

async fn status(service: &Service, token: &str) -> StatusCode {
    service.get(PRODUCTS, token).await.status()
}

async fn becomes(service: &Service, token: &str, expected: StatusCode) {
    until("a status", async || {
        (status(service, token).await == expected).then_some(())
    })
    .await;
}

type Published = Arc<Mutex<Option<String>>>;

/// What is published at the URL; none for a failure.
async fn answer(State(published): State<Published>) -> (StatusCode, String) {
    match &*published.lock().expect("published") {
        Some(text) => (StatusCode::OK, text.clone()),
        None => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_at_a_url_come_and_go() {
    let [first, second] = [Key::new("first"), Key::new("second")];
    let published = Published::default();
    let router = Router::new()
        .route("/jwks", get(answer))
        .with_state(published.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    let port = Port {
        listener,
        tls: None,
    };
    tokio::spawn(serve(port, router, Readiness::default()));
    let service = Service::start_with(&[("AUTO_MIGRATE", "true"), ("JWT_JWKS", &url)]).await;
    service.ready().await;

    // Who could tell is away: that is no fault of the token.
    let token = first.token(true);
    assert_eq!(
        status(&service, &token).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    *published.lock().unwrap() = Some(set(&[&first]));
    becomes(&service, &token, StatusCode::OK).await;
    assert_eq!(status(&service, &first.token(false)).await, StatusCode::OK);
    let unknown = second.token(true);
    assert_eq!(status(&service, &unknown).await, StatusCode::UNAUTHORIZED);

    // The second key is looked for when a token names it, and the first goes on without the issuer.
    *published.lock().unwrap() = Some(set(&[&first, &second]));
    becomes(&service, &unknown, StatusCode::OK).await;
    assert_eq!(status(&service, &token).await, StatusCode::OK);
    *published.lock().unwrap() = None;
    assert_eq!(status(&service, &token).await, StatusCode::OK);

    // Gone is gone, also for a token that was found good a moment ago; whoever asks for a third key has it seen.
    *published.lock().unwrap() = Some(set(&[&second]));
    let third = Key::new("third").token(true);
    until("the end of the first key", async || {
        assert_eq!(status(&service, &third).await, StatusCode::UNAUTHORIZED);
        (status(&service, &token).await == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    assert_eq!(status(&service, &unknown).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_file_are_read_again() {
    let [first, second] = [Key::new("first"), Key::new("second")];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, set(&[&first])).expect("written");
    let file = path.to_str().expect("text");
    let service = Service::start_with(&[("AUTO_MIGRATE", "true"), ("JWT_JWKS", file)]).await;
    service.ready().await;
    assert_eq!(status(&service, &first.token(true)).await, StatusCode::OK);
    std::fs::write(&path, "half of a").expect("written");
    assert_eq!(status(&service, &first.token(true)).await, StatusCode::OK);
    std::fs::write(&path, set(&[&second])).expect("written");
    becomes(&service, &second.token(true), StatusCode::OK).await;
    assert_eq!(
        status(&service, &first.token(true)).await,
        StatusCode::UNAUTHORIZED
    );

    std::fs::write(&path, set(&[])).expect("written");
    let output = program::service()
        .env("JWT_JWKS", &path)
        .args(["config", "check"])
        .output()
        .expect("the service");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("JWT_JWKS") && said.contains("no RSA key"),
        "{said}"
    );
}
