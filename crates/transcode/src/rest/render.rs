//! Answers and errors as HTTP: the envelope, headers, details.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::call::{Encode, ToJson};
use super::form::{Form, JSON};
use super::{Body, RequestContext, Settings, Unary, envelope, etag, raw, rpc};
use crate::details::{self, Fields};
use crate::json::kind::camel_case;
use crate::rendered::Json;
use crate::spec::{self, Binding, MethodSpec, ReasonTable};
use crate::status::{INVALID, UNEXPECTED, http_status};

/// An error in HTTP's own terms.
#[derive(Debug)]
pub struct Problem {
    pub(super) status: StatusCode,
    /// What the error is in gRPC, which also names it.
    pub(super) code: Code,
    pub(super) message: String,
    reason: Option<String>,
    pub(super) details: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// The `google.rpc.Status` of a handler, as bytes.
    pub(super) origin: Vec<u8>,
}

impl Problem {
    /// An error.
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        let (reason, details, headers) = (None, Vec::new(), HeaderMap::new());
        Self {
            status,
            code,
            message: message.into(),
            reason,
            details,
            headers,
            origin: Vec::new(),
        }
    }

    /// The error of a path that leads nowhere.
    pub(super) fn no_such_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such resource")
    }

    /// The error of a method that a path does not take.
    pub fn method_not_allowed(allowed: &[&str]) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::InvalidArgument,
            "Method not allowed",
        )
        .with_header(header::ALLOW, &allowed.join(", "))
    }

    /// The error of a fault of the service, of which a caller is told nothing.
    pub(super) fn unexpected() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, Code::Internal, UNEXPECTED)
    }

    /// Adds to `error.details`.
    #[must_use]
    pub fn with_detail(mut self, field: impl Into<String>, text: impl Into<String>) -> Self {
        self.details.push((field.into(), text.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        insert(&mut self.headers, name, value);
        self
    }

    /// The error of a caller that takes none of the forms an answer has.
    pub(super) fn not_acceptable(forms: &str) -> Self {
        let message = format!("The answer is {forms}: Accept must allow it");
        Self::new(StatusCode::NOT_ACCEPTABLE, Code::InvalidArgument, message)
    }

    /// The name of the error.
    pub(super) fn name(&self, reasons: &ReasonTable) -> &str {
        self.reason
            .as_deref()
            .unwrap_or_else(|| reasons.name(self.code))
    }

    /// What a handler's status is in HTTP.
    fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let mut problem = Self::new(http_status(status.code()), status.code(), status.message());
        if status.code() == Code::Aborted && details.precondition_failure().is_some() {
            problem.status = StatusCode::PRECONDITION_FAILED;
        }
        problem.reason = details.error_info().map(|info| info.reason.clone());
        if let Some(bad) = details.bad_request() {
            problem.details.extend(
                bad.field_violations
                    .iter()
                    .map(|v| (v.field.clone(), v.description.clone())),
            );
        }
        problem.origin = status.details().to_vec();
        metadata(status.metadata(), &mut problem.headers);
        if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
            // Whole seconds, rounded up: a caller must not come back too early.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            insert(
                &mut problem.headers,
                header::RETRY_AFTER,
                &seconds.to_string(),
            );
        }
        if status.code() == Code::Unauthenticated {
            insert(&mut problem.headers, header::WWW_AUTHENTICATE, "Bearer");
        }
        problem
    }
}

/// Sets a header whose value is known to be sane; one that is not is left out.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// As [`insert`], of a text that is not copied.
pub(crate) fn insert_static(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    let bytes = bytes::Bytes::from_static(value.as_bytes());
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes) {
        headers.insert(name, value);
    }
}

/// Says that an answer depends on a header of its request.
pub(super) fn vary(headers: &mut HeaderMap, name: &'static str) {
    headers.append(header::VARY, HeaderValue::from_static(name));
}

/// What HTTP itself says of a message, and what belongs to gRPC: metadata of such a name is no header of an answer.
pub(crate) const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Adds the metadata of an answer to its headers, all that is text.
pub(super) fn metadata(metadata: &MetadataMap, headers: &mut HeaderMap) {
    if metadata.is_empty() {
        return;
    }
    for (name, value) in AsRef::<HeaderMap>::as_ref(metadata) {
        let text = name.as_str();
        if !RESERVED.contains(&text) && !text.starts_with("grpc-") && !text.ends_with("-bin") {
            headers.append(name, value.clone());
        }
    }
}

/// Bytes of an answer, about, when it is not known; and of what is around it.
const EXPECTED: usize = 512;
const ENVELOPE: usize = 192;

/// Headers of an answer, about: with those of the layers around, so that the map need not grow.
const HEADERS: usize = 16;

/// The answer of a handler, in a form that it has; none for what has no form in HTTP. Bytes are taken out of it.
pub(super) fn answer<Req, Res>(
    settings: &Settings,
    context: Option<&RequestContext>,
    spec: &MethodSpec,
    unary: &Unary<Req, Res>,
    answer: &mut tonic::Response<Res>,
    form: Form,
) -> Option<Response<Body>> {
    let status = StatusCode::from_u16(spec.success_status).unwrap_or(StatusCode::OK);
    let location = unary.location.and_then(|find| find(answer.get_ref()));
    let mut response = match (&unary.encode, form, unary.binary) {
        _ if status == StatusCode::NO_CONTENT => Response::new(Body::empty()),
        (Encode::Raw(take), ..) => raw::answer(take(answer.get_mut())).ok()?,
        (Encode::Json(_), Form::Binary(media), Some(encode)) => {
            message_response(encode(answer.get_ref()), media)
        }
        (Encode::Json(encode), ..) => {
            message_response(json(settings, context, spec, *encode, answer)?, JSON)
        }
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert_static(headers, header::CACHE_CONTROL, spec.cache_control);
    metadata(answer.metadata(), headers);
    if let Some(location) = location {
        insert(headers, header::LOCATION, &location);
    }
    Some(response)
}

/// An answer as JSON, in the envelope where there is one; none for what has no JSON form.
fn json<Res>(
    settings: &Settings,
    context: Option<&RequestContext>,
    spec: &MethodSpec,
    encode: ToJson<Res>,
    answer: &tonic::Response<Res>,
) -> Option<Vec<u8>> {
    let ready = answer.extensions().get::<Json>();
    let length = ready.map_or(EXPECTED, |json| json.0.len());
    let mut json = Vec::with_capacity(length + ENVELOPE);
    let write = |json: &mut Vec<u8>| match ready {
        Some(ready) => {
            json.extend_from_slice(&ready.0);
            Ok(())
        }
        None => encode(answer.get_ref(), json),
    };
    let Some(version) = spec.envelope else {
        write(&mut json).ok()?;
        return Some(json);
    };
    json.extend_from_slice(br#"{"success":true,"data":"#);
    write(&mut json).ok()?;
    json.extend_from_slice(br#","meta":"#);
    envelope::write_meta(&mut json, settings, context, version);
    json.push(b'}');
    Some(json)
}

/// The answer to a caller who has what would be answered, under this tag.
pub(super) fn not_modified(spec: &MethodSpec, tag: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    insert_static(headers, header::CACHE_CONTROL, spec.cache_control);
    if let Some(tag) = etag::header_value(tag, "") {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The error of a handler, or of what stands in front of it.
pub(super) fn problem(binding: &Binding, status: &Status) -> Problem {
    let mut problem = Problem::from_status(status);
    let variables: Vec<_> = binding
        .variables
        .iter()
        .filter_map(|variable| camel_case(variable.field))
        .collect();
    let in_path = problem
        .details
        .iter()
        .any(|(field, _)| variables.contains(field));
    if binding.body == spec::Body::None && problem.message == INVALID && !in_path {
        problem
            .message
            .replace_range(.., "Invalid query parameters");
    }
    // A caller knows the fields of the body, not which field of the request message the body is.
    if let spec::Body::Field { json_name, .. } = binding.body {
        for (field, _) in &mut problem.details {
            if let Some(rest) = field.strip_prefix(json_name)
                && (rest.is_empty() || rest.starts_with('.'))
            {
                *field = rest.trim_start_matches('.').to_owned();
            }
        }
    }
    for (field, _) in problem
        .details
        .iter_mut()
        .filter(|(field, _)| field.is_empty())
    {
        field.push_str("body");
    }
    problem
}

/// An error.
pub(super) fn problem_of(
    settings: &Settings,
    context: Option<&RequestContext>,
    reasons: &ReasonTable,
    envelope: bool,
    problem: Problem,
    form: Form,
) -> Response<Body> {
    let (media, bytes) = match form {
        Form::Json => (
            JSON,
            problem_json(settings, context, reasons, envelope, &problem),
        ),
        Form::Binary(media) => (media, rpc::status(&problem, reasons)),
    };
    let mut response = message_response(bytes, media);
    *response.status_mut() = problem.status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().extend(problem.headers);
    response
}

fn problem_json(
    settings: &Settings,
    context: Option<&RequestContext>,
    reasons: &ReasonTable,
    enveloped: bool,
    problem: &Problem,
) -> Vec<u8> {
    let json = if enveloped {
        envelope::error(settings, context, reasons, problem)
    } else {
        serde_json::to_vec(&RpcStatus::of(problem, reasons))
    };
    json.unwrap_or_default()
}

/// The error that ends a stream, as JSON: without an envelope, as the messages before it.
pub(super) fn rpc_status(binding: &Binding, status: &Status) -> Vec<u8> {
    let problem = problem(binding, status);
    serde_json::to_vec(&RpcStatus::of(&problem, binding.spec.reasons)).unwrap_or_default()
}

/// An answer with a message, or an error, in the form of a media type.
fn message_response(bytes: Vec<u8>, media: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from(bytes)));
    response.headers_mut().reserve(HEADERS);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// An error without the envelope, after `google.rpc.Status`.
#[derive(Serialize)]
struct RpcStatus<'a> {
    code: i32,
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    details: Fields<'a>,
    #[serde(rename = "errorDetails", skip_serializing_if = "Vec::is_empty")]
    typed: Vec<Value>,
}

impl<'a> RpcStatus<'a> {
    fn of(problem: &'a Problem, reasons: &ReasonTable) -> Self {
        Self {
            code: problem.code as i32,
            reason: problem.name(reasons),
            message: &problem.message,
            details: Fields(&problem.details),
            typed: details::typed(&problem.origin),
        }
    }
}
