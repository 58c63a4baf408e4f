//! Requests that are streams, in the type in which tonic hands them to handlers.
//!
//! That type reads frames of bytes. Here a message exists already: it waits in a slot, the frame is an empty one that says
//! so, and the decoder takes the message from the slot. Nothing is encoded, and nothing is asked for before the handler
//! asks.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};
use tonic::codec::{BufferSettings, DecodeBuf, Decoder};
use tonic::{Status, Streaming};

/// A message of gRPC without a byte: not compressed, of length 0.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);

/// Messages as the request of a handler. An error is the last of them.
pub(crate) fn streaming<M: Send + 'static>(
    messages: impl Stream<Item = Result<M, Status>> + Send + 'static,
) -> Streaming<M> {
    let slot = Slot(Arc::new(Mutex::new(None)));
    let frames = Frames {
        messages: Some(Box::pin(messages)),
        slot: slot.clone(),
    };
    Streaming::new_request(slot, frames, None, None)
}

/// Where a message waits, one at a time.
struct Slot<M>(Arc<Mutex<Option<Result<M, Status>>>>);

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Slot<M> {
    fn replace(&self, message: Option<Result<M, Status>>) -> Option<Result<M, Status>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, message)
    }
}

impl<M: Send + 'static> Decoder for Slot<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        self.replace(None).transpose()
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(EMPTY.len(), EMPTY.len())
    }
}

/// A frame for each message.
struct Frames<M, S> {
    /// None after the last.
    messages: Option<Pin<Box<S>>>,
    slot: Slot<M>,
}

impl<M, S: Stream<Item = Result<M, Status>>> Body for Frames<M, S> {
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
        let next = ready!(messages.as_mut().poll_next(context));
        if !matches!(next, Some(Ok(_))) {
            this.messages = None;
        }
        if next.is_none() {
            return Poll::Ready(None);
        }
        this.slot.replace(next);
        Poll::Ready(Some(Ok(Frame::data(EMPTY))))
    }
}
