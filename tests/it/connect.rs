//! The catalog by Connect: what clients get that are made of the contract by others.

use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::connect::envelope;
use crate::support::service::{Service, authorized};

const CATALOG: &str = "/catalog.v1.CatalogService";

/// A unary call in JSON.
async fn call(service: &Service, rpc: &str, token: &str, body: &Value) -> http::Response<Value> {
    let request = authorized(Method::POST, &format!("{CATALOG}/{rpc}"), token)
        .header(header::CONTENT_TYPE, "application/json")
        .header("connect-protocol-version", "1");
    service.send(request, body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_in_the_json_of_protobuf() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let product = json!({
        "sku": "CONNECT-1",
        "name": "Laptop",
        "price": {"amount": "1299.90", "currency": "USD"},
        "status": "PRODUCT_STATUS_INACTIVE",
    });
    let created = call(&service, "CreateProduct", &token, &product).await;
    assert_eq!(created.status(), StatusCode::OK, "{}", created.body());
    let created = &created.body()["product"];
    // Neither the names of REST, nor its numbers, nor its envelope.
    assert_eq!(created["status"], "PRODUCT_STATUS_INACTIVE");
    assert!(created["price"]["amount"].is_string(), "{created}");
    let id = created["id"].as_str().expect("an id");
    let path = format!("/v1/catalog/products/{id}");
    let rest = service.get(&path, &token).await.into_body();
    let same = &rest["data"]["product"];
    assert_eq!(same["status"], "inactive", "{rest}");
    assert!(same["price"]["amount"].is_number(), "{rest}");

    let again = call(&service, "CreateProduct", &token, &product).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(again.body()["code"], "already_exists");
    let details = again.body()["details"].as_array().expect("details");
    assert_eq!(details[0]["type"], "google.rpc.ErrorInfo");
    let wrong = call(
        &service,
        "CreateProduct",
        &token,
        &json!({"sku": "not a SKU"}),
    )
    .await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(wrong.body()["code"], "invalid_argument");

    // What changes nothing may come by GET.
    let query = format!("connect=v1&encoding=json&message=%7B%22id%22%3A%22{id}%22%7D");
    let path = format!("{CATALOG}/GetProduct?{query}");
    let got = service
        .send(authorized(Method::GET, &path, &token), "")
        .await;
    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!(got.body()["product"]["sku"], "CONNECT-1");
    let path = format!("{CATALOG}/CreateProduct?{query}");
    let refused = service
        .send_raw(authorized(Method::GET, &path, &token), "")
        .await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_made_once_and_end_in_time() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let create = async |sku: &str| {
        let path = format!("{CATALOG}/CreateProduct");
        let request = authorized(Method::POST, &path, &token)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "connect-1");
        let body = json!({"sku": sku, "name": "Laptop"});
        service.send(request, body.to_string()).await
    };
    let first = create("ONCE-1").await;
    let second = create("ONCE-1").await;
    assert_eq!(first.status(), StatusCode::OK, "{}", first.body());
    assert_eq!(first.body(), second.body());
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    assert_eq!(create("ONCE-2").await.status(), StatusCode::CONFLICT);
    let path = format!("{CATALOG}/ListProducts");
    let late = authorized(Method::POST, &path, &token)
        .header(header::CONTENT_TYPE, "application/json")
        .header("connect-timeout-ms", "0");
    let late = service.send(late, "{}").await;
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(late.body()["code"], "deadline_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_call() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let asked = "authorization,connect-protocol-version,connect-timeout-ms,content-type";
    let path = format!("{CATALOG}/ListProducts");
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri(&path)
        .header("origin", "https://shop.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked);
    let preflight = service.send_raw(preflight, "").await;
    assert_eq!(preflight.status(), StatusCode::OK);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers()["access-control-allow-headers"], asked);
    let request = authorized(Method::POST, &path, &token)
        .header(header::CONTENT_TYPE, "application/json")
        .header("origin", "https://shop.example.com");
    let answer = service.send(request, "{}").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let exposed = answer.headers()["access-control-expose-headers"].to_str();
    assert!(exposed.expect("text").contains("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_logged_and_counted_by_what_they_came_to() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let missing = json!({"id": "prod_01hm6xkqz0e8s8a3kq5w2v9t4c"});
    let answer = call(&service, "GetProduct", &token, &missing).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{}", answer.body());
    let path = format!("{CATALOG}/Nothing");
    let nothing =
        authorized(Method::POST, &path, &token).header(header::CONTENT_TYPE, "application/proto");
    let answer = service.send(nothing, "").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.body()["code"], "unimplemented");
    // One who watches is gone in the middle of it.
    let path = format!("{CATALOG}/WatchProducts");
    let watch = authorized(Method::POST, &path, &token)
        .header(header::CONTENT_TYPE, "application/connect+proto");
    drop(service.open(watch, envelope(&[])).await);
    for (rpc, status) in [
        ("GetProduct", "NOT_FOUND"),
        ("Nothing", "UNIMPLEMENTED"),
        ("WatchProducts", "CANCELLED"),
    ] {
        let is_it = |line: &str| {
            line.contains(r#""protocol":"connect""#)
                && line.contains(&format!("{CATALOG}/{rpc}"))
                && line.contains(&format!(r#""grpcStatus":"{status}""#))
        };
        crate::support::consul::until("a line of the log", async || {
            let log = service.log.lock().unwrap().clone();
            log.lines().any(is_it).then_some(())
        })
        .await;
    }
    let page = Service::send_to(&service.grpc, Request::get("/metrics"), "").await;
    let page = String::from_utf8(page.into_body()).expect("text");
    let counted = page.lines().any(|line| {
        line.starts_with("kratos_grpc_requests_total")
            && line.contains("GetProduct")
            && line.contains("NOT_FOUND")
    });
    assert!(counted, "{page}");
}
