//! `config check` and `config print`, and what no other test shows of a key's effect.

use std::process::Output;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::program;
use crate::support::service::Service;

fn config(action: &str, variables: &[(&str, &str)]) -> Output {
    program::service()
        .args(["config", action])
        .envs(variables.iter().copied())
        .current_dir(tempfile::tempdir().expect("a folder").path())
        .output()
        .expect("the binary runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

const PRODUCTS: &str = "/v1/catalog/products";
const DATABASE: (&str, &str) = ("DATABASE_URL", "postgresql://user:hunter2@nowhere/catalog");

#[test]
fn a_good_configuration_is_found_good_without_anything_being_there() {
    let output = config("check", &[DATABASE, ("JWT_DEV_KEY", "true")]);
    assert!(output.status.success(), "{}", text(output.stderr));
    assert_eq!(
        text(output.stdout),
        "the configuration is good: no file, JWT_DEV_KEY, DATABASE_URL from the environment, defaults for the rest\n"
    );
    // Nothing was made.
    let embedded = config("check", &[]);
    assert!(embedded.status.success());
}

#[test]
fn a_bad_configuration_is_refused_as_the_start_refuses_it() {
    for (variables, complaint) in [
        (
            &[("SERVER_HTTP_TIMEOUT", "soon")][..],
            "SERVER_HTTP_TIMEOUT",
        ),
        (&[DATABASE], "JWT_PUBLIC_KEY_PATH"),
        (&[("JWT_PUBLIC_KEY_PATH", "/etc/hostname")], "/etc/hostname"),
        (&[("EVENTS_PUBLISHER", "redis")], "REDIS_ADDR"),
    ] {
        let output = config("check", variables);
        let error = text(output.stderr);
        assert_eq!(output.status.code(), Some(78), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(complaint), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_holds_is_printed_without_its_secrets() {
    let output = config(
        "print",
        &[
            DATABASE,
            ("REDIS_PASSWORD", "hunter2"),
            ("LOG_LEVLE", "debug"),
        ],
    );
    assert!(output.status.success());
    let (printed, warned) = (text(output.stdout), text(output.stderr));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(
        printed.contains(r#"source: "postgresql://user:***@nowhere/catalog"  # DATABASE_URL"#),
        "{printed}"
    );
    assert!(printed.contains("timeout: \"1s\"  # default"), "{printed}");
    assert_eq!(
        warned,
        "catalog-service: LOG_LEVLE is no variable of the service; did you mean LOG_LEVEL?\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_larger_than_the_configured_most() {
    let service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("MAX_PRODUCTS_PER_REQUEST", "3")]).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    for number in 0..5 {
        let product = json!({"sku": format!("M-{number}"), "name": "x"});
        let created = service.json(Method::POST, PRODUCTS, &token, &product).await;
        assert_eq!(created.status(), StatusCode::CREATED);
    }
    let list = async |query: &str| -> (StatusCode, Value) {
        let answer = service.get(&format!("{PRODUCTS}{query}"), &token).await;
        (answer.status(), answer.into_body())
    };
    for query in ["", "?limit=3"] {
        let (status, page) = list(query).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert_eq!(page["data"]["pagination"]["limit"], 3, "{page}");
        assert_eq!(page["data"]["products"].as_array().map(Vec::len), Some(3));
    }
    let (status, refused) = list("?limit=4").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        refused["error"]["details"],
        json!({"limit": "Must be between 1 and 3"}),
        "{refused}"
    );
}
