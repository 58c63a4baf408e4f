//! Reading the body of a request: its type, its length, its encoding.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Code;

use super::{Body, Problem, RawBody};

/// Reads a JSON body of at most `max` bytes. `expected` is what a caller is told who sends another type.
pub(super) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    expected: &'static str,
) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        return Err(unsupported(expected));
    }
    read_plain(headers, body, max).await
}

/// Reads a body of at most `max` bytes that is not compressed.
pub(super) async fn read_plain(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<Bytes, Problem> {
    check_plain(headers).map_err(unsupported)?;
    read(body, max).await
}

/// Reads a body of any type, of at most `max` bytes. None for a request that has none and says nothing of one.
pub(super) async fn read_raw(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<Option<RawBody>, Problem> {
    let content_type = raw_type(headers).map_err(unsupported)?;
    let data = read(body, max).await?;
    let is_there = content_type.is_some() || !data.is_empty();
    Ok(is_there.then(|| RawBody {
        content_type: content_type.unwrap_or_default(),
        data,
    }))
}

/// Refuses what is compressed: a message has no place that says so.
fn check_plain(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err("Content-Encoding is not supported");
    }
    Ok(())
}

/// What a body of any type says it is; why it is refused, where it is.
pub(super) fn raw_type(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    check_plain(headers)?;
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err("Content-Type must be UTF-8"),
        },
        _ => Err("Content-Type must be given once"),
    }
}

/// Why a body is refused that should be lines of JSON, where it is.
pub(super) fn check_lines(headers: &HeaderMap) -> Result<(), &'static str> {
    if !is_text_of(headers, |essence| essence == "application/x-ndjson") {
        return Err("Content-Type must be application/x-ndjson");
    }
    check_plain(headers)
}

/// Makes sure that a request without a place for a body has none: what is sent is never silently lost.
pub(super) async fn refuse(body: Body) -> Result<(), Problem> {
    if body.is_end_stream() || matches!(read(body, 1).await, Ok(bytes) if bytes.is_empty()) {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            "This request takes no body",
        ))
    }
}

/// Reads a body of at most `max` bytes.
async fn read(body: Body, max: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max)),
        Err(_) => Err(ended_early()),
    }
}

/// The error of a body of more than `max` bytes.
pub(super) fn too_large(max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidArgument,
        format!("The body must not be larger than {max} bytes"),
    )
}

/// The error of a body that ended before its end.
pub(super) fn ended_early() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        "The body ended early",
    )
}

/// The error of a body that is not of the type it must be.
pub(super) fn unsupported(message: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        message,
    )
}

/// Whether a body says it is JSON in UTF-8: `application/json` or a type that ends in `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    is_text_of(headers, |essence| {
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

/// Whether a body says it is of a type, in lower case, and in UTF-8.
fn is_text_of(headers: &HeaderMap, fits: impl Fn(&str) -> bool) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    fits(&essence)
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
                charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().expect("a header"));
            is_json(&headers)
        };
        for value in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/merge-patch+json",
        ] {
            assert!(check(value), "{value}");
        }
        for value in [
            "text/plain",
            "application/jsonx",
            "text/json",
            "application/json; charset=latin1",
            "",
        ] {
            assert!(!check(value), "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
