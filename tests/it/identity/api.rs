//! The service as its callers have it.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog_service::pb::identity::v1 as pb;
use catalog_service::pb::identity::v1::identity_service_client::IdentityServiceClient;
use http::{Method, Response, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tonic::Code;

use super::*;
use crate::support::service::Service;

const SESSIONS: &str = "/v1/identity/sessions";
const USERS: &str = "/v1/identity/users";
const ME: &str = "/v1/identity/me";
const PRODUCTS: &str = "/v1/catalog/products";

async fn post(service: &Service, path: &str, token: &str, body: Value) -> Response<Value> {
    service.json(Method::POST, path, token, &body).await
}

fn text<'a>(response: &'a Response<Value>, pointer: &str) -> &'a str {
    let found = response.body().pointer(pointer);
    let found = found.and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer} in {}", response.body()))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_user_to_signing_out() {
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("JWT_ACCESS_TOKEN_EXPIRATION", "77"),
        ("LOG_LEVEL", "trace"),
    ])
    .await;
    service.ready().await;
    let admin = service.token("identity:read identity:write catalog:read");
    let new = json!({"email": "Ada@Example.com", "password": PASSWORD, "firstName": "Augusta",
        "phone": "+442071234567", "roles": ["viewer"]});
    let created = post(&service, USERS, &admin, new.clone()).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    let user = created.body()["data"]["user"].clone();
    let location = format!("{USERS}/{}", user["id"].as_str().expect("an id"));
    assert_eq!(created.headers()["location"], *location);
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(
        (&user["status"], &user["roles"]),
        (&json!("active"), &json!(["viewer"]))
    );
    assert!(user.get("password").is_none(), "{user}");
    let got = service.get(&location, &admin).await;
    assert_eq!(got.body()["data"]["user"], user);
    let again = post(&service, USERS, &admin, new).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);

    let wrong = json!({"email": "ada@example.com", "password": "incorrect horse battery"});
    let refused = post(&service, SESSIONS, "", wrong).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(&refused, "/error/code"), "UNAUTHORIZED");
    let right = json!({"email": "ada@example.com", "password": PASSWORD});
    let session = post(&service, SESSIONS, "", right).await;
    assert_eq!(session.status(), StatusCode::OK, "{}", session.body());
    assert_eq!(session.headers()["cache-control"], "no-store");
    assert_eq!(session.body()["data"]["expiresIn"], 77);
    assert_eq!(text(&session, "/data/tokenType"), "Bearer");
    let access = text(&session, "/data/accessToken");
    let refresh = text(&session, "/data/refreshToken");

    let me = service.get(ME, access).await;
    assert_eq!(me.status(), StatusCode::OK);
    assert_eq!(me.body()["data"]["user"]["id"], user["id"]);
    assert!(me.body()["data"]["user"]["lastLoginAt"].is_string());
    assert_eq!(service.get(PRODUCTS, access).await.status(), StatusCode::OK);
    let product = json!({"sku": "A", "name": "A"});
    let forbidden = post(&service, PRODUCTS, access, product).await;
    assert_eq!(forbidden.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        service.get(&location, access).await.status(),
        StatusCode::FORBIDDEN
    );

    let refreshed = post(
        &service,
        &format!("{SESSIONS}:refresh"),
        "",
        json!({"refreshToken": refresh}),
    )
    .await;
    assert_eq!(refreshed.status(), StatusCode::OK, "{}", refreshed.body());
    let next = text(&refreshed, "/data/refreshToken");
    let out = post(
        &service,
        &format!("{SESSIONS}:revoke"),
        "",
        json!({"refreshToken": next}),
    )
    .await;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let over = post(
        &service,
        &format!("{SESSIONS}:refresh"),
        "",
        json!({"refreshToken": next}),
    )
    .await;
    assert_eq!(over.status(), StatusCode::UNAUTHORIZED);

    let log = service.log.lock().expect("the log").to_lowercase();
    assert!(log.contains("/v1/identity/sessions"), "{log}");
    for secret in [
        "ada@example.com",
        PASSWORD,
        "augusta",
        "2071234567",
        access,
        refresh,
        next,
    ] {
        assert!(!log.contains(&secret.to_lowercase()), "{secret} in {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_check_tokens_by_the_published_keys() {
    let service = Service::start().await;
    let admin = service.token("identity:write catalog:read catalog:write");
    let new = json!({"email": "ada@example.com", "password": PASSWORD, "roles": ["editor"]});
    assert_eq!(
        post(&service, USERS, &admin, new).await.status(),
        StatusCode::CREATED
    );
    let right = json!({"email": "ada@example.com", "password": PASSWORD});
    let session = post(&service, SESSIONS, "", right).await;
    let access = text(&session, "/data/accessToken");

    let published = service.get("/.well-known/jwks.json", "").await;
    assert_eq!(published.headers()["content-type"], "application/json");
    let keys: JwkSet = serde_json::from_value(published.into_body()).expect("keys");
    let header = jsonwebtoken::decode_header(access).expect("a header");
    let key = keys.find(&header.kid.expect("a kid")).expect("the key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["catalog"]);
    validation.set_issuer(&["catalog-service"]);
    let key = DecodingKey::from_jwk(key).expect("a key");
    let token = jsonwebtoken::decode::<Value>(access, &key, &validation).expect("a good token");
    let claims = token.claims;
    assert_eq!(claims["roles"], json!(["editor"]));
    assert_eq!(claims["scope"], "identity:self catalog:read catalog:write");
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 3600);
    // The tokens of the command line name the key too.
    let header = URL_SAFE_NO_PAD
        .decode(admin.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert!(
        keys.find(header["kid"].as_str().unwrap()).is_some(),
        "{header}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_more_than_they_have() {
    let service = Service::start().await;
    let user =
        |roles: Value| json!({"email": "ada@example.com", "password": PASSWORD, "roles": roles});
    let token = service.token("identity:write catalog:read");
    let refused = post(&service, USERS, &token, user(json!(["viewer", "editor"]))).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        text(&refused, "/error/message"),
        "Insufficient permissions: the scope catalog:write is required to give the role editor"
    );
    let unknown = post(&service, USERS, &token, user(json!(["root"]))).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        text(&unknown, "/error/details/roles"),
        "There is no such role; there are admin, editor, viewer"
    );
    let weak = json!({"email": "lovelace@example.com", "password": "lovelace-1815"});
    let weak = post(&service, USERS, &token, weak).await;
    assert_eq!(
        text(&weak, "/error/details/password"),
        "Must not contain the e-mail address"
    );
    let made = post(&service, USERS, &token, user(json!(["viewer"]))).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    // Who did not sign in here is no user, whatever the token says.
    let stranger = service.get(ME, &service.token("identity:self")).await;
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_grpc() {
    let service = Service::start().await;
    let created = service.run(&[
        "users",
        "create",
        "--email",
        "ada@example.com",
        "--role",
        "admin",
    ]);
    assert!(created.status.success(), "{created:?}");
    let printed = String::from_utf8(created.stdout).expect("text");
    let (id, password) = printed
        .trim()
        .split_once("\npassword: ")
        .expect("a password");

    let mut client = IdentityServiceClient::connect(service.grpc.clone())
        .await
        .expect("up");
    let sign_in = |password: &str| pb::SignInRequest {
        email: "ada@example.com".to_owned(),
        password: password.to_owned(),
    };
    let refused = client
        .sign_in(sign_in(PASSWORD))
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let session = client
        .sign_in(sign_in(password))
        .await
        .expect("signed in")
        .into_inner();
    let mut request = tonic::Request::new(pb::GetMeRequest {});
    let bearer = format!("Bearer {}", session.access_token);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    let me = client.get_me(request).await.expect("a user").into_inner();
    assert_eq!(me.user.as_ref().expect("a user").id, id);
    let rest = service.get(ME, &session.access_token).await;
    assert_eq!(serde_json::to_value(&me).unwrap(), rest.body()["data"]);
    // The first administrator may give every role.
    let new = json!({"email": "bob@example.com", "password": PASSWORD, "roles": ["admin"]});
    let made = post(&service, USERS, &session.access_token, new).await;
    assert_eq!(made.status(), StatusCode::CREATED, "{}", made.body());
}
