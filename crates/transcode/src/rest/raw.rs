//! Bodies that are bytes as they are: `google.api.HttpBody`.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::Full;
use tonic::{Code, Status};

use super::{Body, render};
use crate::policy::BoxStream;
use crate::status::UNEXPECTED;

/// A body as it is, whatever the generated type of `google.api.HttpBody` is.
#[derive(Debug, Default)]
pub struct RawBody {
    /// Content-Type; empty when it is not known.
    pub content_type: String,
    /// The bytes.
    pub data: Bytes,
}

/// What is said of an answer whose handler does not say what it is.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A text as the Content-Type of an answer. What can be none is a fault of the handler.
fn content_type(text: &str) -> Result<HeaderValue, Status> {
    if text.is_empty() {
        return Ok(UNKNOWN);
    }
    // Nothing is said of the text: it may be made of data.
    HeaderValue::from_str(text).map_err(|_| Status::new(Code::Internal, UNEXPECTED))
}

/// The answer that is one body.
pub(super) fn answer(body: RawBody) -> Result<Response<Body>, Status> {
    let content_type = content_type(&body.content_type)?;
    let length = body.data.len();
    let mut response = Response::new(Body::new(Full::new(body.data)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

/// The messages of an answer, of which the first has been waited for.
pub(super) struct Begun<Res> {
    first: Option<Res>,
    /// None when there is no first one.
    rest: Option<BoxStream<Res>>,
}

impl<Res> Unpin for Begun<Res> {}

impl<Res> Begun<Res> {
    /// A stream of one message.
    #[cfg(feature = "websocket")]
    pub(super) const fn one(message: Res) -> Self {
        Self {
            first: Some(message),
            rest: None,
        }
    }

    /// Waits for the first message, since the header is made of it; fails when an error comes in its place.
    pub(super) async fn with(mut messages: BoxStream<Res>) -> Result<Self, Status> {
        let first = poll_fn(|context| messages.as_mut().poll_next(context)).await;
        let first = first.transpose()?;
        let rest = first.is_some().then_some(messages);
        Ok(Self { first, rest })
    }
}

impl<Res> Stream for Begun<Res> {
    type Item = Result<Res, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let next = ready!(rest.as_mut().poll_next(context));
        if !matches!(next, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(next)
    }
}

/// The answer whose body are the bytes of a stream of messages, one after another. The first one says what they are; it
/// is there, and what a policy puts in front of it may wait no longer for it than for any other.
pub(super) async fn stream<Res: Send + 'static>(
    take: fn(&mut Res) -> RawBody,
    cache_control: &str,
    mut messages: BoxStream<Res>,
) -> Result<Response<Body>, Status> {
    let first = poll_fn(|context| messages.as_mut().poll_next(context)).await;
    let Some(mut first) = first.transpose()? else {
        let mut response = answer(RawBody::default())?;
        render::insert(response.headers_mut(), header::CACHE_CONTROL, cache_control);
        return Ok(response);
    };
    let first = take(&mut first);
    let content_type = content_type(&first.content_type)?;
    let mut response = Response::new(Body::new(Frames {
        take,
        opening: first.data,
        messages: Some(messages),
    }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    render::insert(headers, header::CACHE_CONTROL, cache_control);
    Ok(response)
}

/// The body that is made as fast as it is read. An error ends it without its end, which every protocol shows a reader.
struct Frames<Res> {
    take: fn(&mut Res) -> RawBody,
    /// What is sent before anything more is asked of the handler.
    opening: Bytes,
    /// None after the last.
    messages: Option<BoxStream<Res>>,
}

impl<Res> HttpBody for Frames<Res> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if !this.opening.is_empty() {
            let opening = std::mem::take(&mut this.opening);
            return Poll::Ready(Some(Ok(Frame::data(opening))));
        }
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        let next = ready!(messages.as_mut().poll_next(context));
        if !matches!(next, Some(Ok(_))) {
            this.messages = None;
        }
        Poll::Ready(next.map(|message| {
            let mut message = message?;
            Ok(Frame::data((this.take)(&mut message).data))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.opening.is_empty() && self.messages.is_none()
    }
}
