//! Reading the body of a request: its length, its encoding. Its type is [`Form::of_body`](super::form::Form::of_body)'s.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Code;

use super::accept::elements;
use super::{Body, Problem, Settings};
#[cfg(feature = "compression")]
use crate::status::UNEXPECTED;

/// Reads the body of a message, of at most so many bytes as it may have.
pub(super) async fn read_message(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
) -> Result<Bytes, Problem> {
    let max = settings.max_body_bytes;
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return read(body, max).await;
    }
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    if values.into_iter().any(|value| value.to_str().is_err()) {
        return Err(uncoded(UNKNOWN_CODING, settings));
    }
    let mut codings = elements(headers, &header::CONTENT_ENCODING)
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    match (codings.next(), codings.next()) {
        (None, _) => read(body, max).await,
        (Some(name), None) => coded(name, body, settings).await,
        (Some(_), Some(_)) => Err(uncoded(
            "Content-Encoding must name one coding, not several",
            settings,
        )),
    }
}

/// Unpacks a body as it comes.
#[cfg(feature = "compression")]
async fn coded(name: &str, mut body: Body, settings: &Settings) -> Result<Bytes, Problem> {
    use super::compression::{Coding, Decoder, Refused};

    let max = settings.max_body_bytes;
    let found = Coding::named(name).filter(|_| settings.compression.is_some());
    let coding = found.ok_or_else(|| uncoded(UNKNOWN_CODING, settings))?;
    let refused = |refused| match refused {
        Refused::TooLarge => too_large(max),
        Refused::Malformed => bad("The body is not what Content-Encoding says"),
    };
    let Ok(mut decoder) = Decoder::new(coding, max) else {
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Internal,
            UNEXPECTED,
        ));
    };
    // What is packed may be no larger either: bytes that say nothing cost time.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let mut left = max;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| bad(ENDED_EARLY))?;
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
async fn coded(_: &str, _: Body, settings: &Settings) -> Result<Bytes, Problem> {
    Err(uncoded(UNKNOWN_CODING, settings))
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
        Err(_) => Err(bad(ENDED_EARLY)),
    }
}

/// What is wrong with a body of a coding that is not taken.
const UNKNOWN_CODING: &str = "Content-Encoding is not supported";

/// What is wrong with a body that its connection did not bring whole.
const ENDED_EARLY: &str = "The body ended early";

fn bad(message: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

fn too_large(max: usize) -> Problem {
    let message = format!("The body must not be larger than {max} bytes");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidArgument,
        message,
    )
}

/// The error of a body whose coding is not taken, with those that are.
fn uncoded(message: &'static str, settings: &Settings) -> Problem {
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        message,
    );
    problem.with_header(header::ACCEPT_ENCODING, codings(settings))
}

#[cfg(feature = "compression")]
fn codings(settings: &Settings) -> &'static str {
    match settings.compression {
        Some(_) => super::compression::NAMES,
        None => "identity",
    }
}

#[cfg(not(feature = "compression"))]
fn codings(_: &Settings) -> &'static str {
    "identity"
}
