//! Answers that are compressed: those that are in memory as a whole. Streams are not: a compressor per reader holds its
//! window as long as the stream lives, for hours, and flushing it after each message, so that the message arrives, leaves
//! little of what it saves.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::response::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};

use super::{Body, render};
use crate::coding::{Coding, Compression};

/// Largest answer that is compressed, in bytes: that is done at once, by the thread that answers.
const MAX_BYTES: u64 = 4 << 20;

/// Compresses an answer, if it is one that shrinks and the caller takes it. The answer to HEAD has no body to compress.
pub(super) async fn answer(
    compression: &Compression,
    accepted: Option<Coding>,
    head: bool,
    response: Response<Body>,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // What is not sent again has the headers of what was.
    if parts.status == StatusCode::NOT_MODIFIED {
        render::vary(&mut parts.headers, "accept-encoding");
        return Response::from_parts(parts, body);
    }
    let length = body.size_hint().exact();
    let fits = |length: u64| length >= compression.min_bytes as u64 && length <= MAX_BYTES;
    if !length.is_some_and(fits) || !shrinks(&parts) {
        return Response::from_parts(parts, body);
    }
    render::vary(&mut parts.headers, "accept-encoding");
    let (Some(coding), false) = (accepted, head) else {
        return Response::from_parts(parts, body);
    };
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        // It breaks off for the caller as well.
        Err(status) => return Response::from_parts(parts, Body::new(Broken(Some(status)))),
    };
    let encoded = coding.encode(&bytes);
    let Some(encoded) = encoded.ok().filter(|encoded| encoded.len() < bytes.len()) else {
        return Response::from_parts(parts, Body::new(Full::from(bytes)));
    };
    let headers = &mut parts.headers;
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static(coding.name()),
    );
    headers.remove(header::CONTENT_LENGTH);
    if let Some(tag) = headers
        .get(header::ETAG)
        .and_then(|tag| tagged(tag, coding))
    {
        headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, Body::new(Full::from(encoded)))
}

/// Whether an answer is of a kind that shrinks, and may be changed on its way.
fn shrinks(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let said = |name, text: &str| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.is_some_and(|value| {
            value
                .as_bytes()
                .windows(text.len())
                .any(|w| w == text.as_bytes())
        })
    };
    parts.status != StatusCode::NO_CONTENT
        && parts.status != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !said(header::CACHE_CONTROL, "no-transform")
        && headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(is_text)
}

/// Whether a media type is known to shrink: text in the widest sense, and messages. Others are often packed already.
fn is_text(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    // Envelopes, in which each message is compressed by itself.
    if essence.starts_with("application/connect+") {
        return false;
    }
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || super::form::BINARY.contains(&&*essence)
        || matches!(
            &*essence,
            "application/json"
                | "application/proto"
                | "application/xml"
                | "application/javascript"
                | "application/wasm"
        )
}

/// A strong entity tag with the suffix of a coding: one that is strong names bytes.
fn tagged(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let bytes = tag.as_bytes();
    let open = bytes
        .strip_suffix(b"\"")
        .filter(|_| bytes.starts_with(b"\""))?;
    HeaderValue::from_bytes(&[open, b"-", coding.name().as_bytes(), b"\""].concat()).ok()
}

/// A body that broke off before it began.
struct Broken(Option<tonic::Status>);

impl http_body::Body for Broken {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, tonic::Status>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shrinks() {
        for media in [
            "application/json",
            "Text/Plain; charset=utf-8",
            "image/svg+xml",
            "application/x-protobuf",
            "application/problem+json",
        ] {
            assert!(is_text(media), "{media}");
        }
        for media in [
            "image/png",
            "application/zip",
            "application/octet-stream",
            "",
        ] {
            assert!(!is_text(media), "{media}");
        }
    }

    #[test]
    fn a_coded_answer_has_a_tag_of_its_own() {
        let tag = |text: &'static str| tagged(&HeaderValue::from_static(text), Coding::Zstd);
        assert_eq!(tag("\"3.17\"").expect("a tag"), "\"3.17-zstd\"");
        assert_eq!(tag("W/\"3.17\""), None);
        assert_eq!(tag("3"), None);
    }
}
