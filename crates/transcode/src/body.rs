//! Reading the body of a request, whichever protocol it came by: never more than may be, and unpacked as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::coding::{Coding, Decoder, Refused};
use crate::lists::elements;
use crate::rest::{Body, Settings};
use crate::spec::MethodSpec;

/// Why a body, or a message in one, can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is larger than so many bytes, as it came or unpacked.
    TooLarge(usize),
    /// Its connection did not bring it whole.
    EndedEarly,
    /// It is coded several times over.
    SeveralCodings,
    /// It is coded with what is not taken.
    UnknownCoding,
    /// It is not what its coding says.
    NotCoded,
    /// Nothing is wrong with it.
    Fault,
}

/// The most that is kept of a body of this RPC at a time, in bytes.
pub(crate) fn limit(spec: &MethodSpec, settings: &Settings) -> usize {
    spec.max_request_bytes.unwrap_or(settings.max_body_bytes)
}

/// The name of what a header says something is coded with, if with anything.
pub(crate) fn coding_name<'a>(
    headers: &'a HeaderMap,
    header: &HeaderName,
) -> Result<Option<&'a str>, Unreadable> {
    if !headers.contains_key(header) {
        return Ok(None);
    }
    let values = headers.get_all(header).iter();
    if values.into_iter().any(|value| value.to_str().is_err()) {
        return Err(Unreadable::UnknownCoding);
    }
    let mut codings = elements(headers, header)
        .map(str::trim)
        .filter(|name| !is_identity(name));
    match (codings.next(), codings.next()) {
        (name, None) => Ok(name),
        (_, Some(_)) => Err(Unreadable::SeveralCodings),
    }
}

/// Whether the name of a coding says that there is none.
fn is_identity(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("identity")
}

/// The coding of a name, if it is taken; none for a name that says that there is none.
pub(crate) fn named(name: Option<&str>, settings: &Settings) -> Result<Option<Coding>, Unreadable> {
    let Some(name) = name.filter(|name| !is_identity(name)) else {
        return Ok(None);
    };
    let found = Coding::named(name).filter(|_| settings.min_compressed().is_some());
    found.map(Some).ok_or(Unreadable::UnknownCoding)
}

/// What a header says something is coded with.
pub(crate) fn coding(
    headers: &HeaderMap,
    header: &HeaderName,
    settings: &Settings,
) -> Result<Option<Coding>, Unreadable> {
    named(coding_name(headers, header)?, settings)
}

/// Reads a body of at most `max` bytes, which it has neither as it came nor unpacked more of.
pub(crate) async fn read(
    body: Body,
    coding: Option<Coding>,
    max: usize,
) -> Result<Bytes, Unreadable> {
    // What is packed may be no larger either: bytes that say nothing cost time.
    if body.size_hint().lower() > max as u64 {
        return Err(Unreadable::TooLarge(max));
    }
    match coding {
        None => match Limited::new(body, max).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Unreadable::TooLarge(max)),
            Err(_) => Err(Unreadable::EndedEarly),
        },
        // Apart: it is large, and most bodies are not coded.
        Some(coding) => Box::pin(read_coded(body, coding, max)).await,
    }
}

async fn read_coded(mut body: Body, coding: Coding, max: usize) -> Result<Bytes, Unreadable> {
    let mut decoder = Decoder::new(coding, max).map_err(|_| Unreadable::Fault)?;
    let mut left = max;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unreadable::EndedEarly)?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        left = left
            .checked_sub(bytes.len())
            .ok_or(Unreadable::TooLarge(max))?;
        decoder.write(&bytes).map_err(|why| refused(why, max))?;
    }
    let unpacked = decoder.finish().map_err(|why| refused(why, max))?;
    Ok(unpacked.into())
}

/// Unpacks what is in memory, to at most `max` bytes.
pub(crate) fn unpack(bytes: &[u8], coding: Coding, max: usize) -> Result<Bytes, Unreadable> {
    let mut decoder = Decoder::new(coding, max).map_err(|_| Unreadable::Fault)?;
    decoder.write(bytes).map_err(|why| refused(why, max))?;
    let unpacked = decoder.finish().map_err(|why| refused(why, max))?;
    Ok(unpacked.into())
}

const fn refused(why: Refused, max: usize) -> Unreadable {
    match why {
        Refused::TooLarge => Unreadable::TooLarge(max),
        Refused::Malformed => Unreadable::NotCoded,
    }
}

/// Whether a body has not a byte. Reads no more than tells it.
pub(crate) async fn is_empty(body: Body) -> bool {
    body.is_end_stream() || matches!(read(body, None, 1).await, Ok(bytes) if bytes.is_empty())
}

/// The next data of a body.
pub(crate) fn poll_data(
    body: &mut Body,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Unreadable>>> {
    loop {
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        return Poll::Ready(match frame {
            None => None,
            Some(Err(_)) => Some(Err(Unreadable::EndedEarly)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(data)),
                // Trailers, which say nothing here.
                Err(_) => continue,
            },
        });
    }
}
