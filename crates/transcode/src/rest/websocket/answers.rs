//! From the answer of a handler to the messages of a WebSocket.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio_tungstenite::tungstenite::Message;
use tonic::{Code, Status};

use crate::policy::BoxStream;
use crate::rest::call::{ToBinary, ToJson};
use crate::rest::{BoxFuture, RawBody};
use crate::status::UNEXPECTED;

/// How a message of the answer becomes one of the connection.
pub(super) enum Encoder<Res> {
    /// A text.
    Json(ToJson<Res>),
    /// The binary form.
    Binary(ToBinary<Res>),
    /// Bytes as they are.
    Bytes(fn(&mut Res) -> RawBody),
}

impl<Res> Encoder<Res> {
    /// Fails on what has no JSON form.
    fn message(&self, mut message: Res) -> Result<Message, Status> {
        let unexpected = || Status::new(Code::Internal, UNEXPECTED);
        match self {
            Self::Json(encode) => {
                let mut json = Vec::with_capacity(512);
                encode(&message, &mut json).map_err(|_| unexpected())?;
                let text = Bytes::from(json).try_into().map_err(|_| unexpected())?;
                Ok(Message::Text(text))
            }
            Self::Binary(encode) => Ok(Message::Binary(encode(&message).into())),
            Self::Bytes(take) => Ok(Message::Binary(take(&mut message).data)),
        }
    }
}

/// The messages of an answer as those of a connection.
struct Encoded<Res> {
    messages: BoxStream<Res>,
    encoder: Encoder<Res>,
}

impl<Res> Stream for Encoded<Res> {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.messages.as_mut().poll_next(context));
        Poll::Ready(next.map(|message| self.encoder.message(message?)))
    }
}

/// The answer to a call: what its handler has still to do.
pub(super) enum Answers {
    /// It has not answered yet.
    Called(BoxFuture<'static, Result<BoxStream<Message>, Status>>),
    /// It answers.
    Open(BoxStream<Message>),
}

impl Answers {
    /// Those of a handler which `call` calls.
    pub(super) fn of<Res: 'static>(
        call: impl Future<Output = Result<BoxStream<Res>, Status>> + Send + 'static,
        encoder: Encoder<Res>,
    ) -> Self {
        Self::Called(Box::pin(async move {
            let messages = call.await?;
            Ok(Box::pin(Encoded { messages, encoder }) as BoxStream<Message>)
        }))
    }

    /// The next message. Not to be asked for after the last, or after an error.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Status>>> {
        loop {
            match self {
                Self::Called(call) => match ready!(call.as_mut().poll(context)) {
                    Ok(messages) => *self = Self::Open(messages),
                    Err(status) => return Poll::Ready(Some(Err(status))),
                },
                Self::Open(messages) => return messages.as_mut().poll_next(context),
            }
        }
    }
}
