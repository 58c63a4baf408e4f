//! A request that is a stream: what is in the body of an HTTP request becomes its messages, each when the handler asks
//! for it. What stands in the path and in the query is in each of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::Uri;
use http::request::Parts;
use http_body::Body as _;
use prost::Message;
use tonic::{Code, Status, Streaming};

use super::call::Failure;
use super::form::{self, LINES};
use super::pieces::{Chunks, Lines};
use super::request::{Decode, FromJson, Input, Named, Source};
use super::{Body, Problem, RawBody, Settings, body};
use crate::Violation;
use crate::inbound;
use crate::json::{self, Binder};
use crate::spec::Binding;
use crate::status;
use crate::validate::Validate;

/// A request that is a stream, and what is wrong with it that HTTP has a status of its own for.
pub(super) struct Many<'a, Req> {
    input: &'a Input<Req>,
    late: Late,
}

/// A problem that was found after the handler was called.
type Late = Arc<Mutex<Option<Problem>>>;

impl<'a, Req> Many<'a, Req> {
    pub(super) fn new(input: &'a Input<Req>) -> Self {
        Self {
            input,
            late: Late::default(),
        }
    }
}

impl<Req> Source<Streaming<Req>> for Many<'_, Req>
where
    Req: Binder + Validate + Message + Default + 'static,
{
    async fn open(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        settings: &Settings,
        concerns: impl Fn(&str) + Send,
    ) -> Result<Streaming<Req>, Failure> {
        if let Some(problem) = body::compressed(&parts.headers) {
            return Err(Failure::Problem(problem));
        }
        let max = body::limit(binding.spec, settings);
        let pieces = match self.input.decode {
            Decode::Raw(put) => {
                let content_type = body::raw_type(&parts.headers)
                    .map_err(|message| Failure::Problem(body::unsupported(message)))?;
                let content_type = content_type.unwrap_or_default();
                let whole = binding.spec.max_request_bytes;
                let length = body.size_hint().lower();
                if let Some(whole) = whole.filter(|whole| length > *whole as u64) {
                    return Err(Failure::Problem(body::too_large(whole)));
                }
                let chunks = Chunks::new(body, content_type, max, whole);
                Pieces::Bytes(chunks, put)
            }
            Decode::Json(decode) | Decode::Form(decode, _) => {
                if !form::is_lines(&parts.headers) {
                    return Err(Failure::Problem(form::unsupported(parts, &[LINES])));
                }
                Pieces::Lines(Lines::new(body, max), decode)
            }
            // The generator has ruled it out.
            Decode::Nothing => Pieces::None,
        };
        let checked = self.input.check_head(binding, parts, &concerns);
        checked.map_err(Failure::Status)?;
        Ok(inbound::streaming(Messages {
            input: *self.input,
            binding,
            uri: parts.uri.clone(),
            pieces,
            late: self.late.clone(),
        }))
    }

    fn late(&self, status: &Status) -> Option<Problem> {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        // A handler may have something else to say of it.
        late.take_if(|late| late.code == status.code() && late.message == status.message())
    }
}

enum Pieces<Req> {
    None,
    Lines(Lines, FromJson<Req>),
    Bytes(Chunks, fn(RawBody) -> Req),
}

struct Messages<Req> {
    input: Input<Req>,
    binding: &'static Binding,
    uri: Uri,
    pieces: Pieces<Req>,
    late: Late,
}

impl<Req: Binder + Validate + Message + Default> Messages<Req> {
    /// What HTTP says more precisely goes around the handler.
    fn keep(&self, problem: Problem) -> Status {
        let status = status::status(
            self.binding.spec.reasons,
            problem.code,
            problem.message.clone(),
        );
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
        status
    }

    /// Makes the rest of a message, and checks it. `line` is the number of the line that it was made of, if it was.
    fn complete(&self, message: Req, named: Named, line: Option<usize>) -> Result<Req, Status> {
        let (input, binding, uri) = (&self.input, self.binding, &self.uri);
        match line {
            Some(line) => {
                let place = format_args!("line {line}");
                input.complete(message, binding, uri, named, Some(&place))
            }
            None => input.complete(message, binding, uri, named, None),
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Req, Status>>> {
        let made = match &mut self.pieces {
            Pieces::None => return Poll::Ready(None),
            Pieces::Bytes(chunks, put) => {
                let put = *put;
                match ready!(chunks.poll_chunk(context)) {
                    None => return Poll::Ready(None),
                    Some(Err(problem)) => Err(self.keep(problem)),
                    Some(Ok(raw)) => self.complete(put(raw), Named::nothing(), None),
                }
            }
            Pieces::Lines(lines, decode) => {
                let decode = *decode;
                match ready!(lines.poll_line(context)) {
                    None => return Poll::Ready(None),
                    Some(Err(problem)) => Err(self.keep(problem)),
                    Some(Ok((number, line))) => {
                        let mut context = json::Context::with_mask();
                        match decode(&line, &mut context) {
                            Ok(message) => {
                                self.complete(message, Named::Json(context), Some(number))
                            }
                            Err(error) => Err(self.malformed(number, &error)),
                        }
                    }
                }
            }
        };
        if made.is_err() {
            self.pieces = Pieces::None;
        }
        Poll::Ready(Some(made))
    }

    fn malformed(&self, number: usize, error: &serde_json::Error) -> Status {
        // The line is the first that the parser has seen.
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = text.strip_suffix(&place).map_or_else(
            || text.clone(),
            |what| format!("{what} at line {number} column {}", error.column()),
        );
        status::refuse(
            self.binding.spec.reasons,
            Code::InvalidArgument,
            format!("Malformed JSON in line {number}"),
            [Violation {
                field: "body".to_owned(),
                description: text,
            }],
        )
    }
}

impl<Req: Binder + Validate + Message + Default> Stream for Messages<Req> {
    type Item = Result<Req, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(context)
    }
}
