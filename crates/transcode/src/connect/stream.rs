//! Answers that are streams: an envelope for each message, made when the connection asks for it, and one that says how
//! the stream ended. A connection that ends drops the body, and with it the handler's stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::envelope::{self, Writing};
use super::error;
use super::message::Outbound;
use crate::policy::BoxStream;
use crate::rest::ToJson;
use crate::trailers::Trailers;

/// The body.
pub(super) struct Frames<Res> {
    pub(super) writing: Writing,
    pub(super) write_json: ToJson<Res>,
    /// None after the last.
    pub(super) messages: Option<BoxStream<Res>>,
    pub(super) trailers: Option<Trailers>,
}

impl<Res: Outbound> HttpBody for Frames<Res> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        let made = match ready!(messages.as_mut().poll_next(context)) {
            Some(message) => {
                message.and_then(|message| this.writing.message(this.write_json, &message))
            }
            None => Ok(Vec::new()),
        };
        let frame = match made {
            Ok(frame) if !frame.is_empty() => frame,
            ended => {
                this.messages = None;
                let trailers = this.trailers.as_ref().map(|trailers| &trailers.0);
                envelope::end(&error::end(ended.err().as_ref(), trailers))
            }
        };
        Poll::Ready(Some(Ok(Frame::data(frame.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none()
    }
}
