//! `/health` in the shape of the specification.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::redis::{Server, installed};
use crate::support::service::Service;
use crate::support::sidecar::Sidecar;

/// The specification's example, but for what is not configured here.
fn example() -> Value {
    json!({
        "status": "healthy",
        "service": {"name": "service-name", "version": "v1.0.0", "uptime": "2h30m15s"},
        "checks": {
            "database": {"status": "healthy", "latency": "2ms", "connections": "5/20"},
            "cache": {"status": "healthy", "latency": "1ms", "hit_rate": "95%"},
            "dapr": {
                "status": "healthy",
                "components": {"pubsub-redis": "healthy", "statestore-redis": "healthy"}
            }
        },
        "timestamp": "2024-01-15T10:30:00Z"
    })
}

/// The form of a text: its digits are as good as any others.
fn form(text: &str) -> String {
    let mut form = String::new();
    for char in text.chars() {
        let char = if char.is_ascii_digit() { '0' } else { char };
        if char != '0' || !form.ends_with('0') {
            form.push(char);
        }
    }
    form
}

/// Whether all of an example is there, in the same forms. `at` says where.
fn compare(example: &Value, found: &Value, at: &str) {
    match example {
        Value::Object(members) => {
            for (name, member) in members {
                compare(member, &found[name], &format!("{at}/{name}"));
            }
        }
        Value::String(text) => {
            let found = found.as_str().unwrap_or_else(|| panic!("{at}: {found}"));
            match at {
                "/service/name" => assert_eq!(found, "catalog-service"),
                // Not two hours old.
                "/service/uptime" => assert!(["0s", "0m0s"].contains(&&*form(found)), "{found}"),
                _ => assert_eq!(form(found), form(text), "{at}"),
            }
        }
        other => assert_eq!(found, other, "{at}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_members_and_forms_of_the_specification() {
    if !installed() {
        return;
    }
    let (redis, sidecar) = (Server::start(&[]), Sidecar::start().await);
    let (addr, port) = (redis.addr(), sidecar.port.to_string());
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("REDIS_ADDR", &addr),
        ("DAPR_HTTP_PORT", &port),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read");
    for _ in 0..2 {
        service.get("/v1/catalog/products", &token).await;
    }
    let mut health = Value::Null;
    for _ in 0..100 {
        health = service.get("/health", "").await.into_body();
        if health["status"] == "healthy" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    compare(&example(), &health, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_expected_and_missing_is_told() {
    let sidecar = Sidecar::start().await;
    let port = sidecar.port.to_string();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("DAPR_HTTP_PORT", &port),
        ("DAPR_STATE_STORE_NAME", "elsewhere"),
    ])
    .await;
    service.ready().await;
    let health = service.get("/health", "").await.into_body();
    let dapr = &health["checks"]["dapr"];
    assert_eq!(
        (&health["status"], &dapr["status"]),
        (&json!("degraded"), &json!("degraded"))
    );
    assert_eq!(
        dapr["components"],
        json!({"pubsub-redis": "healthy", "statestore-redis": "healthy", "elsewhere": "unhealthy"})
    );
    let metrics = Service::send_to(&service.grpc, http::Request::get("/metrics"), "").await;
    let metrics = String::from_utf8(metrics.into_body()).unwrap();
    for line in [
        r#"dapr_component_health{component="pubsub-redis"} 1"#,
        r#"dapr_component_health{component="elsewhere"} 0"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    let away = Service::start_with(&[("AUTO_MIGRATE", "true"), ("DAPR_HTTP_PORT", "1")]).await;
    let health = away.get("/health", "").await.into_body();
    assert_eq!(health["checks"]["dapr"]["status"], "unhealthy", "{health}");
}
