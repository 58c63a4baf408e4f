//! What a request says about itself: its codec, its version, its deadline, how its messages are compressed.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::spec::{Idempotency, MethodSpec};

/// The version of the protocol that a caller speaks.
pub(super) const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// How long a caller waits, in milliseconds.
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// What the messages of a stream are coded with.
pub(super) const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");

/// What the messages of a stream may be coded with.
pub(super) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// The types of requests that an RPC takes, in the answer to one of another type.
pub(super) const ACCEPT_POST: &str = "accept-post";

/// What policies and handlers know the deadline of a caller by, in every protocol.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The media types of unary calls.
const UNARY: [&str; 2] = ["application/json", "application/proto"];

/// The media types of streams.
const STREAM: [&str; 2] = ["application/connect+json", "application/connect+proto"];

/// Most digits of a timeout.
const TIMEOUT_DIGITS: usize = 10;

/// How messages are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

impl Codec {
    /// The codec of a name in a query.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "proto" => Some(Self::Proto),
            _ => None,
        }
    }

    /// What a request to an RPC says its body is; none for what is neither, or the other kind of RPC's.
    pub(super) fn of_body(headers: &HeaderMap, spec: &MethodSpec) -> Option<Self> {
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let mut parts = value.to_str().ok()?.split(';').map(str::trim);
        let essence = parts.next()?;
        let is_utf8 = |parameter: &str| match parameter.split_once('=') {
            Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
                charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        };
        let [json, proto] = content_types(spec);
        if essence.eq_ignore_ascii_case(json) && parts.all(is_utf8) {
            Some(Self::Json)
        } else {
            essence.eq_ignore_ascii_case(proto).then_some(Self::Proto)
        }
    }

    /// The media type of an answer of an RPC.
    pub(super) fn content_type(self, spec: &MethodSpec) -> HeaderValue {
        let [json, proto] = content_types(spec);
        HeaderValue::from_static(match self {
            Self::Json => json,
            Self::Proto => proto,
        })
    }
}

/// Whether an RPC's messages are in envelopes: that of any RPC but a unary one.
pub(super) const fn is_stream(spec: &MethodSpec) -> bool {
    spec.client_streaming || spec.server_streaming
}

/// The media types of an RPC.
const fn content_types(spec: &MethodSpec) -> [&'static str; 2] {
    if is_stream(spec) { STREAM } else { UNARY }
}

/// What a caller is told who sends another type.
pub(super) fn accepted(spec: &MethodSpec) -> (&'static str, &'static str) {
    if is_stream(spec) {
        (
            "application/connect+json, application/connect+proto",
            "Content-Type must be application/connect+json or application/connect+proto",
        )
    } else {
        (
            "application/json, application/proto",
            "Content-Type must be application/json or application/proto",
        )
    }
}

/// The methods of an RPC, as Allow says them.
pub(super) const fn methods(spec: &MethodSpec) -> &'static str {
    if takes_get(spec) { "GET, POST" } else { "POST" }
}

/// Whether an RPC may be called by GET.
pub(super) const fn takes_get(spec: &MethodSpec) -> bool {
    !is_stream(spec) && matches!(spec.idempotency, Idempotency::NoSideEffects)
}

/// Whether a request that leads nowhere is one of this protocol, as far as it says so.
pub(crate) fn is_spoken(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    parts.method == Method::POST
        && (headers.contains_key(&VERSION)
            || media.is_some_and(|media| {
                media.starts_with(b"application/connect+") || media == b"application/proto"
            }))
}

/// What is wrong with the version that a request says it has.
pub(super) fn wrong_version(headers: &HeaderMap, required: bool) -> Option<&'static str> {
    match headers.get(&VERSION) {
        Some(version) if version == "1" => None,
        Some(_) => Some("Connect-Protocol-Version must be 1"),
        None if required => Some("Connect-Protocol-Version: 1 is required"),
        None => None,
    }
}

/// Turns the deadline of a caller into the one that policies and handlers read.
///
/// # Errors
/// When the header says no time; then there is none.
pub(super) fn deadline(headers: &mut HeaderMap) -> Result<(), &'static str> {
    headers.remove(&GRPC_TIMEOUT);
    let Some(given) = headers.remove(&TIMEOUT) else {
        return Ok(());
    };
    let timeout = given.to_str().ok().and_then(grpc_timeout);
    let timeout = timeout.ok_or("Connect-Timeout-Ms must be 1 to 10 digits")?;
    headers.insert(GRPC_TIMEOUT, timeout);
    Ok(())
}

/// Milliseconds as gRPC has them, in at most eight digits. What has more is rounded down to seconds, which no caller of
/// more than a day will miss.
fn grpc_timeout(text: &str) -> Option<HeaderValue> {
    let is_number = (1..=TIMEOUT_DIGITS).contains(&text.len())
        && text.bytes().all(|digit| digit.is_ascii_digit());
    let milliseconds: u64 = text.parse().ok().filter(|_| is_number)?;
    let timeout = if milliseconds < 100_000_000 {
        format!("{milliseconds}m")
    } else {
        format!("{}S", milliseconds / 1000)
    };
    HeaderValue::try_from(timeout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let timeout = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("1H"));
            headers.insert(TIMEOUT, HeaderValue::from_static(text));
            deadline(&mut headers)?;
            assert!(!headers.contains_key(TIMEOUT));
            Ok::<_, &str>(headers[GRPC_TIMEOUT].clone())
        };
        for (text, grpc) in [
            ("0", "0m"),
            ("5000", "5000m"),
            ("99999999", "99999999m"),
            ("100000000", "100000S"),
            ("9999999999", "9999999S"),
        ] {
            assert_eq!(timeout(text).expect("a time"), grpc, "{text}");
        }
        for text in ["", "-1", "1.5", "5s", "10000000000", "+1"] {
            assert!(timeout(text).is_err(), "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("1H"));
        deadline(&mut headers).expect("no time");
        assert!(headers.is_empty(), "another protocol's");
    }
}
