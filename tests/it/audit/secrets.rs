//! Secrets in logs: there are none, whatever goes wrong.

use http::{Method, StatusCode};
use serde_json::json;
use tonic::Code;

use super::PRODUCTS;
use crate::support::grpc::call;
use crate::support::postgres::connect;
use crate::support::redis::{Server, installed};
use crate::support::service::{Service, authorized};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_nor_in_the_audit_log() {
    if !installed() {
        return;
    }
    let redis = Server::start(&[]);
    let protect = ["CONFIG", "SET", "requirepass", "redis-s3cret"];
    redis.ask::<()>(&protect).await;
    let service = Service::start_with(&[("AUTO_MIGRATE", "true")]).await;
    service.ready().await;
    let database = format!("{}&password=database-s3cret", service.database.url);
    let service = service.restart(&[
        ("DATABASE_URL", &database),
        ("REDIS_ADDR", &redis.addr()),
        ("REDIS_PASSWORD", "redis-s3cret"),
        // A broker and a sidecar that are not there: what fails is told, and with what it was tried.
        ("DAPR_HTTP_PORT", "1"),
        ("DAPR_API_TOKEN", "dapr-s3cret"),
        ("APP_API_TOKEN", "app-s3cret"),
        ("AUDIT_READS", "true"),
        ("LOG_LEVEL", "trace"),
    ]);
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    for (token, status) in [
        (token.as_str(), StatusCode::CREATED),
        ("head.token-s3cret.signature", StatusCode::UNAUTHORIZED),
    ] {
        let body = json!({"sku": "A", "name": "x", "description": "value-s3cret"});
        let created = service.json(Method::POST, PRODUCTS, token, &body).await;
        assert_eq!(created.status(), status, "{}", created.body());
    }
    let wrong = json!({"sku": "B", "name": "x", "description": 7, "password-s3cret": "x"});
    let refused = service.json(Method::POST, PRODUCTS, &token, &wrong).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let basic = authorized(Method::GET, PRODUCTS, "")
        .header("authorization", "Basic basic-s3cret")
        .header("cookie", "session=cookie-s3cret");
    assert_eq!(
        service.send(basic, "").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let path = "/catalog.v1.CatalogService/ListProducts";
    call(&service.grpc, path, &token, vec![])
        .await
        .expect("a list");
    let refused = call(&service.grpc, path, "grpc-s3cret", vec![]).await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    drop(redis);
    for _ in 0..3 {
        assert_eq!(service.get(PRODUCTS, &token).await.status(), StatusCode::OK);
    }
    service.signal("INT");
    let mut service = service;
    assert!(service.wait().success());
    let mut connection = connect(&service.database.url).await;
    let audited: String = sqlx::query_scalar("SELECT string_agg(a::text, ' ') FROM audit_log AS a")
        .fetch_one(&mut connection)
        .await
        .expect("records");
    let log = service.logged();
    assert!(log.contains("\"TRACE\""), "all of the log is there");
    // The token as a whole and its parts, each of which is as good as a secret.
    let parts: Vec<_> = token.split('.').skip(1).collect();
    for (place, text) in [("log", &log), ("audit log", &audited)] {
        for secret in parts.iter().copied().chain([token.as_str(), "s3cret"]) {
            let at = text.find(secret);
            let around = at.map(|at| {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                text[line..].lines().next().unwrap_or_default()
            });
            assert_eq!(around, None, "{secret} is in the {place}");
        }
    }
}
