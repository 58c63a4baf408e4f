//! Answers that are streams: messages, errors and signs of life as frames of a body.
//!
//! A frame is made when the connection asks for one, so that a slow reader slows the handler down and costs no memory;
//! a connection that ends drops the body, and with it the handler's stream.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Code, Status};

use super::accept::Format;
use super::call::ToJson;
use super::{Body, render};
use crate::policy::BoxStream;
use crate::spec::Binding;
use crate::status::UNEXPECTED;

/// The first frame of an event stream: how many milliseconds a browser waits before it comes back.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// How messages become frames.
pub(super) struct Framing<Res> {
    pub(super) format: Format,
    pub(super) encode: ToJson<Res>,
    pub(super) id: Option<fn(&Res) -> &str>,
    pub(super) binding: &'static Binding,
}

impl<Res> Framing<Res> {
    /// The frame of a message. Fails on what has no JSON form.
    pub(super) fn message(&self, message: &Res) -> Result<Vec<u8>, Status> {
        let mut frame = Vec::with_capacity(512);
        if self.format == Format::EventStream {
            let id = self.id.map_or("", |id| id(message));
            // A line break would end the line, and readers ignore an id with a null character.
            if !id.is_empty() && !id.contains(['\0', '\r', '\n']) {
                frame.extend_from_slice(b"id: ");
                frame.extend_from_slice(id.as_bytes());
                frame.push(b'\n');
            }
            frame.extend_from_slice(b"data: ");
        }
        (self.encode)(message, &mut frame).map_err(|_| Status::new(Code::Internal, UNEXPECTED))?;
        frame.extend_from_slice(self.end());
        Ok(frame)
    }

    /// The frame of an error, which is the last.
    fn error(&self, status: &Status) -> Vec<u8> {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::EventStream => (b"event: error\ndata: ", b""),
            Format::JsonLines => (br#"{"error":"#, b"}"),
        };
        let json = render::rpc_status(self.binding, status);
        [before, &json, after, self.end()].concat()
    }

    /// The end of a frame.
    const fn end(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream => b"\n\n",
            Format::JsonLines => b"\n",
        }
    }

    /// What says nothing but that the stream still lives: a comment, or an empty line.
    const fn heartbeat(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream => b": \n\n",
            Format::JsonLines => b"\n",
        }
    }
}

/// The answer whose body is a stream. What the handler has without waiting still has a say in the status of the answer:
/// an error that comes first is no stream at all.
pub(super) async fn answer<Res: Send + 'static>(
    framing: Framing<Res>,
    heartbeat: Duration,
    mut messages: BoxStream<Res>,
) -> Result<Response<Body>, Status> {
    let format = framing.format;
    let mut opening = match format {
        // Something to send at once, so that the reader knows that its stream is open.
        Format::EventStream => RETRY.to_vec(),
        Format::JsonLines => Vec::new(),
    };
    let first = poll_fn(|context| Poll::Ready(messages.as_mut().poll_next(context))).await;
    let messages = match first {
        Poll::Ready(Some(message)) => {
            opening.extend(framing.message(&message?)?);
            Some(messages)
        }
        Poll::Ready(None) => None,
        Poll::Pending => Some(messages),
    };
    let mut response = Response::new(Body::new(Frames {
        framing,
        opening: opening.into(),
        messages,
        heartbeat,
        alarm: Box::pin(sleep(heartbeat)),
    }));
    for (name, value) in [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would keep what it reads until it has a buffer full.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The body.
struct Frames<Res> {
    framing: Framing<Res>,
    /// What is sent before anything is asked of the handler.
    opening: Bytes,
    /// None after the last.
    messages: Option<BoxStream<Res>>,
    heartbeat: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl<Res> HttpBody for Frames<Res> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if !this.opening.is_empty() {
            let opening = std::mem::take(&mut this.opening);
            return Poll::Ready(Some(Ok(Frame::data(opening))));
        }
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        let frame = match messages.as_mut().poll_next(context) {
            Poll::Ready(Some(message)) => {
                let frame = message.and_then(|message| this.framing.message(&message));
                frame.unwrap_or_else(|status| {
                    this.messages = None;
                    this.framing.error(&status)
                })
            }
            Poll::Ready(None) => {
                this.messages = None;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                ready!(this.alarm.as_mut().poll(context));
                this.framing.heartbeat().to_vec()
            }
        };
        this.alarm.as_mut().reset(Instant::now() + this.heartbeat);
        Poll::Ready(Some(Ok(Frame::data(frame.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.opening.is_empty() && self.messages.is_none()
    }
}
