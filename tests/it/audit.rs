//! The audit log: what is in it, that nothing of a change can be missing in it, and that secrets are nowhere.

mod secrets;

use std::time::{Duration, Instant};

use catalog_service::pb::catalog::v1 as pb;
use http::{Method, StatusCode};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{call, call_web};
use crate::support::postgres::connect;
use crate::support::redis::eventually;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";
const DELETE: &str = "/catalog.v1.CatalogService/DeleteProduct";

/// What `audit list` shows.
fn list(service: &Service, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--format", "json"], arguments].concat();
    let output = service.run(&arguments);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// What `audit list` shows once there are so many records: those of calls that changed nothing are written later.
async fn records(service: &Service, arguments: &[&str], count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let records = list(service, arguments);
        if records.len() == count {
            return records;
        }
        let late = begun.elapsed() > Duration::from_secs(30);
        assert!(!late, "{count} records are expected: {records:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The records as outcome, RPC and fields, the first first.
fn short(records: &[Value]) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rpc = |record: &Value| text(&record["rpc"]).replace("catalog.v1.CatalogService/", "");
    let fields = |record: &Value| record["fields"].to_string().replace('"', "");
    let one = |record| {
        let (rpc, fields) = (rpc(record), fields(record));
        (text(&record["outcome"]), rpc, fields)
    };
    records.iter().rev().map(one).collect()
}

async fn create(service: &Service, token: &str, sku: &str) -> String {
    let body = json!({"sku": sku, "name": "x", "brand": "b"});
    let created = service.json(Method::POST, PRODUCTS, token, &body).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    let id = created.body()["data"]["product"]["id"].as_str();
    id.expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_is_kept() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let request = authorized(Method::POST, PRODUCTS, &token)
        .header("content-type", "application/json")
        .header("user-agent", "a-shop/1.0")
        .header("x-request-id", "req-1")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    let body = json!({"sku": "A", "name": "x", "price": {"amount": 1, "currency": "USD"}});
    let created = service.send(request, body.to_string()).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    let id = created.body()["data"]["product"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    // At once: it was written with the change.
    let records = list(&service, &["--resource", &id]);
    let [record] = &records[..] else {
        panic!("{records:#?}")
    };
    for (field, expected) in [
        ("actor", json!("user_456")),
        ("scopes", json!(["catalog:read", "catalog:write"])),
        ("peer", json!("127.0.0.1")),
        ("userAgent", json!("a-shop/1.0")),
        ("requestId", json!("req-1")),
        ("traceId", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("rpc", json!("catalog.v1.CatalogService/CreateProduct")),
        ("resource", json!(id)),
        ("outcome", json!("OK")),
        ("fields", json!(["name", "price", "sku", "status"])),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    assert!(record["durationUs"].as_i64().is_some_and(|took| took >= 0));
    // The other ways in, and what fails.
    let path = format!("{PRODUCTS}/{id}");
    let patch = json!({"name": "x", "brand": "c", "price": null});
    let changed = service.json(Method::PATCH, &path, &token, &patch).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let nothing = service
        .json(Method::PATCH, &path, &token, &json!({"name": "x"}))
        .await;
    assert_eq!(nothing.status(), StatusCode::OK);
    let wrong = service
        .json(Method::PATCH, &path, &token, &json!({"status": 7}))
        .await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let message = pb::DeleteProductRequest {
        id: id.clone(),
        ..Default::default()
    }
    .encode_to_vec();
    let reader = service.token("catalog:read");
    let refused = call(&service.grpc, DELETE, &reader, message.clone()).await;
    assert_eq!(
        refused.expect_err("a reader").code(),
        Code::PermissionDenied
    );
    call(&service.grpc, DELETE, &token, message.clone())
        .await
        .expect("deleted");
    let gone = call_web(&service, DELETE, &token, &message).await;
    assert_eq!(gone.expect_err("it is gone"), Code::NotFound);
    let all = records_of(&service, 7).await;
    let expected = [
        ("OK", "CreateProduct", "[name,price,sku,status]"),
        ("OK", "UpdateProduct", "[brand,price]"),
        ("OK", "UpdateProduct", "[]"),
        ("INVALID_ARGUMENT", "UpdateProduct", "[]"),
        ("PERMISSION_DENIED", "DeleteProduct", "[]"),
        ("OK", "DeleteProduct", "[]"),
        ("NOT_FOUND", "DeleteProduct", "[]"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(short(&all), expected);
    // All but the one that was refused before its message was read say what it was about, and all who it was.
    assert_eq!(list(&service, &["--resource", &id]).len(), 6);
    assert_eq!(list(&service, &["--user", "user_456"]).len(), 7);
    assert_eq!(list(&service, &["--user", "user_1"]).len(), 0);
    assert_eq!(
        list(&service, &["--since", "2999-01-01T00:00:00Z"]).len(),
        0
    );
    let text = service.run(&["audit", "list", "--limit", "1"]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(
        text.contains("user_456  127.0.0.1  catalog.v1.CatalogService/DeleteProduct"),
        "{text}"
    );
}

async fn records_of(service: &Service, count: usize) -> Vec<Value> {
    records(service, &["--since", "1h"], count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_kept_when_that_is_asked_for_and_refusals_always() {
    for (reads, expected) in [("false", 2), ("true", 4)] {
        let service =
            Service::start_with(&[("AUTO_MIGRATE", "true"), ("AUDIT_READS", reads)]).await;
        service.ready().await;
        let token = service.token("catalog:read");
        let listed = service.get(PRODUCTS, &token).await;
        assert_eq!(listed.status(), StatusCode::OK);
        let missing = service.get(&format!("{PRODUCTS}/sku/NONE"), &token).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        let nobody = service.get(PRODUCTS, "").await;
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
        let other = service.get(PRODUCTS, &service.token("other:scope")).await;
        assert_eq!(other.status(), StatusCode::FORBIDDEN);
        let found = records_of(&service, expected).await;
        let outcomes: Vec<_> = short(&found)
            .into_iter()
            .map(|(outcome, ..)| outcome)
            .collect();
        let refused = ["UNAUTHENTICATED", "PERMISSION_DENIED"];
        assert_eq!(outcomes[expected - 2..], refused);
        assert_eq!(found[1]["actor"], Value::Null, "nobody is known");
        assert_eq!(found[0]["actor"], "user_456", "who may not is known");
        if reads == "true" {
            assert_eq!(outcomes[..2], ["OK", "NOT_FOUND"]);
            assert_eq!(found[2]["resource"], "NONE");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_feature_nothing_is_written() {
    let variables = [("AUTO_MIGRATE", "true"), ("ENABLE_AUDIT_LOGGING", "false")];
    let service = Service::start_with(&variables).await;
    service.ready().await;
    create(&service, &service.token("catalog:write"), "A").await;
    assert_eq!(
        service.get(PRODUCTS, "").await.status(),
        StatusCode::UNAUTHORIZED
    );
    // What is written late is written at the end.
    service.signal("INT");
    let mut service = service;
    assert!(service.wait().success());
    assert_eq!(list(&service, &[]), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_stay_as_they_are_until_their_time_is_over() {
    let service = Service::start().await;
    create(&service, &service.token("catalog:write"), "A").await;
    let mut connection = connect(&service.database.url).await;
    for statement in [
        "UPDATE audit_log SET actor = 'somebody else'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await;
        let error = refused.expect_err(statement).to_string();
        assert!(error.contains("audit_log is append-only"), "{error}");
    }
    sqlx::raw_sql(
        "INSERT INTO audit_log
         SELECT gen_random_uuid(), now() - interval '30 hours', 'old', NULL, NULL, '{}', NULL, NULL, 'a/b', NULL, 'OK', '{}', 1
           FROM generate_series(1, 6000)",
    )
    .execute(&mut connection)
    .await
    .expect("inserted");
    // More than are forgotten at a time.
    let service = service.restart(&[("AUDIT_RETENTION", "29h")]);
    service.ready().await;
    let left = records(&service, &["--since", "48h", "--limit", "1000"], 1).await;
    assert_eq!(left[0]["outcome"], "OK");
    assert_eq!(left[0]["actor"], "user_456");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_without_its_record_when_the_process_is_killed() {
    let mut service = Service::start().await;
    let token = service.token("catalog:write");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (url, token) = (service.http.clone(), token.clone());
        writers.spawn(async move {
            for number in 0.. {
                let body = json!({"sku": format!("K-{writer}-{number}"), "name": "x"});
                let request = authorized(Method::POST, PRODUCTS, &token)
                    .header("content-type", "application/json");
                let sent = tokio::spawn({
                    let url = url.clone();
                    async move { Service::send_to(&url, request, body.to_string()).await }
                });
                if sent.await.is_err() {
                    return number;
                }
            }
            0
        });
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    service.kill();
    let mut sent = 0;
    while let Some(writer) = writers.join_next().await {
        sent += writer.expect("a writer");
    }
    assert!(sent > 0, "nothing was written");
    let mut connection = connect(&service.database.url).await;
    let (changes, kept): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(audit_log.id) FROM outbox LEFT JOIN audit_log ON audit_log.id = outbox.id",
    )
    .fetch_one(&mut connection)
    .await
    .expect("counted");
    assert!(changes >= sent, "{changes} of {sent}");
    assert_eq!(kept, changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_is_trusted_the_caller_is_who_it_asks_for() {
    for (trusted, expected) in [("127.0.0.0/8", "203.0.113.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let variables = [
            ("AUTO_MIGRATE", "true"),
            ("SERVER_TRUSTED_PROXIES", trusted),
        ];
        let service = Service::start_with(&variables).await;
        service.ready().await;
        for token in [&service.token("catalog:write"), "of nobody"] {
            let request = authorized(Method::POST, PRODUCTS, token)
                .header("content-type", "application/json")
                .header("x-forwarded-for", "198.51.100.1, 203.0.113.7");
            let body = json!({"sku": "A", "name": "x"});
            service.send(request, body.to_string()).await;
        }
        let peers = |records: &[Value]| -> Vec<String> {
            records
                .iter()
                .map(|record| record["peer"].as_str().unwrap().to_owned())
                .collect()
        };
        eventually("two records", async || list(&service, &[]).len() == 2).await;
        assert_eq!(peers(&list(&service, &[])), [expected; 2], "{trusted}");
    }
}
