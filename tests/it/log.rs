//! A line of the log in the shape of the specification.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::service::{Service, authorized};

/// The specification's members in their order, but for those of what is not configured here.
const MEMBERS: [&str; 11] = [
    "timestamp",
    "level",
    "service",
    "service.id",
    "service.name",
    "service.version",
    "trace.id",
    "span.id",
    "caller",
    "message",
    "data",
];
const DATA: [&str; 4] = ["operation", "entityId", "userId", "duration"];

/// The first line of an operation, as it is and as JSON.
async fn line(service: &Service, operation: &str) -> (String, Value) {
    for _ in 0..200 {
        let log = service.log.lock().unwrap().clone();
        let lines = log.lines().filter_map(|line| {
            let json: Value = serde_json::from_str(line).ok()?;
            (json["data"]["operation"] == operation).then(|| (line.to_owned(), json))
        });
        if let Some(found) = lines.into_iter().next() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {operation} in {}", service.log.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_the_members_of_the_specification() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let create = authorized(Method::POST, "/v1/catalog/products", &token)
        .header("content-type", "application/json")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    let body = json!({"sku": "A", "name": "Name"}).to_string();
    let created = service.send(create, body).await;
    let id = created.body()["data"]["product"]["id"].clone();

    let (text, line) = line(&service, "create_product").await;
    let places: Vec<_> = MEMBERS
        .iter()
        .map(|name| {
            text.find(&format!("\"{name}\":"))
                .unwrap_or_else(|| panic!("{name}: {text}"))
        })
        .collect();
    assert!(places.is_sorted(), "{text}");
    for name in DATA {
        assert!(line["data"][name].is_string(), "{name}: {text}");
    }
    let is = |name: &str, value: Value| assert_eq!(line[name], value, "{name}");
    is("level", json!("INFO"));
    is("service", json!("catalog-service"));
    is("service.name", json!("catalog-service"));
    is("trace.id", json!("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(line["data"]["entityId"], id);
    assert_eq!(line["data"]["userId"], "user_456");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let span = text(&line["span.id"]);
    assert!(
        span.len() == 16 && span != "00f067aa0ba902b7",
        "its own: {span}"
    );
    let time = time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(&text(&line["timestamp"]), &time).unwrap();
    assert!(text(&line["timestamp"]).ends_with('Z'));
    assert!(text(&line["service.version"]).starts_with('v'));
    assert!(!text(&line["service.id"]).is_empty());
    let (file, number) = text(&line["caller"])
        .rsplit_once(':')
        .map(|(file, number)| (file.to_owned(), number.parse::<u32>().unwrap()))
        .unwrap();
    assert!(
        std::path::Path::new(&file)
            .extension()
            .is_some_and(|it| it == "rs")
            && number > 0
    );
    let duration = text(&line["data"]["duration"]);
    duration.strip_suffix("ms").unwrap().parse::<f64>().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_request_says_so() {
    let service = Service::start().await;
    let refused = service.get("/v1/catalog/products", "not-a-token").await;
    let trace = refused.body()["meta"]["traceId"].clone();
    let (_, line) = line(&service, "list_products").await;
    assert_eq!(
        line["message"], "unauthenticated",
        "before the line of the request"
    );
    assert_eq!(line["trace.id"], trace);
    assert_eq!(
        line["data"]["requestId"],
        refused.body()["meta"]["requestId"]
    );
}
