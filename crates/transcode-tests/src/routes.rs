//! Bindings of templates that no code was generated for, so that a router can be asked about any.

use transcode::{Binding, Body, Idempotency, MethodSpec, RateClass, ReasonTable, Variable};
use transcode_build::template::{Segment, Template};

static SPEC: MethodSpec = MethodSpec {
    service: "",
    name: "",
    path: "",
    client_streaming: false,
    server_streaming: false,
    scopes: &[],
    public: true,
    rate_class: RateClass::Default,
    audit: false,
    idempotency: Idempotency::Unknown,
    idempotency_key: false,
    max_request_bytes: None,
    success_status: 200,
    cache_control: "",
    envelope: None,
    reasons: &ReasonTable::CANONICAL,
};

/// The binding of a template, which is never freed.
pub fn binding(method: &str, template: &Template) -> &'static Binding {
    let segments = template.segments.iter().map(|segment| match segment {
        Segment::Literal(word) => transcode::Segment::Literal(text(word)),
        Segment::Single => transcode::Segment::Single,
        Segment::Multi => transcode::Segment::Multi,
    });
    let variables = template.variables.iter().map(|variable| Variable {
        field: text(&variable.field.join(".")),
        start: variable.start,
        end: variable.end,
    });
    Box::leak(Box::new(Binding {
        method: text(method),
        template: text(&template.text),
        segments: Vec::leak(segments.collect()),
        verb: template.verb.as_deref().map(text),
        variables: Vec::leak(variables.collect()),
        body: Body::None,
        spec: &SPEC,
    }))
}

fn text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}
