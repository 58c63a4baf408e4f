//! Traces as a collector gets them.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;

use crate::support::collector::{Collector, attribute, hex};
use crate::support::grpc;
use crate::support::redis::{Server, installed};
use crate::support::service::{Service, authorized};
use crate::support::sidecar::{Delivered, Sidecar};

const PRODUCTS: &str = "/v1/catalog/products";

/// A trace that its caller keeps, and the span that calls.
fn trace(number: u8) -> (String, &'static str, String) {
    let trace = format!("4bf92f3577b34da6a3ce929d0e0e47{number:02x}");
    let caller = "00f067aa0ba902b7";
    let traceparent = format!("00-{trace}-{caller}-01");
    (trace, caller, traceparent)
}

#[track_caller]
fn has(span: &Span, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        let found = attribute(&span.attributes, name);
        assert_eq!(found.as_deref(), Some(*value), "{name} of {}", span.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_one_trace_from_its_caller_to_its_event() {
    let (collector, sidecar) = (Collector::start().await, Sidecar::start().await);
    let port = sidecar.port.to_string();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("DAPR_HTTP_PORT", &port),
        ("JAEGER_ENDPOINT", &collector.url),
        // The caller decides for its trace.
        ("TRACE_SAMPLE_RATIO", "0"),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");

    let (id, caller, traceparent) = trace(1);
    let create = authorized(Method::POST, PRODUCTS, &token)
        .header(header::CONTENT_TYPE, "application/json")
        .header("traceparent", &traceparent);
    let body = json!({"sku": "S3CRET-SKU", "name": "Name"}).to_string();
    let created = service.send(create, body).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers().get("traceparent"), None);
    let product = created.body()["data"]["product"]["id"].as_str().unwrap();

    let server = collector.span(&id, "POST /v1/catalog/products").await;
    assert_eq!(server.kind(), SpanKind::Server);
    assert_eq!(hex(&server.parent_span_id), caller);
    let attributes = [
        ("http.request.method", "POST"),
        ("http.route", PRODUCTS),
        ("http.response.status_code", "201"),
        ("rpc.method", "CreateProduct"),
        ("catalog.product.id", product),
        ("enduser.id", "user_456"),
    ];
    has(&server, &attributes);
    let resource = collector.resource();
    let name = attribute(&resource, "service.name");
    assert_eq!(name.as_deref(), Some("catalog-service"));

    let statement = collector.span(&id, "products.create").await;
    assert_eq!(statement.kind(), SpanKind::Client);
    assert_eq!(statement.parent_span_id, server.span_id);
    has(&statement, &[("db.system.name", "postgresql")]);
    assert!(server.start_time_unix_nano <= statement.start_time_unix_nano);
    assert!(statement.end_time_unix_nano <= server.end_time_unix_nano);

    let sent = collector.span(&id, "send catalog.product.created").await;
    assert_eq!(sent.kind(), SpanKind::Producer);
    assert_eq!(sent.parent_span_id, server.span_id);
    has(
        &sent,
        &[
            ("messaging.system", "dapr"),
            ("catalog.product.id", product),
        ],
    );
    let event = sidecar.script().taken[0].envelope.clone();
    let continued = format!("00-{id}-{}-01", hex(&sent.span_id));
    assert_eq!(event["traceparent"], json!(continued));
    for span in collector.spans() {
        let text = format!("{span:?}");
        assert!(!text.contains("S3CRET"), "a value in {text}");
    }

    // By gRPC-Web, for something that is not there.
    let (id, caller, traceparent) = trace(2);
    let path = "/catalog.v1.CatalogService/GetProduct";
    let get = authorized(Method::POST, path, &token).header("traceparent", &traceparent);
    let key = catalog_service::pb::catalog::v1::get_product_request::Key::Sku("none".to_owned());
    let message = catalog_service::pb::catalog::v1::GetProductRequest { key: Some(key) };
    let got = grpc::send_web(&service, get, &message.encode_to_vec()).await;
    assert_eq!(got.unwrap_err(), tonic::Code::NotFound);
    let server = collector.span(&id, &path[1..]).await;
    assert_eq!(hex(&server.parent_span_id), caller);
    has(
        &server,
        &[("rpc.system", "grpc"), ("rpc.grpc.status_code", "5")],
    );
    assert_eq!(server.status, None, "the caller's fault");
    let statement = collector.span(&id, "products.find_by_sku").await;
    assert_eq!(statement.parent_span_id, server.span_id);

    // An event of others, in the trace of who sent it.
    let (id, sender, traceparent) = trace(3);
    let subscription = sidecar.subscribe(&service.http, None).await;
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "warehouse", "type": "t",
        "time": "2025-06-01T12:00:00Z", "traceparent": traceparent,
        "data": {"eventType": "InventoryUpdated", "data": {
            "productId": product, "sku": "S3CRET-SKU", "warehouse": "W", "quantity": 3, "reserved": 1, "available": 2}}
    });
    assert_eq!(subscription.deliver(&event).await, Delivered::Success);
    let handled = collector.span(&id, "process inventory.stock.updated").await;
    assert_eq!(handled.kind(), SpanKind::Consumer);
    assert_eq!(hex(&handled.parent_span_id), sender);
    assert_eq!(handled.links.len(), 1, "the delivery");
    has(
        &handled,
        &[
            ("catalog.product.id", product),
            ("catalog.event.outcome", "applied"),
        ],
    );
    let statement = collector.span(&id, "inventory.apply").await;
    assert_eq!(statement.parent_span_id, handled.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_in_redis_are_parts_of_the_request() {
    if !installed() {
        return;
    }
    let (collector, redis) = (Collector::start().await, Server::start(&[]));
    let addr = redis.addr();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("REDIS_ADDR", &addr),
        ("TRACE_ENDPOINT", &collector.url),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read");
    let (id, _, traceparent) = trace(4);
    // Redis is asked as soon as it is known what changed lately, for what is not in the process.
    for limit in 1..=100 {
        let list = format!("{PRODUCTS}?limit={limit}");
        let list = authorized(Method::GET, &list, &token).header("traceparent", &traceparent);
        assert_eq!(service.send(list, "").await.status(), StatusCode::OK);
        if collector
            .spans()
            .iter()
            .any(|span| span.name == "cache.get")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = collector.span(&id, "cache.get").await;
    has(
        &found,
        &[("db.system.name", "redis"), ("cache.hit", "false")],
    );
    let servers = collector.spans().into_iter();
    let mut servers = servers.filter(|span| span.name == "GET /v1/catalog/products");
    assert!(servers.any(|server| server.span_id == found.parent_span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_new_trace_decides_and_the_last_spans_are_sent_at_the_end() {
    const RATIO: f64 = 0.3;
    let collector = Collector::start().await;
    let endpoint = format!("{}/v1/traces", collector.url);
    let ratio = RATIO.to_string();
    let mut service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("TRACE_ENDPOINT", &endpoint),
        ("TRACE_SAMPLE_RATIO", &ratio),
    ])
    .await;
    service.ready().await;
    let mut kept = BTreeSet::new();
    for _ in 0..200 {
        let refused = service.get(PRODUCTS, "").await;
        let id = refused.body()["meta"]["traceId"]
            .as_str()
            .unwrap()
            .to_owned();
        let low = u64::from_str_radix(&id[16..], 16).unwrap() >> 1;
        #[allow(clippy::cast_precision_loss)]
        if (low as f64) < RATIO * 2f64.powi(63) {
            kept.insert(id);
        }
    }
    assert!((30..=90).contains(&kept.len()), "{}", kept.len());
    // And one whose caller keeps nothing.
    let (id, _, traceparent) = trace(5);
    let unkept = traceparent.replace("-01", "-00");
    let request = Request::get(PRODUCTS).header("traceparent", unkept);
    let refused = service.send(request, "").await;
    assert_eq!(refused.body()["meta"]["traceId"], json!(id));
    let mut kill = Command::new("kill");
    kill.args(["-TERM", &service.pid().to_string()]);
    assert!(kill.status().unwrap().success());
    assert!(service.wait().success());
    let spans = collector.spans().into_iter();
    let sent: BTreeSet<_> = spans
        .filter(|span| span.name == "GET /v1/catalog/products")
        .map(|span| hex(&span.trace_id))
        .collect();
    assert_eq!(sent, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_nothing_but_its_spans() {
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        // The specification's; nobody is there, nor at the receiver that it stands for.
        ("TRACE_ENDPOINT", "http://127.0.0.2:14268/api/traces"),
        ("TRACE_SAMPLE_RATIO", "1"),
    ])
    .await;
    service.ready().await;
    let failed = "trace_spans_total{outcome=\"failed\"} ";
    let mut count = 0;
    for _ in 0..200 {
        assert_eq!(service.get("/health", "").await.status(), StatusCode::OK);
        let metrics = Service::send_to(&service.grpc, Request::get("/metrics"), "").await;
        let metrics = String::from_utf8(metrics.into_body()).unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(failed));
        count = line.unwrap().parse().unwrap();
        if count > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(count > 0);
    let log = service.log.lock().unwrap().clone();
    for said in ["http://127.0.0.2:4318/v1/traces", "takes no spans"] {
        assert!(log.contains(said), "{said}: {log}");
    }
}
