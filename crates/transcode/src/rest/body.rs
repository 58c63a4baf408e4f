//! Reading the body of a request: its length, its encoding. Its type is [`Form::of_body`](super::form::Form::of_body)'s.

#[cfg(not(feature = "compression"))]
use std::future::{Ready, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Code;

use super::accept::elements;
use super::{Body, Problem, RawBody, Settings};
use crate::spec::MethodSpec;

/// The most that is kept of a body of this RPC at a time, in bytes.
pub(super) fn limit(spec: &MethodSpec, settings: &Settings) -> usize {
    spec.max_request_bytes.unwrap_or(settings.max_body_bytes)
}

/// Reads a body of at most `max` bytes, which it has neither as it came nor unpacked more of.
pub(super) async fn read_message(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    settings: &Settings,
) -> Result<Bytes, Problem> {
    match coding(headers) {
        Ok(None) => read(body, max).await,
        Ok(Some(name)) => coded(name, body, max, settings).await,
        Err(message) => Err(uncoded(message, codings(settings))),
    }
}

/// Reads a body of any type, as [`read_message`] does. None for a request that has none and says nothing of one.
pub(super) async fn read_raw(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    settings: &Settings,
) -> Result<Option<RawBody>, Problem> {
    let content_type = raw_type(headers).map_err(unsupported)?;
    let data = read_message(headers, body, max, settings).await?;
    let is_there = content_type.is_some() || !data.is_empty();
    Ok(is_there.then(|| RawBody {
        content_type: content_type.unwrap_or_default(),
        data,
    }))
}

/// What a body of any type says it is; why it is refused where it is.
pub(super) fn raw_type(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
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

/// The error of a body that is compressed where it may not be: one that is a stream is read as it comes.
pub(super) fn compressed(headers: &HeaderMap) -> Option<Problem> {
    match coding(headers) {
        Ok(None) => None,
        _ => Some(uncoded(UNKNOWN_CODING, PLAIN)),
    }
}

/// The name of what a body is coded with, if with anything; why it is refused where it is.
fn coding(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(None);
    }
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    if values.into_iter().any(|value| value.to_str().is_err()) {
        return Err(UNKNOWN_CODING);
    }
    let mut codings = elements(headers, &header::CONTENT_ENCODING)
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    match (codings.next(), codings.next()) {
        (name, None) => Ok(name),
        (_, Some(_)) => Err("Content-Encoding must name one coding, not several"),
    }
}

/// Unpacks a body as it comes.
#[cfg(feature = "compression")]
async fn coded(
    name: &str,
    mut body: Body,
    max: usize,
    settings: &Settings,
) -> Result<Bytes, Problem> {
    use super::compression::{Coding, Decoder, Refused};

    let found = Coding::named(name).filter(|_| settings.compression.is_some());
    let coding = found.ok_or_else(|| uncoded(UNKNOWN_CODING, codings(settings)))?;
    let refused = |refused| match refused {
        Refused::TooLarge => too_large(max),
        Refused::Malformed => bad("The body is not what Content-Encoding says"),
    };
    let Ok(mut decoder) = Decoder::new(coding, max) else {
        return Err(Problem::unexpected());
    };
    // What is packed may be no larger either: bytes that say nothing cost time.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let mut left = max;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ended_early())?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        left = left
            .checked_sub(bytes.len())
            .ok_or_else(|| too_large(max))?;
        decoder.write(&bytes).map_err(refused)?;
    }
    decoder.finish().map(Bytes::from).map_err(refused)
}

#[cfg(not(feature = "compression"))]
fn coded(_: &str, _: Body, _: usize, settings: &Settings) -> Ready<Result<Bytes, Problem>> {
    ready(Err(uncoded(UNKNOWN_CODING, codings(settings))))
}

/// Makes sure that a request without a place for a body has none: what is sent is never silently lost.
pub(super) async fn refuse(body: Body) -> Result<(), Problem> {
    if body.is_end_stream() || matches!(read(body, 1).await, Ok(bytes) if bytes.is_empty()) {
        Ok(())
    } else {
        Err(bad("This request takes no body"))
    }
}

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

/// What is wrong with a body of a coding that is not taken.
const UNKNOWN_CODING: &str = "Content-Encoding is not supported";

/// The codings of a body that is not compressed.
const PLAIN: &str = "identity";

fn bad(message: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

/// The error of a body that its connection did not bring whole.
pub(super) fn ended_early() -> Problem {
    bad("The body ended early")
}

/// The error of a body of more than `max` bytes.
pub(super) fn too_large(max: usize) -> Problem {
    let message = format!("The body must not be larger than {max} bytes");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidArgument,
        message,
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

/// The error of a body whose coding is not taken, with those that are.
fn uncoded(message: &'static str, taken: &'static str) -> Problem {
    unsupported(message).with_header(header::ACCEPT_ENCODING, taken)
}

#[cfg(feature = "compression")]
fn codings(settings: &Settings) -> &'static str {
    match settings.compression {
        Some(_) => super::compression::NAMES,
        None => PLAIN,
    }
}

#[cfg(not(feature = "compression"))]
fn codings(_: &Settings) -> &'static str {
    PLAIN
}
