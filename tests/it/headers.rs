//! The headers for browsers: on every answer that one could read.

use http::{HeaderMap, Method, Request, StatusCode};

use crate::support::grpc::{web, web_frame};
use crate::support::redis::free_port;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";

/// As the specification has them.
const EXPECTED: [(&str, &str); 5] = [
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-xss-protection", "1; mode=block"),
    ("content-security-policy", "default-src 'self'"),
];

fn check(what: &str, headers: &HeaderMap) {
    for (name, value) in EXPECTED {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{what}: {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_http_answer_has_them() {
    let port = free_port().to_string();
    let service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("PROMETHEUS_PORT", &port)]).await;
    service.ready().await;
    let token = service.token("catalog:read");
    let web_request = web(authorized(
        Method::POST,
        "/catalog.v1.CatalogService/ListProducts",
        &token,
    ));
    let rpc = "/catalog.v1.CatalogService/ListProducts";
    let connect_request = authorized(Method::POST, rpc, &token);
    let connect_request = connect_request.header("content-type", "application/json");
    for (request, body, status) in [
        (authorized(Method::GET, PRODUCTS, &token), vec![], 200),
        (authorized(Method::HEAD, PRODUCTS, &token), vec![], 200),
        (authorized(Method::GET, PRODUCTS, ""), vec![], 401),
        (authorized(Method::POST, PRODUCTS, &token), vec![], 403),
        (authorized(Method::PUT, PRODUCTS, &token), vec![], 405),
        (authorized(Method::OPTIONS, PRODUCTS, &token), vec![], 200),
        (authorized(Method::GET, "/nowhere", ""), vec![], 404),
        (authorized(Method::GET, "/health", ""), vec![], 200),
        (authorized(Method::GET, "/ready", ""), vec![], 200),
        (authorized(Method::POST, "/ready", ""), vec![], 405),
        (authorized(Method::GET, "/docs/catalog", ""), vec![], 200),
        (authorized(Method::GET, "/openapi.json", ""), vec![], 200),
        (
            authorized(Method::GET, "/docs/assets/swagger-ui.css", ""),
            vec![],
            200,
        ),
        (
            authorized(Method::GET, "/docs/assets/images/0", ""),
            vec![],
            200,
        ),
        (
            authorized(Method::GET, "/docs/assets/images/9999", ""),
            vec![],
            404,
        ),
        (web_request, web_frame(&[]), 200),
        (connect_request, b"{}".to_vec(), 200),
        (
            // A browser's question before a call.
            Request::builder()
                .method(Method::OPTIONS)
                .uri(PRODUCTS)
                .header("origin", "https://shop.example.com")
                .header("access-control-request-method", "PATCH"),
            vec![],
            200,
        ),
    ] {
        let what = format!("{:?} {:?}", request.method_ref(), request.uri_ref());
        let answer = service.send_raw(request, body).await;
        assert_eq!(answer.status().as_u16(), status, "{what}");
        check(&what, answer.headers());
    }
    let watch = authorized(Method::GET, "/v1/catalog/products:watch", &token);
    check("a stream", service.open(watch, "").await.headers());
    for (what, url) in [
        ("the gRPC port", service.grpc.clone()),
        ("the metrics port", format!("http://127.0.0.1:{port}")),
    ] {
        let request = authorized(Method::GET, "/metrics", "");
        let answer = Service::send_to(&url, request, "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{what}");
        check(what, answer.headers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_grpc_does_without() {
    let service = Service::start().await;
    let endpoint = tonic::transport::Endpoint::from_shared(service.grpc.clone()).expect("a URL");
    let channel = endpoint.connect().await.expect("a connection");
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let answer = client
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await
        .expect("an answer");
    for (name, _) in EXPECTED {
        assert!(answer.metadata().get(name).is_none(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_where_that_is_switched_on() {
    for (variable, expected) in [("true", Some("gzip")), ("false", None)] {
        let variables = [
            ("AUTO_MIGRATE", "true"),
            ("SERVER_HTTP_COMPRESSION", variable),
        ];
        let service = Service::start_with(&variables).await;
        service.ready().await;
        let token = service.token("catalog:read catalog:write");
        let product =
            serde_json::json!({"sku": "A", "name": "A", "description": "word ".repeat(400)});
        let created = service.json(Method::POST, PRODUCTS, &token, &product).await;
        let id = created.body()["data"]["product"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let request = authorized(Method::GET, &format!("{PRODUCTS}/{id}"), &token)
            .header("accept-encoding", "gzip");
        let answer = service.send_raw(request, Vec::new()).await;
        let coding = answer.headers().get("content-encoding");
        assert_eq!(coding.map(|coding| coding.to_str().unwrap()), expected);
        assert_eq!(answer.body().starts_with(&[0x1f, 0x8b]), expected.is_some());
        assert_eq!(answer.body().len() < 1000, expected.is_some());
    }
}
