//! From start to stop: what the service does when its world is not as it should be.

mod cause;
mod outage;
mod stop;

use std::process::Command;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::postgres::{connect, database};
use crate::support::program;
use crate::support::service::Service;

const PRODUCTS: &str = "/v1/catalog/products";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_the_tables_is_told_by_name() {
    let service = Service::start_with(&[("AUTO_MIGRATE", "false")]).await;
    let ready = service.get("/ready", "").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let reason = ready.body()["reason"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert!(
        reason.contains("003_create_products_table.up.sql"),
        "{reason}"
    );
    let response = service.get(PRODUCTS, &service.token("catalog:read")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body()["error"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(response.headers()["retry-after"], "1");
    // The operator migrates, and the service goes on by itself.
    let migrate = program::migrate()
        .args(["-database-url", &service.database.url, "-command", "up"])
        .output()
        .expect("migrate");
    assert!(
        migrate.status.success(),
        "{}",
        String::from_utf8_lossy(&migrate.stderr)
    );
    service.ready().await;
    assert_eq!(
        service
            .get(PRODUCTS, &service.token("catalog:read"))
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_no_reason_to_end() {
    let service = Service::start_with(&[
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("DATABASE_TIMEOUT", "1s"),
    ])
    .await;
    let health = service.get("/health", "").await;
    assert_eq!(
        (health.status(), &health.body()["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    assert_eq!(health.body()["checks"]["database"]["status"], "unhealthy");
    assert_eq!(
        service.get("/ready", "").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let response = service.get(PRODUCTS, &service.token("catalog:read")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        !response.body().to_string().contains("127.0.0.1"),
        "causes are for the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_release_is_only_warned_about() {
    let service = Service::start().await;
    let mut connection = connect(&service.database.url).await;
    sqlx::raw_sql("UPDATE schema_migrations SET version = 99")
        .execute(&mut connection)
        .await
        .expect("updated");
    let service = service.restart(&[]);
    service.ready().await;
    let log = service.log.lock().expect("the log").clone();
    assert!(
        log.contains("migrated further") && log.contains("99"),
        "{log}"
    );
    // A migration that did not end is another matter.
    sqlx::raw_sql("UPDATE schema_migrations SET version = 3, dirty = true")
        .execute(&mut connection)
        .await
        .expect("updated");
    let service = service.restart(&[]);
    let ready = service.get("/ready", "").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let reason = ready.body()["reason"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert!(reason.contains("migration 3 began"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_service_in_order() {
    let mut service = Service::start().await;
    let kill = Command::new("kill")
        .args(["-TERM", &service.pid().to_string()])
        .status()
        .expect("kill");
    assert!(kill.success());
    let begun = Instant::now();
    assert!(service.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_sent_request_does_not_hold_up_the_end() {
    use tokio::io::AsyncWriteExt as _;
    let mut service = Service::start().await;
    let address = service.http.trim_start_matches("http://");
    let mut half = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    half.write_all(b"GET /health").await.expect("sent");
    let kill = Command::new("kill")
        .args(["-TERM", &service.pid().to_string()])
        .status();
    assert!(kill.expect("kill").success());
    let begun = Instant::now();
    assert!(service.wait().success());
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "an engine would have killed it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_ends_the_start_with_one_line() {
    let database = database().await;
    for (variable, value) in [
        ("SERVER_HTTP_ADDR", "nowhere"),
        ("SERVER_HTTP_TIMEOUT", "soon"),
        ("DATABASE_MAX_CONNECTIONS", "-1"),
    ] {
        let output = program::service()
            .env("DATABASE_URL", &database.url)
            .env(variable, value)
            .output()
            .expect("the service");
        assert_eq!(output.status.code(), Some(78), "{variable}");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(variable) && error.contains(value), "{error}");
    }
    let output = program::service()
        .env("DATABASE_URL", &database.url)
        .env("EVENTS_PUBLISHER", "dapr")
        .output()
        .expect("the service");
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(
        error.contains("events.publisher") && error.contains("DAPR_HTTP_PORT"),
        "{error}"
    );
    let no_key = program::service()
        .env("DATABASE_URL", &database.url)
        .output()
        .expect("the service");
    assert!(
        no_key.status.code() == Some(78),
        "a service that can't check tokens does not start"
    );
    assert!(String::from_utf8_lossy(&no_key.stderr).contains("JWT_PUBLIC_KEY_PATH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_to_kill() {
    let mut service = Service::start().await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let token = service.token("catalog:read catalog:write");
        for number in 0..20 {
            let sku = format!("K-{round}-{number}");
            let body = json!({"sku": sku, "name": "x"});
            if service
                .json(Method::POST, PRODUCTS, &token, &body)
                .await
                .status()
                == StatusCode::CREATED
            {
                acknowledged.push(sku);
            }
        }
        service = service.restart(&[]);
        service.ready().await;
    }
    let token = service.token("catalog:read");
    assert_eq!(acknowledged.len(), 60);
    for sku in acknowledged {
        assert_eq!(
            service
                .get(&format!("{PRODUCTS}/sku/{sku}"), &token)
                .await
                .status(),
            StatusCode::OK,
            "{sku}"
        );
    }
}

#[cfg(feature = "embedded-postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_keeps_what_was_written_through_kill() {
    let mut service = Service::start_with(&[("DATABASE_URL", "")]).await;
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        service.ready().await;
        let token = service.token("catalog:read catalog:write");
        for number in 0..10 {
            let sku = format!("E-{round}-{number}");
            let body = json!({"sku": sku, "name": "x"});
            assert_eq!(
                service
                    .json(Method::POST, PRODUCTS, &token, &body)
                    .await
                    .status(),
                StatusCode::CREATED
            );
            acknowledged.push(sku);
        }
        service = service.restart(&[("DATABASE_URL", "")]);
    }
    service.ready().await;
    let token = service.token("catalog:read");
    for sku in acknowledged {
        assert_eq!(
            service
                .get(&format!("{PRODUCTS}/sku/{sku}"), &token)
                .await
                .status(),
            StatusCode::OK,
            "{sku}"
        );
    }
}
