//! Compressed bodies, both ways: gzip, zstd and br.
//!
//! Requests are unpacked as they come, and refused as soon as they have said more than a body may. Answers are compressed
//! that are in memory as a whole. Streams are not: a compressor per reader holds its window as long as the stream lives,
//! for hours, and flushing it after each message, so that the message arrives, leaves little of what it saves.

mod decoder;

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use brotli::enc::BrotliEncoderParams;
use flate2::write::GzEncoder;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};

use super::accept::{elements, weighted};
use super::{Body, render};

pub(super) use decoder::{Decoder, Refused};

/// How bodies are compressed.
///
/// An answer that holds a secret beside what a stranger could have put into it tells its length, and by it the secret to
/// one who tries many times (BREACH): such a service leaves compression off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Smallest answer that is compressed, in bytes: a smaller one fits into a packet or two as it is.
    pub min_bytes: usize,
}

impl Default for Compression {
    fn default() -> Self {
        Self { min_bytes: 1 << 10 }
    }
}

/// Largest answer that is compressed, in bytes: that is done at once, by the thread that answers.
const MAX_BYTES: u64 = 4 << 20;

/// What a body may be coded with, as a refusal says it.
pub(super) const NAMES: &str = "zstd, br, gzip";

/// What a body is coded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, the preferred one first: what takes the least time for what it saves.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in HTTP.
    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of a name; `x-gzip` is an old name of gzip.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let found = Self::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name()));
        found.or_else(|| name.eq_ignore_ascii_case("x-gzip").then_some(Self::Gzip))
    }

    /// The coding a caller likes best; none when it likes the bare answer better, or says nothing.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let quality = |wanted: &dyn Fn(&str) -> bool| {
            let listed = elements(headers, &header::ACCEPT_ENCODING).filter_map(weighted);
            let mut listed = listed.filter(|(name, _)| wanted(name));
            listed.next().map(|(_, quality)| quality)
        };
        let any = quality(&|name| name == "*").unwrap_or(0);
        let bare = quality(&|name| name.eq_ignore_ascii_case("identity")).unwrap_or(0);
        let mut best = (0, None);
        for coding in Self::ALL {
            let quality = quality(&|name| Self::named(name) == Some(coding)).unwrap_or(any);
            if quality > best.0 && quality >= bare {
                best = (quality, Some(coding));
            }
        }
        best.1
    }

    /// Compresses bytes.
    fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, 3),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Brotli => {
                let parameters = BrotliEncoderParams {
                    quality: 4,
                    size_hint: bytes.len(),
                    ..BrotliEncoderParams::default()
                };
                let mut encoded = Vec::new();
                brotli::BrotliCompress(&mut &*bytes, &mut encoded, &parameters)?;
                Ok(encoded)
            }
        }
    }
}

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
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || super::form::BINARY.contains(&&*essence)
        || matches!(
            &*essence,
            "application/json" | "application/xml" | "application/javascript" | "application/wasm"
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
    fn the_coding_a_caller_likes_best() {
        for (text, coding) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("GZip", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("deflate", None),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Brotli)),
            ("gzip;q=0, *;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0, deflate", None),
            ("gzip;q=x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().expect("a header"));
            assert_eq!(Coding::accepted(&headers), coding, "{text}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }

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
