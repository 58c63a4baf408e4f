//! Answers that are streams: messages, errors and signs of life as frames of a body.
//!
//! An error that comes after the first message ends the stream as a frame of its own: the event `error`, the line or the
//! last element `{"error": …}`. An array is closed after it, so that it can be read with any JSON parser, and the reader
//! learns why; whether the stream came to its end is told by its last element. To break the connection off instead would
//! tell that it did not, but neither what happened nor whether to come again.
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
    fn message(&self, message: &Res, is_first: bool) -> Result<Vec<u8>, Status> {
        let mut frame = Vec::with_capacity(512);
        if self.format == Format::JsonArray && !is_first {
            frame.push(b',');
        }
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
    fn error(&self, status: &Status, is_first: bool) -> Vec<u8> {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::EventStream => (b"event: error\ndata: ", b""),
            Format::JsonLines => (br#"{"error":"#, b"}"),
            Format::JsonArray if is_first => (br#"{"error":"#, b"}"),
            Format::JsonArray => (br#",{"error":"#, b"}"),
        };
        let json = render::rpc_status(self.binding, status);
        [before, &json, after, self.end(), self.closing()].concat()
    }

    /// What a reader gets at once, so that it knows that its stream is open.
    const fn opening(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream => RETRY,
            Format::JsonLines => b"",
            Format::JsonArray => b"[",
        }
    }

    /// What stands after the last frame.
    const fn closing(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream | Format::JsonLines => b"",
            Format::JsonArray => b"]",
        }
    }

    /// The end of a frame.
    const fn end(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream => b"\n\n",
            Format::JsonLines => b"\n",
            Format::JsonArray => b"",
        }
    }

    /// What says nothing but that the stream still lives: a comment, an empty line, or space between elements.
    const fn heartbeat(&self) -> &'static [u8] {
        match self.format {
            Format::EventStream => b": \n\n",
            Format::JsonLines | Format::JsonArray => b"\n",
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
    let mut opening = framing.opening().to_vec();
    let mut is_first = true;
    let first = poll_fn(|context| Poll::Ready(messages.as_mut().poll_next(context))).await;
    let messages = match first {
        Poll::Ready(Some(message)) => {
            opening.extend(framing.message(&message?, true)?);
            is_first = false;
            Some(messages)
        }
        Poll::Ready(None) => {
            opening.extend(framing.closing());
            None
        }
        Poll::Pending => Some(messages),
    };
    let mut response = Response::new(Body::new(Frames {
        framing,
        opening: opening.into(),
        messages,
        is_first,
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
    /// Whether the next message is the first.
    is_first: bool,
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
                let is_first = std::mem::replace(&mut this.is_first, false);
                let frame = message.and_then(|message| this.framing.message(&message, is_first));
                frame.unwrap_or_else(|status| {
                    this.messages = None;
                    this.framing.error(&status, is_first)
                })
            }
            Poll::Ready(None) => {
                this.messages = None;
                let closing = this.framing.closing();
                if closing.is_empty() {
                    return Poll::Ready(None);
                }
                closing.to_vec()
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
