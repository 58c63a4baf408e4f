//! The catalog over REST: the specification's shapes, and errors in the caller's own terms.

mod etag;
mod pages;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";

async fn service() -> (Service, String) {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    (service, token)
}

fn laptop(sku: &str) -> Value {
    json!({
        "sku": sku, "name": "Gaming Laptop", "description": "Fast", "category": "electronics", "brand": "TechBrand",
        "attributes": {"color": "Silver", "cores": 16, "ports": ["usb-c", null, 2.5]},
        "price": {"amount": 1299.99, "currency": "USD"}, "warehouse": "WH001",
    })
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_the_shape_of_the_specification() {
    let (service, token) = service().await;
    for number in 0..3 {
        let created = service
            .json(
                Method::POST,
                PRODUCTS,
                &token,
                &laptop(&format!("L-{number}")),
            )
            .await;
        assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    }
    let request = authorized(
        Method::GET,
        &format!("{PRODUCTS}?page=1&limit=2&category=electronics&warehouse=WH001"),
        &token,
    )
    .header("x-request-id", "req_abc123");
    let response = service.send_raw(request, "").await;
    assert_eq!(response.headers()["x-request-id"], "req_abc123");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let text = String::from_utf8(response.into_body()).expect("UTF-8");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    // Byte for byte: the values that differ from call to call are put into the specification's own text.
    let product = |index: usize, sku: &str| {
        let product = &body["data"]["products"][index];
        format!(
            r#"{{"id":{},"sku":"{sku}","name":"Gaming Laptop","category":"electronics","price":{{"amount":1299.99,"currency":"USD"}},"warehouse":"WH001","createdAt":{},"updatedAt":{}}}"#,
            product["id"], product["createdAt"], product["updatedAt"]
        )
    };
    let expected = format!(
        r#"{{"success":true,"data":{{"products":[{},{}],"pagination":{{"page":1,"limit":2,"total":3,"totalPages":2,"nextPageToken":{}}}}},"meta":{{"requestId":"req_abc123","timestamp":{},"version":"1.0"}}}}"#,
        product(0, "L-2"),
        product(1, "L-1"),
        body["data"]["pagination"]["nextPageToken"],
        body["meta"]["timestamp"]
    );
    assert_eq!(text, expected);
    let other = service
        .get(&format!("{PRODUCTS}?category=books"), &token)
        .await;
    assert_eq!(
        other.body()["data"],
        json!({"products": [], "pagination": {"page": 1, "limit": 20, "total": 0, "totalPages": 0}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_checked_all_at_once() {
    let (service, token) = service().await;
    let response = service.get(&format!("{PRODUCTS}?limit=101"), &token).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        response.body()["error"],
        json!({"code": "INVALID_PARAMETERS", "message": "Invalid query parameters", "details": {"limit": "Must be between 1 and 100"}})
    );
    assert_eq!(keys(response.body()), ["error", "meta", "success"]);
    assert_eq!(
        keys(&response.body()["meta"]),
        ["requestId", "timestamp", "traceId"]
    );
    let response = service
        .get(
            &format!("{PRODUCTS}?limit=0&page=x&category=&nope=1&warehouse=a%00b"),
            &token,
        )
        .await;
    assert_eq!(
        response.body()["error"]["details"],
        json!({
            "limit": "Must be between 1 and 100",
            "page": "Must be an integer",
            "category": "Must be 1 to 100 characters long",
            "nope": "Unknown parameter",
            "warehouse": "Must not contain a null character",
        })
    );
    let body = json!({
        "name": "", "price": {"amount": "12", "currency": "usd"}, "attributes": [], "unknown": 1, "status": "sold",
        "warehouse": "x".repeat(51), "brand": 5,
    });
    let response = service.json(Method::POST, PRODUCTS, &token, &body).await;
    assert_eq!(
        response.body()["error"],
        json!({"code": "INVALID_PARAMETERS", "message": "Invalid request parameters", "details": {
            "sku": "Is required",
            "name": "Is required",
            "price.amount": "Must be a decimal number",
            "price.currency": "Must be a currency code of three capital letters",
            "attributes": "Must be an object",
            "unknown": "Unknown field",
            "status": "Must be one of: active, inactive, discontinued",
            "warehouse": "Must be 1 to 50 characters long",
            "brand": "Must be a string",
        }})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_from_its_creation_to_its_end() {
    let (service, token) = service().await;
    let created = service
        .json(Method::POST, PRODUCTS, &token, &laptop("LAPTOP-001"))
        .await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let product = created.body()["data"]["product"].clone();
    let path = format!("{PRODUCTS}/{}", product["id"].as_str().expect("an id"));
    assert_eq!(created.headers()[header::LOCATION], path.as_str());
    assert_eq!(
        (&product["status"], &product["version"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(product["attributes"], laptop("x")["attributes"]);

    for same in [path.clone(), format!("{PRODUCTS}/sku/LAPTOP-001")] {
        let response = service.get(&same, &token).await;
        assert_eq!(response.body()["data"]["product"], product, "{same}");
    }
    let again = service
        .json(Method::POST, PRODUCTS, &token, &laptop("LAPTOP-001"))
        .await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(
        again.body()["error"],
        json!({"code": "CONFLICT", "message": "A product with this SKU already exists"})
    );

    let change = json!({"name": "Pro", "description": null, "price": {"amount": 1199.5, "currency": "EUR"}, "attributes": {}});
    let changed = service.json(Method::PATCH, &path, &token, &change).await;
    assert_eq!(changed.status(), StatusCode::OK, "{}", changed.body());
    let after = &changed.body()["data"]["product"];
    assert_eq!(
        (&after["name"], &after["version"]),
        (&json!("Pro"), &json!(2))
    );
    assert_eq!(after["price"], json!({"amount": 1199.5, "currency": "EUR"}));
    assert!(after.get("description").is_none(), "null clears");
    assert_eq!(
        after["attributes"],
        json!({}),
        "an object is replaced as a whole"
    );
    assert_eq!(after["brand"], "TechBrand", "what is not named stays");
    let same = service.json(Method::PATCH, &path, &token, &json!({})).await;
    assert_eq!(
        same.body()["data"]["product"],
        *after,
        "nothing named, nothing changed"
    );

    let refused = service
        .json(Method::PATCH, &path, &token, &json!({"sku": "X", "createdAt": "2024-01-15T10:30:00Z", "name": null, "price": {"amount": 1}, "id": "prod_01hm6xkqz0e8s8a3kq5w2v9t4c"}))
        .await;
    assert_eq!(
        refused.body()["error"]["details"],
        json!({"sku": "Can't be changed", "createdAt": "Can't be changed", "id": "Is given in the path and in the body"})
    );
    for (body, details) in [
        (
            json!({"name": null}),
            json!({"name": "Must be 1 to 255 characters long"}),
        ),
        (
            json!({"price": {"amount": 1}}),
            json!({"price.currency": "Is required: a price changes as a whole"}),
        ),
    ] {
        let refused = service.json(Method::PATCH, &path, &token, &body).await;
        assert_eq!(refused.body()["error"]["details"], details, "{body}");
    }

    let deleted = service
        .send(authorized(Method::DELETE, &path, &token), "")
        .await;
    assert_eq!(
        (deleted.status(), deleted.body()),
        (StatusCode::NO_CONTENT, &Value::Null)
    );
    for method in [Method::GET, Method::DELETE] {
        let response = service.send(authorized(method, &path, &token), "").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            response.body()["error"],
            json!({"code": "NOT_FOUND", "message": "Product not found"})
        );
    }
    let reused = service
        .json(Method::POST, PRODUCTS, &token, &laptop("LAPTOP-001"))
        .await;
    assert_eq!(
        reused.status(),
        StatusCode::CREATED,
        "the SKU of a deleted product may be used again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_exact_and_attributes_come_back() {
    let (service, token) = service().await;
    for (sku, sent, back) in [
        ("A", "999999999999999.5", "999999999999999.5"),
        ("B", "0.1000", "0.1"),
        ("C", "0.30000000000000004", "0.3"),
        ("D", "0", "0"),
        ("E", "1.5e3", "1500"),
    ] {
        let body = format!(
            r#"{{"sku":"{sku}","name":"x","price":{{"amount":{sent},"currency":"USD"}},"attributes":{{"n":-1.7976931348623157e308,"s":"🙂"}}}}"#
        );
        let request = authorized(Method::POST, PRODUCTS, &token)
            .header(header::CONTENT_TYPE, "application/json");
        let response = service.send_raw(request, body).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let response = service
            .send_raw(
                authorized(Method::GET, &format!("{PRODUCTS}/sku/{sku}"), &token),
                "",
            )
            .await;
        let text = String::from_utf8(response.into_body()).expect("UTF-8");
        assert!(
            text.contains(&format!(r#""amount":{back},"#)),
            "{sent}: {text}"
        );
        assert!(
            text.contains("🙂") && text.contains("-1.7976931348623157e+308"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http_itself_can_say_is_said_in_the_envelope() {
    let (service, token) = service().await;
    let json_type = "application/json";
    for (method, path, content_type, body, status, code) in [
        (
            Method::GET,
            "/nope",
            "",
            "",
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
        ),
        (
            Method::GET,
            "/v1/catalog/products/",
            "",
            "",
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
        ),
        (
            Method::PUT,
            PRODUCTS,
            json_type,
            "{}",
            StatusCode::METHOD_NOT_ALLOWED,
            "INVALID_PARAMETERS",
        ),
        (
            Method::POST,
            "/health",
            json_type,
            "{}",
            StatusCode::METHOD_NOT_ALLOWED,
            "INVALID_PARAMETERS",
        ),
        (
            Method::POST,
            PRODUCTS,
            json_type,
            "{",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
        (
            Method::POST,
            PRODUCTS,
            json_type,
            "",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
        (
            Method::POST,
            PRODUCTS,
            json_type,
            "[]",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
        (
            Method::POST,
            PRODUCTS,
            "text/plain",
            "{}",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "INVALID_PARAMETERS",
        ),
        (
            Method::GET,
            "/v1/catalog/products/prod_1",
            "",
            "",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
        (
            Method::GET,
            "/v1/catalog/products/%FF",
            "",
            "",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
        (
            Method::GET,
            "/v1/catalog/products?category=%FF",
            "",
            "",
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETERS",
        ),
    ] {
        let mut request = authorized(method.clone(), path, &token);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let response = service.send(request, body).await;
        assert_eq!(response.status(), status, "{method} {path} {body}");
        assert_eq!(response.body()["success"], false);
        assert_eq!(
            response.body()["error"]["code"],
            code,
            "{method} {path} {body}"
        );
        assert!(
            response.body()["meta"]["requestId"]
                .as_str()
                .is_some_and(|id| id.starts_with("req_"))
        );
        assert_eq!(
            response.headers().contains_key(header::ALLOW),
            status == StatusCode::METHOD_NOT_ALLOWED
        );
    }
    let huge = json!({"sku": "A", "name": "x".repeat(2 << 20)});
    let response = service.json(Method::POST, PRODUCTS, &token, &huge).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request =
        authorized(Method::POST, PRODUCTS, &token).header(header::CONTENT_TYPE, json_type);
    let response = service.send(request, b"{\"sku\": \"\xff\"}".to_vec()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    // An id that could break a log or a page is replaced; the trace of the caller is told back.
    let request = authorized(Method::GET, "/nope", "")
        .header("x-request-id", "<script>")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    let response = service.send(request, "").await;
    assert!(
        response.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .starts_with("req_")
    );
    assert_eq!(
        response.body()["meta"]["traceId"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_people_and_probes() {
    let (service, _) = service().await;
    let health = service.get("/health", "").await;
    assert_eq!(health.body()["status"], "healthy");
    assert_eq!(health.body()["service"]["name"], "catalog-service");
    assert_eq!(health.body()["checks"]["database"]["status"], "healthy");
    assert!(
        health.body()["checks"]["database"]["connections"]
            .as_str()
            .expect("text")
            .ends_with("/20")
    );
    let checks = health.body()["checks"].as_object().expect("checks");
    let mut checks: Vec<_> = checks.keys().collect();
    checks.sort();
    assert_eq!(
        checks,
        ["cache", "database", "events"],
        "what is not configured is left out"
    );
    let page = service
        .send_raw(authorized(Method::GET, "/docs/catalog", ""), "")
        .await;
    let page = String::from_utf8(page.into_body()).expect("HTML");
    let mut loaded = 0;
    for link in page.split('"').filter(|text| text.starts_with('/')) {
        let asset = service
            .send_raw(authorized(Method::GET, link, ""), "")
            .await;
        assert_eq!(asset.status(), StatusCode::OK, "{link}");
        assert!(!asset.body().is_empty());
        loaded += 1;
    }
    assert_eq!(loaded, 4);
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "the page works without a network"
    );
    let preflight = authorized(Method::OPTIONS, PRODUCTS, "")
        .header("origin", "https://shop.example.com")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,x-grpc-web");
    let preflight = service.send_raw(preflight, "").await;
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert!(
        preflight.headers()["access-control-allow-methods"]
            .to_str()
            .expect("text")
            .contains("PATCH")
    );
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "authorization,x-grpc-web"
    );
}
