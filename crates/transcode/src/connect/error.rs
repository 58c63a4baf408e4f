//! Errors as JSON: the body of a unary answer, and part of the last message of a stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use prost::Message as _;
use prost_types::Any;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use super::metadata;
use crate::details::known;
use crate::rest::Body;
use crate::status::http_status;

/// The name of a code.
pub(super) const fn name(code: Code) -> &'static str {
    match code {
        // Said of a success by mistake: it is none of the protocol's.
        Code::Ok | Code::Unknown => "unknown",
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// A status as the protocol has it.
#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    r#type: String,
    value: String,
    /// For those who read it in a console.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<Value>,
}

impl<'a> Error<'a> {
    fn of(status: &'a Status) -> Self {
        Self {
            code: name(status.code()),
            message: status.message(),
            details: details(status.details()),
        }
    }
}

/// The details of a status. What is for developers only is left out, as in REST.
fn details(bytes: &[u8]) -> Vec<Detail> {
    if bytes.is_empty() {
        return Vec::new();
    }
    // A handler's bytes: what can't be read says nothing.
    let status = pb::Status::decode(bytes).unwrap_or_default();
    let detail = |any: &Any| {
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        (name != "google.rpc.DebugInfo").then(|| Detail {
            r#type: name.to_owned(),
            value: STANDARD_NO_PAD.encode(&any.value),
            debug: known(any),
        })
    };
    status.details.iter().filter_map(detail).collect()
}

/// The answer to a unary call that failed. `status_code` is what HTTP says more precisely.
pub(super) fn response(status: &Status, status_code: Option<StatusCode>) -> Response<Body> {
    // Made of texts: it can't fail.
    let json = serde_json::to_vec(&Error::of(status)).unwrap_or_default();
    let mut response = Response::new(Body::new(Full::from(json)));
    *response.status_mut() = status_code.unwrap_or_else(|| http_status(shown(status.code())));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    metadata::answer(status.metadata(), headers);
    hints(status, headers);
    response
}

/// The answer to what HTTP itself refuses, as text: it comes from no client of this protocol, and those of gRPC look at the
/// status only.
pub(super) fn refusal(status: &Status, status_code: StatusCode) -> Response<Body> {
    let mut response = response(status, Some(status_code));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response.map(|_| Body::new(Full::from(status.message().to_owned())))
}

/// No error is a success.
const fn shown(code: Code) -> Code {
    match code {
        Code::Ok => Code::Unknown,
        code => code,
    }
}

/// What HTTP has headers for.
fn hints(status: &Status, headers: &mut HeaderMap) {
    if status.code() == Code::Unauthenticated {
        headers
            .entry(header::WWW_AUTHENTICATE)
            .or_insert(HeaderValue::from_static("Bearer"));
    }
    if !status.details().is_empty()
        && let Some(info) = status.get_details_retry_info()
        && let Some(delay) = info.retry_delay
    {
        // Whole seconds, rounded up: a caller must not come back too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

/// The last message of a stream: how it ended, and what comes after its messages.
pub(super) fn end(status: Option<&Status>, trailers: Option<&MetadataMap>) -> Vec<u8> {
    let end = End {
        error: status.map(Error::of),
        metadata: Metadata([trailers, status.map(Status::metadata)]),
    };
    serde_json::to_vec(&end).unwrap_or_default()
}

#[derive(Serialize)]
struct End<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata<'a>,
}

/// `{name: [text]}`.
struct Metadata<'a>([Option<&'a MetadataMap>; 2]);

impl Metadata<'_> {
    fn headers(&self) -> impl Iterator<Item = &HeaderMap> {
        self.0.iter().flatten().map(|map| AsRef::as_ref(*map))
    }

    fn is_empty(&self) -> bool {
        self.headers().all(HeaderMap::is_empty)
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut names = Vec::new();
        for name in self.headers().flat_map(HeaderMap::keys) {
            if names.contains(&name) || !metadata::is_answer(name) {
                continue;
            }
            names.push(name);
            let values = self.headers().flat_map(|headers| headers.get_all(name));
            // What is no text has no place in JSON.
            let texts: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
            map.serialize_entry(name.as_str(), &texts)?;
        }
        map.end()
    }
}

/// A response whose body is there.
pub(super) fn whole(body: impl Into<Bytes>) -> Response<Body> {
    Response::new(Body::new(Full::from(body.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end_of(status: Option<&Status>, trailers: Option<&MetadataMap>) -> Value {
        serde_json::from_slice(&end(status, trailers)).expect("JSON")
    }

    #[test]
    fn ends() {
        assert_eq!(end_of(None, None), json!({}));
        let mut trailers = MetadataMap::new();
        trailers.append("x", "1".parse().expect("a value"));
        trailers.append("grpc-status", "0".parse().expect("a value"));
        assert_eq!(
            end_of(None, Some(&trailers)),
            json!({"metadata": {"x": ["1"]}})
        );
        let mut status = Status::new(Code::Cancelled, "");
        status
            .metadata_mut()
            .append("x", "2".parse().expect("a value"));
        assert_eq!(
            end_of(Some(&status), Some(&trailers)),
            json!({"error": {"code": "canceled"}, "metadata": {"x": ["1", "2"]}})
        );
    }

    #[test]
    fn details_are_those_of_the_handler() {
        let any = |name: &str, value: &[u8]| Any {
            type_url: format!("type.googleapis.com/{name}"),
            value: value.to_vec(),
        };
        let origin = pb::Status {
            details: vec![
                any("google.rpc.DebugInfo", b"secret"),
                any("library.v1.Book", b"x"),
            ],
            ..pb::Status::default()
        };
        let bytes = origin.encode_to_vec();
        let status = Status::with_details(Code::NotFound, "No book", bytes.into());
        assert_eq!(
            end_of(Some(&status), None)["error"],
            json!({
                "code": "not_found",
                "message": "No book",
                "details": [{"type": "library.v1.Book", "value": "eA"}],
            })
        );
        let unread = Status::with_details(Code::NotFound, "", b"\xff"[..].into());
        assert_eq!(
            end_of(Some(&unread), None)["error"],
            json!({"code": "not_found"})
        );
    }
}
