//! The body of a request that is a stream, piece by piece: lines, or bytes as they come. Nothing is read before it is
//! asked for, but for the rest of what the connection had.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use tonic::Code;

use super::{Body, Problem, RawBody, body};

/// Longest piece of a body that is bytes as they are.
const CHUNK: usize = 64 << 10;

/// The next data of a body.
fn poll_data(body: &mut Body, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Problem>>> {
    loop {
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        return Poll::Ready(match frame {
            None => None,
            Some(Err(_)) => Some(Err(body::ended_early())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(data)),
                // Trailers, which say nothing here.
                Err(_) => continue,
            },
        });
    }
}

/// The lines of a body that are not blank.
pub(super) struct Lines {
    body: Body,
    /// What was read of it and is no line yet.
    buffer: BytesMut,
    /// How much of that has no line break.
    searched: usize,
    /// Longest line, in bytes.
    max: usize,
    number: usize,
    ended: bool,
}

/// A line and its number, from 1.
pub(super) type Line = (usize, Bytes);

impl Lines {
    pub(super) fn new(body: Body, max: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            max,
            number: 0,
            ended: false,
        }
    }

    /// The next line; nothing comes after an error.
    pub(super) fn poll_line(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Line, Problem>>> {
        loop {
            let fresh = &self.buffer[self.searched..];
            let line = match fresh.iter().position(|byte| *byte == b'\n') {
                Some(at) => self.buffer.split_to(self.searched + at + 1),
                None if self.ended && self.buffer.is_empty() => return Poll::Ready(None),
                None if self.ended => std::mem::take(&mut self.buffer),
                None if self.buffer.len() > self.max + "\r".len() => {
                    return Poll::Ready(Some(Err(self.too_long())));
                }
                None => {
                    self.searched = self.buffer.len();
                    match ready!(poll_data(&mut self.body, context)) {
                        Some(Ok(data)) => self.buffer.extend_from_slice(&data),
                        Some(Err(problem)) => return Poll::Ready(Some(Err(problem))),
                        None => self.ended = true,
                    }
                    continue;
                }
            };
            self.searched = 0;
            let line = line.freeze();
            let text = line.trim_ascii();
            if text.len() > self.max {
                return Poll::Ready(Some(Err(self.too_long())));
            }
            self.number += 1;
            // Senders write blank lines to show that they live.
            if !text.is_empty() {
                return Poll::Ready(Some(Ok((self.number, line.slice_ref(text)))));
            }
        }
    }

    fn too_long(&self) -> Problem {
        let (number, max) = (self.number + 1, self.max);
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidArgument,
            format!("Line {number} must not be longer than {max} bytes"),
        )
    }
}

/// A body as it comes.
pub(super) struct Chunks {
    body: Body,
    /// What was read of it and is in no piece yet.
    rest: Bytes,
    /// For the first piece; none after it.
    content_type: Option<String>,
    /// Longest piece.
    most: usize,
    /// Longest body, and what is left of it; none without a limit.
    whole: Option<(usize, usize)>,
}

impl Chunks {
    /// `max` bounds the pieces, `whole` all of them together.
    pub(super) fn new(body: Body, content_type: String, max: usize, whole: Option<usize>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            content_type: Some(content_type),
            most: max.clamp(1, CHUNK),
            whole: whole.map(|whole| (whole, whole)),
        }
    }

    /// The next piece. There is a first one for a body without a byte too: it says of which type the body is, and a
    /// handler learns from it what stands in the path.
    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RawBody, Problem>>> {
        while self.rest.is_empty() {
            match ready!(poll_data(&mut self.body, context)) {
                Some(Ok(data)) => {
                    if let Some((whole, left)) = &mut self.whole {
                        let Some(after) = left.checked_sub(data.len()) else {
                            return Poll::Ready(Some(Err(body::too_large(*whole))));
                        };
                        *left = after;
                    }
                    self.rest = data;
                }
                Some(Err(problem)) => return Poll::Ready(Some(Err(problem))),
                None if self.content_type.is_some() => break,
                None => return Poll::Ready(None),
            }
        }
        let data = self.rest.split_to(self.rest.len().min(self.most));
        Poll::Ready(Some(Ok(RawBody {
            content_type: self.content_type.take().unwrap_or_default(),
            data,
        })))
    }
}
