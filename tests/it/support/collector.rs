//! A receiver of spans by OTLP over HTTP, with OpenTelemetry's own messages, of a test's own.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

/// A collector. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let kept = requests.clone();
        let take = move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
            kept.lock().expect("the requests").push(request);
            std::future::ready(StatusCode::OK)
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().expect("the requests");
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What the spans are said to be of.
    pub(crate) fn resource(&self) -> Vec<KeyValue> {
        let requests = self.requests.lock().expect("the requests");
        let resource = requests[0].resource_spans[0].resource.clone();
        resource.expect("a resource").attributes
    }

    /// Waits for a span of a trace.
    pub(crate) async fn span(&self, trace: &str, name: &str) -> Span {
        for _ in 0..600 {
            let spans = self.spans().into_iter();
            let mut found = spans.filter(|span| hex(&span.trace_id) == trace && span.name == name);
            if let Some(span) = found.next_back() {
                return span;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        panic!("no span {name} of {trace} among {names:?}");
    }
}

/// Bytes as they are in a `traceparent`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The attribute of a name, as text.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => Some(text.clone()),
        Some(AnyValue {
            value: Some(Value::IntValue(number)),
        }) => Some(number.to_string()),
        Some(AnyValue {
            value: Some(Value::BoolValue(truth)),
        }) => Some(truth.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}
