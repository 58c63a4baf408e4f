//! Messages of a stream, each in an envelope: a byte of flags, four of length, and the message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tonic::{Code, Status};

use super::message::{self, Inbound, ReadJson};
use super::protocol::Codec;
use crate::body::{self, Unreadable};
use crate::coding::Coding;
use crate::rest::{Body, ToJson};
use crate::spec::MethodSpec;
use crate::status::UNEXPECTED;

/// Bytes before a message.
pub(super) const PREFIX: usize = 5;

/// Flag of a message that is compressed.
pub(super) const COMPRESSED: u8 = 1;

/// Flag of the last message of an answer.
pub(super) const END: u8 = 2;

/// Largest message that is compressed, in bytes: that is done at once, by the thread that answers.
const MAX_COMPRESSED: usize = 4 << 20;

/// How messages are read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) spec: &'static MethodSpec,
    pub(super) codec: Codec,
    /// What those are coded with that say they are.
    pub(super) coding: Option<Coding>,
    /// Most bytes of a message, as it came and unpacked.
    pub(super) max: usize,
}

/// The messages of a request, each when it is asked for. Nothing more is read, but for the rest of what the connection
/// had. An error is the last.
pub(super) struct Envelopes<Req> {
    body: Body,
    reading: Reading,
    /// What was read and not yet used.
    chunk: Bytes,
    /// The beginning of an envelope, or of its message, of which the rest has not come.
    partial: BytesMut,
    /// The flags and the length of the message that comes next, once they are known.
    prefix: Option<(u8, usize)>,
    number: usize,
    ended: bool,
    read_json: ReadJson<Req>,
}

impl<Req: Inbound> Envelopes<Req> {
    pub(super) fn new(body: Body, reading: Reading, read_json: ReadJson<Req>) -> Self {
        Self {
            body,
            reading,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            prefix: None,
            number: 0,
            ended: false,
            read_json,
        }
    }
}

impl<Req: Inbound> Envelopes<Req> {
    /// The next so many bytes; none at the end of the body, where it ends between envelopes.
    fn poll_take(
        &mut self,
        count: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if self.partial.is_empty() && self.chunk.len() >= count {
                return Poll::Ready(Ok(Some(self.chunk.split_to(count))));
            }
            let missing = count - self.partial.len();
            let more = self.chunk.split_to(missing.min(self.chunk.len()));
            self.partial.extend_from_slice(&more);
            if self.partial.len() == count {
                return Poll::Ready(Ok(Some(self.partial.split().freeze())));
            }
            match ready!(body::poll_data(&mut self.body, context)) {
                Some(Ok(data)) => self.chunk = data,
                Some(Err(why)) => return Poll::Ready(Err(message::unreadable(why))),
                None if self.partial.is_empty() && self.prefix.is_none() => {
                    return Poll::Ready(Ok(None));
                }
                None => {
                    let message = format!("The body ended in message {}", self.number + 1);
                    return Poll::Ready(Err(Status::invalid_argument(message)));
                }
            }
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Req>, Status>> {
        let (flags, length) = if let Some(prefix) = self.prefix {
            prefix
        } else {
            let Some(bytes) = ready!(self.poll_take(PREFIX, context))? else {
                return Poll::Ready(Ok(None));
            };
            let mut length = [0; 4];
            length.copy_from_slice(&bytes[1..]);
            let length = u32::from_be_bytes(length) as usize;
            self.begin(bytes[0], length)?;
            *self.prefix.insert((bytes[0], length))
        };
        let Some(bytes) = ready!(self.poll_take(length, context))? else {
            return Poll::Ready(Ok(None));
        };
        self.prefix = None;
        self.number += 1;
        let coding = self.reading.coding.filter(|_| flags & COMPRESSED != 0);
        let unpacked = coding.map(|coding| body::unpack(&bytes, coding, self.reading.max));
        let unpacked = unpacked
            .transpose()
            .map_err(message::unreadable)?
            .unwrap_or(bytes);
        let Reading { codec, spec, .. } = self.reading;
        message::decode(codec, self.read_json, &unpacked, spec, Some(self.number)).map_or_else(
            |status| Poll::Ready(Err(status)),
            |message| Poll::Ready(Ok(Some(message))),
        )
    }

    /// Refuses a message for what stands before it, before it is read.
    fn begin(&self, flags: u8, length: usize) -> Result<(), Status> {
        let number = self.number + 1;
        if flags & !COMPRESSED != 0 {
            let message = format!("Message {number} has flags that no request has: {flags}");
            return Err(Status::invalid_argument(message));
        }
        if flags & COMPRESSED != 0 && self.reading.coding.is_none() {
            let message = format!(
                "Message {number} is compressed, and Connect-Content-Encoding names nothing"
            );
            return Err(Status::internal(message));
        }
        if length > self.reading.max {
            return Err(message::unreadable(Unreadable::TooLarge(self.reading.max)));
        }
        Ok(())
    }
}

impl<Req> Unpin for Envelopes<Req> {}

impl<Req: Inbound> Stream for Envelopes<Req> {
    type Item = Result<Req, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_message(context)).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
        }
        Poll::Ready(next)
    }
}

/// How messages are written.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    pub(super) codec: Codec,
    pub(super) coding: Option<Coding>,
    /// Smallest message that is compressed, in bytes.
    pub(super) min_compressed: usize,
}

impl Writing {
    /// The envelope of a message. Fails on what has no form in the codec.
    pub(super) fn message<Res: message::Outbound>(
        &self,
        write_json: ToJson<Res>,
        message: &Res,
    ) -> Result<Vec<u8>, Status> {
        let mut frame = message::encode(self.codec, write_json, message, PREFIX)?;
        let length = frame.len() - PREFIX;
        if let Some(coding) = self.coding
            && (self.min_compressed..=MAX_COMPRESSED).contains(&length)
            && let Ok(packed) = coding.encode(&frame[PREFIX..])
            && packed.len() < length
        {
            frame.truncate(PREFIX);
            frame.extend_from_slice(&packed);
            frame[0] = COMPRESSED;
        }
        seal(frame)
    }
}

/// The envelope of the last message.
pub(super) fn end(json: &[u8]) -> Vec<u8> {
    let mut frame = vec![END, 0, 0, 0, 0];
    frame.extend_from_slice(json);
    // What is made of headers and one status has no four gigabytes.
    seal(frame).unwrap_or_default()
}

/// Writes the length of what follows a prefix into it.
fn seal(mut frame: Vec<u8>) -> Result<Vec<u8>, Status> {
    let length =
        u32::try_from(frame.len() - PREFIX).map_err(|_| Status::new(Code::Internal, UNEXPECTED))?;
    frame[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}
