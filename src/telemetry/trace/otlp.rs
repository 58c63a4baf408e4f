//! Spans as OTLP: the messages of `opentelemetry.proto.collector.trace.v1` that are written here, with their field
//! numbers, and nothing of what is not.

use prost::{Message, Oneof};

use super::{Kind, Span, Value};

#[derive(Message)]
pub(super) struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<OtlpSpan>,
}

#[derive(Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Message)]
struct OtlpSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3")]
    value: Option<Any>,
}

#[derive(Clone, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

/// The flag of a trace that is kept.
const SAMPLED: u32 = 1;

/// What the spans are of.
pub(super) fn resource(attributes: &[(&str, String)]) -> Resource {
    let attribute = |(key, text): &(&str, String)| key_value(key, Any::Text(text.clone()));
    Resource {
        attributes: attributes.iter().map(attribute).collect(),
    }
}

/// Spans of a resource, from a part of the program.
pub(super) fn request(
    resource: &Resource,
    scope: (&str, &str),
    spans: impl IntoIterator<Item = Span>,
) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: scope.0.to_owned(),
                    version: scope.1.to_owned(),
                }),
                spans: spans.into_iter().map(OtlpSpan::from).collect(),
            }],
        }],
    }
}

impl From<Span> for OtlpSpan {
    fn from(span: Span) -> Self {
        let attributes = span.attributes.into_iter().map(|(key, value)| {
            let value = match value {
                Value::Text(text) => Any::Text(text.into_owned()),
                Value::Number(number) => Any::Number(number),
                Value::Truth(truth) => Any::Truth(truth),
            };
            key_value(key, value)
        });
        let links = span.links.iter().map(|link| Link {
            trace_id: link.trace_id.to_be_bytes().to_vec(),
            span_id: link.span_id.to_be_bytes().to_vec(),
        });
        Self {
            trace_id: span.context.trace_id.to_be_bytes().to_vec(),
            span_id: span.context.span_id.to_be_bytes().to_vec(),
            parent_span_id: span
                .parent
                .map(|parent| parent.to_be_bytes().to_vec())
                .unwrap_or_default(),
            name: span.name.into_owned(),
            kind: match span.kind {
                Kind::Internal => 1,
                Kind::Server => 2,
                Kind::Client => 3,
                Kind::Producer => 4,
                Kind::Consumer => 5,
            },
            start_time_unix_nano: span.start,
            end_time_unix_nano: span.end,
            attributes: attributes.collect(),
            links: links.collect(),
            status: span.error.map(|message| Status {
                message,
                code: ERROR,
            }),
            flags: SAMPLED,
        }
    }
}

fn key_value(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}
