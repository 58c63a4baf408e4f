//! What is wrong with the body of a request, in HTTP's terms. Its type is
//! [`Form::of_body`](super::form::Form::of_body)'s.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tonic::Code;

use super::{Body, Problem, RawBody, Settings};
use crate::body::{self, Unreadable};

pub(super) use crate::body::limit;

/// Reads a body of at most `max` bytes, which it has neither as it came nor unpacked more of.
pub(super) async fn read_message(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    settings: &Settings,
) -> Result<Bytes, Problem> {
    let why = match body::coding(headers, &header::CONTENT_ENCODING, settings) {
        Ok(coding) => match body::read(body, coding, max).await {
            Ok(bytes) => return Ok(bytes),
            Err(why) => why,
        },
        Err(why) => why,
    };
    Err(problem(why, codings(settings)))
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
    match body::coding_name(headers, &header::CONTENT_ENCODING) {
        Ok(None) => None,
        _ => Some(problem(Unreadable::UnknownCoding, PLAIN)),
    }
}

/// Makes sure that a request without a place for a body has none: what is sent is never silently lost.
pub(super) async fn refuse(body: Body) -> Result<(), Problem> {
    if body::is_empty(body).await {
        Ok(())
    } else {
        Err(bad("This request takes no body"))
    }
}

/// The codings of a body that is not compressed.
const PLAIN: &str = "identity";

/// The error of a body that can't be read, where it may have these codings.
fn problem(why: Unreadable, codings: &'static str) -> Problem {
    match why {
        Unreadable::TooLarge(max) => too_large(max),
        Unreadable::EndedEarly => ended_early(),
        Unreadable::NotCoded => bad("The body is not what Content-Encoding says"),
        Unreadable::SeveralCodings => uncoded(
            "Content-Encoding must name one coding, not several",
            codings,
        ),
        Unreadable::UnknownCoding => uncoded("Content-Encoding is not supported", codings),
        Unreadable::Fault => Problem::unexpected(),
    }
}

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

fn codings(settings: &Settings) -> &'static str {
    settings
        .min_compressed()
        .map_or(PLAIN, |_| crate::coding::NAMES)
}
