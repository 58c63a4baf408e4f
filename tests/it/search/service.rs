//! Search as callers and operators have it.

use std::time::{Duration, Instant};

use catalog_service::pb::catalog::v1 as pb;
use http::{Method, Response, StatusCode};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::call;
use crate::support::service::Service;

const PRODUCTS: &str = "/v1/catalog/products";
const SEARCH: &str = "/catalog.v1.CatalogService/SearchProducts";

async fn search(service: &Service, token: &str, query: &str) -> Response<Value> {
    service
        .get(&format!("{PRODUCTS}:search?{query}"), token)
        .await
}

async fn create(service: &Service, token: &str, sku: &str) {
    let body = json!({"sku": sku, "name": "Gaming Laptop", "category": "electronics"});
    let created = service.json(Method::POST, PRODUCTS, token, &body).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
}

/// Waits until a search finds as many products.
async fn found(service: &Service, token: &str, query: &str, total: u64) -> Response<Value> {
    let started = Instant::now();
    loop {
        let response = search(service, token, query).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
        if response.body()["data"]["pagination"]["total"] == total {
            return response;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{query} finds {}",
            response.body()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_found_by_every_replica() {
    let service = Service::start().await;
    let replica = service.replica(&[]);
    replica.ready().await;
    let token = service.token("catalog:read catalog:write");
    for sku in ["LAPTOP-001", "LAPTOP-002", "LAPTOP-003"] {
        create(&service, &token, sku).await;
    }
    for service in [&service, &replica] {
        let response = found(service, &token, "q=gaming+lap&limit=2", 3).await;
        let data = &response.body()["data"];
        assert_eq!(
            data["pagination"],
            json!({"page": 1, "limit": 2, "total": 3, "totalPages": 2})
        );
        let product = &data["products"][0];
        assert_eq!(product["sku"], "LAPTOP-003");
        assert_eq!(product["name"], "Gaming Laptop");
        let links = response.headers()["link"].to_str().expect("text");
        let next = "</v1/catalog/products:search?q=gaming%20lap&limit=2&page=2>; rel=\"next\"";
        assert!(links.contains(next), "{links}");
    }
    let second = search(&service, &token, "q=gaming+lap&limit=2&page=2").await;
    assert_eq!(second.body()["data"]["products"][0]["sku"], "LAPTOP-001");
    let request = pb::SearchProductsRequest {
        q: "002".to_owned(),
        category: Some("electronics".to_owned()),
        ..Default::default()
    };
    let answer = call(&service.grpc, SEARCH, &token, request.encode_to_vec())
        .await
        .expect("an answer");
    let answer = pb::SearchProductsResponse::decode(answer).expect("the message");
    assert_eq!(answer.products.len(), 1);
    assert_eq!(answer.products[0].sku, "LAPTOP-002");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_searches_are_told_in_full() {
    let service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("MAX_PRODUCTS_PER_REQUEST", "50")]).await;
    service.ready().await;
    let token = service.token("catalog:read");
    for (query, details) in [
        ("", json!({"q": "Is required"})),
        ("q=", json!({"q": "Is required"})),
        (
            "q=%2D%20%26",
            json!({"q": "Must contain a letter or a digit"}),
        ),
        ("q=a%00", json!({"q": "Must not contain a null character"})),
        (
            "q=a&limit=101&category=&page_token=x",
            json!({
                "limit": "Must be between 1 and 100",
                "category": "Must be 1 to 100 characters long",
                "page_token": "Unknown parameter",
            }),
        ),
        ("q=a&limit=51", json!({"limit": "Must be between 1 and 50"})),
    ] {
        let response = search(&service, &token, query).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(response.body()["error"]["details"], details, "{query}");
    }
    let long = format!("q={}", "x".repeat(201));
    let response = search(&service, &token, &long).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_can_be_switched_off_and_on_again() {
    let off = [
        ("AUTO_MIGRATE", "true"),
        ("ENABLE_SEARCH_INDEXING", "false"),
    ];
    let service = Service::start_with(&off).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    create(&service, &token, "LAPTOP-001").await;
    let response = search(&service, &token, "q=laptop").await;
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(response.body()["error"]["code"], "INVALID_PARAMETERS");
    let message = "Search is switched off: features.enable_search_indexing is false";
    assert_eq!(response.body()["error"]["message"], message);
    let request = pb::SearchProductsRequest {
        q: "laptop".to_owned(),
        ..Default::default()
    };
    let status = call(&service.grpc, SEARCH, &token, request.encode_to_vec())
        .await
        .expect_err("switched off");
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.message(), message);

    let service = service.restart(&[]);
    service.ready().await;
    found(&service, &token, "q=laptop", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_all_indexed_anew() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    create(&service, &token, "LAPTOP-001").await;
    found(&service, &token, "q=laptop", 1).await;
    let mut connection = crate::support::postgres::connect(&service.database.url).await;
    sqlx::query("INSERT INTO products (sku, name) VALUES ('BY-HAND', 'Laptop')")
        .execute(&mut connection)
        .await
        .unwrap();
    let output = service.run(&["search", "reindex"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let response = search(&service, &token, "q=laptop").await;
    assert_eq!(response.body()["data"]["pagination"]["total"], 2);
}
