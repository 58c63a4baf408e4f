//! Reading the body of a request: its length, its encoding. Its type is [`Form::of_body`](super::form::Form::of_body)'s.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::Code;

use super::{Body, Problem};

/// Reads the body of a message, of at most `max` bytes.
pub(super) async fn read_message(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<Bytes, Problem> {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(unsupported("Content-Encoding is not supported"));
    }
    read(body, max).await
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

async fn read(body: Body, max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidArgument,
            format!("The body must not be larger than {max} bytes"),
        )
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            "The body ended early",
        )),
    }
}

fn unsupported(message: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        message,
    )
}
