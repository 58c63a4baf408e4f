//! What is too much for now, or can't be done for now: told at once, with the time to come again.

use std::time::Duration;

use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use catalog_service::pb::catalog::v1::{GetProductRequest, get_product_request};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::grpc::{web, web_frame};
use crate::support::redis::eventually;
use crate::support::service::{Service, authorized};

const NO_PRODUCT: &str = "/v1/catalog/products/sku/NONE";
const GET_PRODUCT: &str = "/catalog.v1.CatalogService/GetProduct";

async fn by_rest(service: &Service, token: &str) -> Response<Value> {
    service.get(NO_PRODUCT, token).await
}

async fn by_grpc(service: &Service, token: &str) -> Status {
    let mut client = CatalogServiceClient::connect(service.grpc.clone())
        .await
        .unwrap();
    let mut request = Request::new(GetProductRequest {
        key: Some(get_product_request::Key::Sku("NONE".to_owned())),
    });
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    client
        .get_product(request)
        .await
        .expect_err("no such product")
}

async fn by_web(service: &Service, token: &str) -> Status {
    let request = web(authorized(Method::POST, GET_PRODUCT, token));
    let answer = service.send_raw(request, web_frame(b"\x12\x04NONE")).await;
    Status::from_header_map(answer.headers()).expect("a status")
}

fn assert_unavailable(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "SERVICE_UNAVAILABLE");
    let delay = details.retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(1)));
}

/// A call whose body lacks its last byte.
async fn begin(service: &Service, token: &str) -> TcpStream {
    let host = service.http.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /v1/catalog/products HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// A call in every protocol is told to come again.
async fn assert_all_unavailable(service: &Service, token: &str) {
    let answer = by_rest(service, token).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body()["error"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_unavailable(&by_grpc(service, token).await);
    assert_unavailable(&by_web(service, token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_told_to_come_again() {
    let service =
        Service::start_with(&[("AUTO_MIGRATE", "true"), ("SERVER_MAX_IN_FLIGHT", "1")]).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    // A watch is under way only until it is open.
    let watch = authorized(Method::GET, "/v1/catalog/products:watch", &token);
    let mut watch = service.open(watch, "").await;
    assert_eq!(watch.status(), 200);
    assert!(watch.frame().await.is_some(), "open");
    assert_eq!(by_rest(&service, &token).await.status(), 404);

    let mut slow = begin(&service, &token).await;
    eventually("the slow call is under way", async || {
        if by_rest(&service, &token).await.status() == 503 {
            return true;
        }
        // An answer already: beside one that looked at it, it was itself the one too many.
        if slow.try_read(&mut [0]).is_ok() {
            slow = begin(&service, &token).await;
        }
        false
    })
    .await;
    assert_all_unavailable(&service, &token).await;
    // What is there for probes is answered all the same.
    assert_eq!(service.get("/health", "").await.status(), 200);

    slow.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(by_rest(&service, &token).await.status(), 404);
    assert_eq!(by_grpc(&service, &token).await.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_calls_are_told_to_come_again() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    service.database.shut().await;
    assert_all_unavailable(&service, &token).await;
    service.database.open().await;
    service.ready().await;
    eventually("it is back", async || {
        by_rest(&service, &token).await.status() == 404
    })
    .await;
}
