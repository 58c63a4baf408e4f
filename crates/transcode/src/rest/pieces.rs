//! The body of a request that is a stream, piece by piece: lines, or bytes as they come. Nothing is read before it is
//! asked for, but for the rest of what the connection had.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tonic::Code;

use super::{Body, Problem, RawBody, body};
use crate::body::poll_data;

/// Longest piece of a body that is bytes as they are.
pub(super) const CHUNK: usize = 64 << 10;

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
                        Some(Err(_)) => return Poll::Ready(Some(Err(body::ended_early()))),
                        None => self.ended = true,
                    }
                    continue;
                }
            };
            self.searched = 0;
            let line = line.freeze();
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.len() > self.max {
                return Poll::Ready(Some(Err(self.too_long())));
            }
            let text = text.trim_ascii();
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
                Some(Err(_)) => return Poll::Ready(Some(Err(body::ended_early()))),
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::Waker;

    use http_body::Frame;
    use proptest::prelude::*;

    use super::*;

    /// A body of frames that are there.
    struct Frames(VecDeque<Bytes>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    /// A body in frames that end at some places.
    fn body(text: &[u8], ends: &[usize]) -> Body {
        let mut ends: Vec<_> = ends.iter().map(|end| end % (text.len() + 1)).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let mut from = 0;
        let frames = ends.into_iter().map(|end| {
            let frame = Bytes::copy_from_slice(&text[from..end]);
            from = end;
            frame
        });
        Body::new(Frames(frames.collect()))
    }

    fn all<T>(
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<T, Problem>>>,
    ) -> Result<Vec<T>, String> {
        let mut context = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        loop {
            match poll(&mut context) {
                Poll::Ready(Some(Ok(piece))) => found.push(piece),
                Poll::Ready(Some(Err(problem))) => return Err(problem.message),
                Poll::Ready(None) => return Ok(found),
                Poll::Pending => panic!("all of it is there"),
            }
        }
    }

    proptest! {
        /// Wherever frames end, lines are those of the text, up to the first that is too long.
        #[test]
        fn lines_do_not_depend_on_frames(
            text in "[ab \r\n]{0,60}", ends in prop::collection::vec(0_usize..60, 0..9), max in 1_usize..12,
        ) {
            let mut lines = Lines::new(body(text.as_bytes(), &ends), max);
            let found = all(|context| lines.poll_line(context));
            let mut expected = Ok(Vec::new());
            for (index, line) in text.split('\n').enumerate() {
                if line.strip_suffix('\r').unwrap_or(line).len() > max {
                    expected = Err(index + 1);
                    break;
                }
                let trimmed = line.trim_ascii();
                if let (Ok(lines), false) = (&mut expected, trimmed.is_empty()) {
                    lines.push((index + 1, Bytes::copy_from_slice(trimmed.as_bytes())));
                }
            }
            let expected = expected.map_err(|line| format!("Line {line} must not be longer than {max} bytes"));
            prop_assert_eq!(found, expected);
        }

        /// Pieces are as long as they may be, the bytes are those of the body, and the first has the type.
        #[test]
        fn chunks_are_the_body(
            text in prop::collection::vec(any::<u8>(), 0..60), ends in prop::collection::vec(0_usize..60, 0..9), max in 1_usize..12,
        ) {
            let mut chunks = Chunks::new(body(&text, &ends), "x".to_owned(), max, None);
            let found = all(|context| chunks.poll_chunk(context)).expect("no error");
            prop_assert!(found.iter().all(|chunk| chunk.data.len() <= max));
            let types: Vec<_> = found.iter().map(|chunk| chunk.content_type.as_str()).collect();
            prop_assert_eq!(types[0], "x");
            prop_assert!(types[1..].iter().all(|other| other.is_empty()));
            let data: Vec<u8> = found.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
            prop_assert_eq!(data, text);
        }
    }
}
