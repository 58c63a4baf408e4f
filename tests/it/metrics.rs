//! What Prometheus scrapes, after real traffic.

use std::io::Write as _;
use std::process::{Command, Stdio};

use catalog_service::pb::catalog::v1 as pb;
use http::{Method, Request, header};
use prost::Message as _;
use serde_json::json;
use tonic::Code;

use crate::support::grpc;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";
const GET_PRODUCT: &str = "/catalog.v1.CatalogService/GetProduct";

/// A page of metrics.
struct Scraped(String);

impl Scraped {
    async fn of(service: &Service) -> Self {
        let answer = Service::send_to(&service.grpc, Request::get("/metrics"), "").await;
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Self(String::from_utf8(answer.into_body()).unwrap())
    }

    /// The value of the one sample that begins like this: a name, and labels in any order.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut samples = self.0.lines().filter(|line| {
            let end = line.find(['{', ' ']).unwrap_or_default();
            &line[..end] == name
                && labels
                    .iter()
                    .all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")))
        });
        let sample = samples.next()?;
        assert_eq!(samples.next(), None, "{name} {labels:?} is not one sample");
        sample.rsplit(' ').next()?.parse().ok()
    }

    #[track_caller]
    fn is(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let found = self.value(name, labels);
        assert_eq!(found, Some(value), "{name} {labels:?} in\n{}", self.0);
    }

    #[track_caller]
    fn at_least(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let found = self.value(name, labels);
        let enough = found.is_some_and(|found| found >= value);
        assert!(enough, "{name} {labels:?}: {found:?} in\n{}", self.0);
    }
}

/// Asks Prometheus' own tool about a page. In CI it has to be there.
fn promtool(page: &str) {
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = command else {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool is not installed"
        );
        eprintln!("skipped: promtool is not installed");
        return;
    };
    let mut input = child.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn get_product(id: &str) -> Vec<u8> {
    let key = pb::get_product_request::Key::Id(id.to_owned());
    pb::GetProductRequest { key: Some(key) }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_specification_with_its_labels() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let body = json!({"sku": "A", "name": "Name"});
    let created = service.json(Method::POST, PRODUCTS, &token, &body).await;
    let id = created.body()["data"]["product"]["id"].as_str().unwrap();
    let again = service.json(Method::POST, PRODUCTS, &token, &body).await;
    assert_eq!(again.status(), 409);
    let path = format!("{PRODUCTS}/{id}");
    for _ in 0..3 {
        assert_eq!(service.get(&path, &token).await.status(), 200);
    }
    let head = service.send_raw(authorized(Method::HEAD, &path, &token), "");
    assert_eq!(head.await.status(), 200);
    // A browser, which comes the other way.
    let page = authorized(Method::GET, &path, &token).header(header::ORIGIN, "https://shop.test");
    assert_eq!(service.send(page, "").await.status(), 200);
    for path in ["/nowhere/1", "/nowhere/2"] {
        assert_eq!(service.get(path, "").await.status(), 404);
    }
    let brew = Request::builder()
        .method("BREW")
        .uri("/v1/catalog/products");
    assert_eq!(service.send(brew, "").await.status(), 405);
    assert_eq!(service.get(PRODUCTS, "").await.status(), 401);
    assert_eq!(service.get("/health", "").await.status(), 200);

    let call = |id: &str| grpc::call(&service.grpc, GET_PRODUCT, &token, get_product(id));
    call(id).await.unwrap();
    let absent = "prod_01hm6xkqz0e8s8a3kq5w2v9t4c";
    assert_eq!(call(absent).await.unwrap_err().code(), Code::NotFound);
    let web = grpc::call_web(&service, GET_PRODUCT, &token, &get_product(id)).await;
    web.unwrap();
    let nothing = grpc::call(&service.grpc, "/a.B/C", &token, Vec::new()).await;
    assert_eq!(nothing.unwrap_err().code(), Code::Unimplemented);

    let metrics = Scraped::of(&service).await;
    let template = "/v1/catalog/products/{id}";
    let http = "kratos_http_requests_total";
    let route = |method, path, status| [("method", method), ("path", path), ("status", status)];
    metrics.is(http, &route("GET", template, "200"), 4.0);
    metrics.is(http, &route("HEAD", template, "200"), 1.0);
    metrics.is(http, &route("POST", PRODUCTS, "201"), 1.0);
    metrics.is(http, &route("POST", PRODUCTS, "409"), 1.0);
    metrics.is(http, &route("GET", PRODUCTS, "401"), 1.0);
    metrics.is(http, &route("GET", "unknown", "404"), 2.0);
    metrics.is(http, &route("_OTHER", "unknown", "405"), 1.0);
    metrics.is(http, &route("GET", "/health", "200"), 1.0);
    assert!(!metrics.0.contains(id) && !metrics.0.contains("nowhere"));
    let seconds = "kratos_http_request_duration_seconds";
    let labels = [("method", "GET"), ("path", template)];
    metrics.is(&format!("{seconds}_count"), &labels, 4.0);
    let all = [("method", "GET"), ("path", template), ("le", "+Inf")];
    metrics.is(&format!("{seconds}_bucket"), &all, 4.0);
    metrics.at_least(&format!("{seconds}_sum"), &labels, 1e-6);

    let rpc = |status| [("method", GET_PRODUCT), ("status", status)];
    metrics.is("kratos_grpc_requests_total", &rpc("OK"), 2.0);
    metrics.is("kratos_grpc_requests_total", &rpc("NOT_FOUND"), 1.0);
    let unknown = [("method", "unknown"), ("status", "UNIMPLEMENTED")];
    metrics.is("kratos_grpc_requests_total", &unknown, 1.0);
    let labels = [("method", GET_PRODUCT)];
    metrics.is("kratos_grpc_request_duration_seconds_count", &labels, 3.0);

    let operation = |name, status| [("operation", name), ("status", status)];
    let operations = "service_operations_total";
    metrics.is(operations, &operation("create_product", "success"), 1.0);
    metrics.is(operations, &operation("create_product", "error"), 1.0);
    // Three by GET, HEAD, the browser, gRPC and gRPC-Web.
    metrics.is(operations, &operation("get_product", "success"), 7.0);
    let labels = [("operation", "get_product")];
    metrics.is("service_operations_duration_seconds_count", &labels, 8.0);
    let errors = "service_errors_total";
    metrics.is(
        errors,
        &[("type", "CONFLICT"), ("code", "ALREADY_EXISTS")],
        1.0,
    );
    metrics.is(
        errors,
        &[("type", "NOT_FOUND"), ("operation", "get_product")],
        1.0,
    );
    metrics.is(
        errors,
        &[("type", "UNAUTHORIZED"), ("operation", "list_products")],
        1.0,
    );

    metrics.at_least("database_connections_active", &[], 0.0);
    metrics.is("database_connections_max", &[], 20.0);
    let queries = "database_query_duration_seconds_count";
    metrics.is(queries, &[("query", "products.create")], 2.0);
    metrics.at_least(queries, &[("query", "products.find")], 1.0);
    let local = [("layer", "local"), ("kind", "product")];
    metrics.at_least("cache_misses_total", &local, 1.0);
    metrics.at_least("cache_hits_total", &local, 1.0);
    let last = catalog_service::migrate::Source::embedded();
    let last = last.versions().last().unwrap();
    metrics.is(
        "migration_status",
        &[],
        f64::from(i32::try_from(last).unwrap()),
    );
    let first = [("version", "1"), ("direction", "up")];
    metrics.at_least("migration_duration_seconds", &first, 1e-6);
    metrics.is("migration_errors_total", &[], 0.0);

    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "tokio_workers",
        "build_info",
    ] {
        assert!(
            metrics.value(name, &[]).is_some_and(|value| value > 0.0),
            "{name}"
        );
    }
    promtool(&metrics.0);

    let open = Request::get("/metrics").header(header::ACCEPT, "application/openmetrics-text");
    let answer = Service::send_to(&service.grpc, open, "").await;
    let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = String::from_utf8(answer.into_body()).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE kratos_http_requests counter\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_streams_are_counted_to_their_end() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let watch = "/catalog.v1.CatalogService/WatchProducts";
    let operation = [("operation", "watch_products")];
    let streaming = grpc::open(&service.grpc, watch, &token, Vec::new()).await;
    let mut messages = streaming.unwrap();
    messages.message().await.unwrap().expect("a bookmark");
    let metrics = Scraped::of(&service).await;
    metrics.is("service_streams_active", &operation, 1.0);
    metrics.is("requests_in_flight", &[("protocol", "grpc")], 1.0);
    let ended = [("method", watch), ("status", "CANCELLED")];
    let calls = "kratos_grpc_requests_total";
    assert_eq!(metrics.value(calls, &ended), None, "it is not over");
    drop(messages);
    let body = json!({"sku": "A", "name": "Name"});
    service.json(Method::POST, PRODUCTS, &token, &body).await;
    let mut over = false;
    for _ in 0..200 {
        let metrics = Scraped::of(&service).await;
        over = metrics.value(calls, &ended) == Some(1.0)
            && metrics.value("service_streams_active", &operation) == Some(0.0)
            && metrics.value("requests_in_flight", &[("protocol", "grpc")]) == Some(0.0)
            && metrics.value("events_published_total", &[]) == Some(1.0)
            && metrics.value("outbox_depth", &[]) == Some(0.0);
        if over {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(over, "{}", Scraped::of(&service).await.0);
}
