//! Watching products, in every protocol.

mod end;
mod idle;
mod resume;
mod websocket;

use std::sync::Arc;

use catalog_service::domain::Catalog;
use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use catalog_service::pb::catalog::v1::watch_products_response::Change;
use catalog_service::store::postgres::{PoolSettings, pool};
use catalog_service::store::{Bell, PgProducts};
use catalog_service::system::SystemEnvironment;
use http::{Method, StatusCode};
use prost::Message as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use tonic::{Code, Request, Status, Streaming};

use crate::support::grpc::{web, web_frame};
use crate::support::service::{Service, authorized};
use crate::support::stream::{Events, WebMessages};

const PRODUCTS: &str = "/v1/catalog/products";
const WATCH: &str = "/v1/catalog/products:watch";
const RPC: &str = "/catalog.v1.CatalogService/WatchProducts";

/// Another instance on the database of a service: its changes reach the watchers of that service, too.
fn other_instance(service: &Service) -> (PgPool, Arc<Catalog<PgProducts, SystemEnvironment>>) {
    let pool = pool(&service.database.url, &PoolSettings::default()).expect("a pool");
    let products = PgProducts::new(pool.clone(), Bell::default());
    (pool, Arc::new(Catalog::new(products, SystemEnvironment)))
}

async fn create(service: &Service, token: &str, product: Value) -> String {
    let created = service.json(Method::POST, PRODUCTS, token, &product).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    let id = created.body()["data"]["product"]["id"].as_str();
    id.expect("an id").to_owned()
}

async fn change(service: &Service, token: &str, id: &str, patch: Value) {
    let path = format!("{PRODUCTS}/{id}");
    let changed = service.json(Method::PATCH, &path, token, &patch).await;
    assert_eq!(changed.status(), StatusCode::OK, "{}", changed.body());
}

async fn delete(service: &Service, token: &str, id: &str) {
    let request = authorized(Method::DELETE, &format!("{PRODUCTS}/{id}"), token);
    let deleted = service.send(request, "").await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
}

/// Opens a watch by REST.
async fn events(service: &Service, token: &str, query: &str) -> Events {
    let request = authorized(Method::GET, &format!("{WATCH}{query}"), token);
    let response = service.open(request, "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Events::new(response.into_body())
}

/// Opens a watch by gRPC.
async fn messages(
    url: &str,
    token: &str,
    request: pb::WatchProductsRequest,
) -> Result<Streaming<pb::WatchProductsResponse>, Status> {
    let mut client = CatalogServiceClient::connect(url.to_owned())
        .await
        .expect("a connection");
    let mut request = Request::new(request);
    let token = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", token);
    client
        .watch_products(request)
        .await
        .map(tonic::Response::into_inner)
}

/// Opens a watch by gRPC-Web.
async fn web_messages(service: &Service, token: &str) -> WebMessages {
    let request = web(authorized(Method::POST, RPC, token));
    let message = pb::WatchProductsRequest::default().encode_to_vec();
    let response = service.open(request, web_frame(&message)).await;
    assert_eq!(response.status(), StatusCode::OK);
    WebMessages::new(response.into_body())
}

/// What a message says, without the token, which depends on what else its watcher has read.
fn said(message: &Value) -> Value {
    let mut message = message.clone();
    let token = message.as_object_mut().expect("an object");
    let token = token.remove("resumeToken").expect("a token");
    assert!(!token.as_str().expect("text").is_empty());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_tells_the_same() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let all = pb::WatchProductsRequest::default();
    let mut own_port = messages(&service.grpc, &token, all.clone())
        .await
        .expect("open");
    let mut one_port = messages(&service.http, &token, all).await.expect("open");
    let mut web = web_messages(&service, &token).await;
    let mut sse = events(&service, &token, "").await;

    let mut expected = Vec::new();
    for turn in 0..4 {
        let event = sse.next().await.expect("an event");
        assert_eq!(event.name, None);
        assert_eq!(event.id.as_deref(), event.data["resumeToken"].as_str());
        let mut others = vec![
            own_port
                .message()
                .await
                .expect("a stream")
                .expect("a message"),
            one_port
                .message()
                .await
                .expect("a stream")
                .expect("a message"),
        ];
        let bytes = web.next().await.expect("a message");
        others.push(pb::WatchProductsResponse::decode(&*bytes).expect("a message"));
        for other in others {
            let other = serde_json::to_value(&other).expect("JSON");
            assert_eq!(said(&other), said(&event.data));
        }
        expected.push(said(&event.data));
        let id = expected[turn.min(1)]["created"]["data"]["productId"].as_str();
        match turn {
            0 => drop(create(&service, &token, json!({"sku": "W", "name": "x"})).await),
            1 => change(&service, &token, id.expect("an id"), json!({"name": "y"})).await,
            2 => delete(&service, &token, id.expect("an id")).await,
            _ => {}
        }
    }
    let [bookmark, created, updated, deleted] = &expected[..] else {
        panic!("{expected:?}");
    };
    assert_eq!(*bookmark, json!({}));
    assert_eq!(created["effect"], "entered");
    assert_eq!(created["created"]["data"]["sku"], "W");
    assert_eq!(updated["effect"], "changed");
    let names = &updated["updated"]["data"]["changes"]["name"];
    assert_eq!(*names, json!({"old": "x", "new": "y"}));
    assert_eq!(deleted["effect"], "left");
    assert_eq!(deleted["deleted"]["data"]["productVersion"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_tells_who_enters_and_who_leaves() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let mut laptops = events(&service, &token, "?category=laptops&warehouse=A").await;
    assert_eq!(
        said(&laptops.next().await.expect("a bookmark").data),
        json!({})
    );
    let other = json!({"sku": "P", "name": "Phone", "category": "phones", "warehouse": "A"});
    create(&service, &token, other).await;
    let product = json!({"sku": "L", "name": "Laptop", "category": "laptops", "warehouse": "B"});
    let id = create(&service, &token, product).await;
    for patch in [
        json!({"warehouse": "A"}),
        json!({"name": "Fast laptop"}),
        json!({"category": null}),
        json!({"name": "Not told"}),
        json!({"category": "laptops"}),
    ] {
        change(&service, &token, &id, patch).await;
    }
    delete(&service, &token, &id).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let event = laptops.next().await.expect("an event").data;
        let version = ["updated", "deleted"]
            .iter()
            .find_map(|kind| event[kind]["data"]["productVersion"].as_i64());
        told.push((event["effect"].clone(), version.expect("a version")));
    }
    let told: Vec<_> = told
        .iter()
        .map(|(effect, version)| (effect.as_str().expect("an effect"), *version))
        .collect();
    assert_eq!(
        told,
        [
            ("entered", 2),
            ("changed", 3),
            ("left", 4),
            ("entered", 6),
            ("left", 7)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_watch_is_told_before_it_opens() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    for bad in ["nonsense", "NzQ1Ojc0NTo=", "%2F"] {
        let path = format!("{WATCH}?category=&resumeToken={bad}");
        let response = service.get(&path, &token).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        let error = &response.body()["error"];
        assert_eq!(error["code"], "INVALID_PARAMETERS", "{bad}");
    }
    let nonsense = service
        .get(&format!("{WATCH}?resumeToken=nonsense"), &token)
        .await;
    assert_eq!(
        nonsense.body()["error"]["details"],
        json!({"resumeToken": "Must be a token of an earlier watch"})
    );
    let request = pb::WatchProductsRequest {
        resume_token: "nonsense".to_owned(),
        ..Default::default()
    };
    let refused = messages(&service.grpc, &token, request).await;
    assert_eq!(refused.expect_err("refused").code(), Code::InvalidArgument);
    let html = authorized(Method::GET, WATCH, &token).header("accept", "text/html");
    let response = service.send(html, "").await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(response.body()["success"], false);
}

/// The product and its version that a message is about.
fn version(message: &pb::WatchProductsResponse) -> Option<(String, i64)> {
    let (product, version) = match message.change.as_ref()? {
        Change::Created(event) => {
            let data = event.data.as_ref()?;
            (&data.product_id, data.product_version)
        }
        Change::Updated(event) => {
            let data = event.data.as_ref()?;
            (&data.product_id, data.product_version)
        }
        Change::Deleted(event) => {
            let data = event.data.as_ref()?;
            (&data.product_id, data.product_version)
        }
    };
    Some((product.clone(), version.into()))
}
