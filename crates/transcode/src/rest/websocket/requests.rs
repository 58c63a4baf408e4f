//! From the messages of a caller to what a handler is given: one message, or a stream of them, each made and checked when
//! the handler asks for it. What stands in the path and in the query is in each of them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::Uri;
use http::request::Parts;
use prost::Message;
use tonic::{Code, Status, Streaming};

use super::close::{self, Faults};
use super::inbox::{Arrived, Data, Reader};
use crate::Violation;
use crate::inbound;
use crate::json::{self, Binder};
use crate::rest::call::Failure;
use crate::rest::pieces::CHUNK;
use crate::rest::request::{Decode, Input, Named, One, Source};
use crate::rest::{Body, BoxFuture, RawBody, Settings, body};
use crate::spec::{Binding, MethodSpec};
use crate::status;
use crate::validate::Validate;

/// A request, as far as it is known before the connection is a WebSocket.
pub(in crate::rest) enum Request<M> {
    /// All of it.
    Whole(M),
    /// What a message of the caller has still to say.
    Waiting(BoxFuture<'static, Result<M, Status>>),
}

impl<M> Request<M> {
    pub(super) async fn whole(self) -> Result<M, Status> {
        match self {
            Self::Whole(message) => Ok(message),
            Self::Waiting(message) => message.await,
        }
    }
}

/// A call whose handshake is in order.
pub(in crate::rest) struct Opening<'a> {
    pub(super) binding: &'static Binding,
    pub(super) parts: &'a Parts,
    pub(super) settings: &'a Settings,
    pub(super) faults: Faults,
}

/// What a handler is given, made of what a caller sends.
pub(in crate::rest) trait Incoming<M>: Send {
    /// How many messages a caller may send; none where there is no end to them.
    fn most(&self) -> Option<usize>;

    /// Longest message of a caller, in bytes.
    fn longest(&self, spec: &MethodSpec, settings: &Settings) -> usize {
        body::limit(spec, settings)
    }

    /// Makes what is known before the connection is a WebSocket. `concerns` hears what the request is about.
    fn open(
        self,
        opening: Opening<'_>,
        reader: Reader,
        concerns: impl Fn(&str) + Send + Sync + 'static,
    ) -> impl Future<Output = Result<Request<M>, Failure>> + Send;
}

/// A request that is one message.
pub(in crate::rest) struct Single<Req: 'static>(pub(in crate::rest) &'static Input<Req>);

impl<Req> Incoming<Req> for Single<Req>
where
    Req: Binder + Validate + Message + Default + 'static,
{
    fn most(&self) -> Option<usize> {
        Some(usize::from(!matches!(self.0.decode, Decode::Nothing)))
    }

    async fn open(
        self,
        opening: Opening<'_>,
        mut reader: Reader,
        concerns: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Request<Req>, Failure> {
        let (binding, parts, settings) = (opening.binding, opening.parts, opening.settings);
        let input = self.0;
        if let Decode::Nothing = input.decode {
            let body = Body::empty();
            let one = One(input);
            let message = one.open(binding, parts, body, settings, concerns).await?;
            return Ok(Request::Whole(message));
        }
        let content_type = content_type(parts).map_err(unsupported)?;
        let checked = input.check_head(binding, parts, &concerns);
        checked.map_err(Failure::Status)?;
        let head = Head {
            input: *input,
            binding,
            uri: parts.uri.clone(),
            faults: opening.faults,
        };
        Ok(Request::Waiting(Box::pin(async move {
            let arrived = poll_fn(|context| reader.poll_next(context)).await;
            let message = match (arrived.transpose()?, input.decode) {
                (None, _) => {
                    return Err(head.bad(Code::InvalidArgument, "The request has no message"));
                }
                (Some(arrived), Decode::Raw(put)) => {
                    let data = head.binary(arrived)?;
                    head.complete(put(raw(content_type, data)), Named::nothing(), None)?
                }
                (Some(arrived), _) => head.message(arrived)?,
            };
            if let Some(resource) = (input.resource)(&message) {
                concerns(resource);
            }
            Ok(message)
        })))
    }
}

/// A request that is a stream.
pub(in crate::rest) struct Many<Req: 'static>(pub(in crate::rest) &'static Input<Req>);

impl<Req> Incoming<Streaming<Req>> for Many<Req>
where
    Req: Binder + Validate + Message + Default + 'static,
{
    fn most(&self) -> Option<usize> {
        None
    }

    fn longest(&self, spec: &MethodSpec, settings: &Settings) -> usize {
        if let Decode::Raw(_) = self.0.decode {
            // What the RPC says is for all of them, and may be more than is to be kept at a time.
            let whole = spec.max_request_bytes.unwrap_or(usize::MAX);
            settings.max_body_bytes.max(CHUNK).min(whole)
        } else {
            body::limit(spec, settings)
        }
    }

    async fn open(
        self,
        opening: Opening<'_>,
        reader: Reader,
        concerns: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Request<Streaming<Req>>, Failure> {
        let (binding, parts) = (opening.binding, opening.parts);
        let content_type = content_type(parts).map_err(unsupported)?;
        let checked = self.0.check_head(binding, parts, &concerns);
        checked.map_err(Failure::Status)?;
        Ok(Request::Whole(inbound::streaming(Messages {
            head: Head {
                input: *self.0,
                binding,
                uri: parts.uri.clone(),
                faults: opening.faults,
            },
            reader: Some(reader),
            rest: Bytes::new(),
            content_type: Some(content_type),
            left: binding.spec.max_request_bytes,
        })))
    }
}

/// What the bytes of a call are, where its handshake says it; a browser's can't.
fn content_type(parts: &Parts) -> Result<String, &'static str> {
    Ok(body::raw_type(&parts.headers)?.unwrap_or_default())
}

fn unsupported(message: &'static str) -> Failure {
    Failure::Problem(body::unsupported(message))
}

fn raw(content_type: String, data: Bytes) -> RawBody {
    RawBody { content_type, data }
}

/// What all messages of a call are made with.
struct Head<Req> {
    input: Input<Req>,
    binding: &'static Binding,
    uri: Uri,
    faults: Faults,
}

impl<Req: Binder + Validate + Message + Default> Head<Req> {
    fn bad(&self, code: Code, message: impl Into<String>) -> Status {
        status::status(self.binding.spec.reasons, code, message)
    }

    /// The error of a message that can't be read.
    fn malformed(&self, number: usize, what: &str, error: &impl ToString) -> Status {
        let violation = Violation {
            field: "body".to_owned(),
            description: error.to_string(),
        };
        let status = status::refuse(
            self.binding.spec.reasons,
            Code::InvalidArgument,
            format!("Malformed {what} in message {number}"),
            [violation],
        );
        self.faults.note(status, close::INVALID)
    }

    /// The error of a message of a kind that is not taken.
    fn unsupported(&self, number: usize, what: &str) -> Status {
        let message = format!("Message {number} must be {what}");
        let status = self.bad(Code::InvalidArgument, message);
        self.faults.note(status, close::UNSUPPORTED)
    }

    /// A message in one of the forms that it may have.
    fn message(&self, arrived: Arrived) -> Result<Req, Status> {
        let Arrived { number, data } = arrived;
        let (message, named) = match (data, self.input.decode, self.input.decode_binary) {
            (Data::Text(text), Decode::Json(decode) | Decode::Form(decode, _), _) => {
                let mut context = json::Context::with_mask();
                let message = decode(&text, &mut context);
                let message = message.map_err(|error| self.malformed(number, "JSON", &error))?;
                (message, Named::Json(context))
            }
            (Data::Binary(bytes), _, Some(decode)) => {
                let message = decode(&bytes)
                    .map_err(|error| self.malformed(number, "protobuf message", &error))?;
                (message, Named::Unknown)
            }
            _ => return Err(self.unsupported(number, "text: it has no binary form")),
        };
        self.complete(message, named, Some(number))
    }

    /// A message that is bytes as they are.
    fn binary(&self, arrived: Arrived) -> Result<Bytes, Status> {
        match arrived.data {
            Data::Binary(bytes) => Ok(bytes),
            Data::Text(_) => {
                Err(self.unsupported(arrived.number, "binary: it is bytes as they are"))
            }
        }
    }

    /// Makes the rest of a message, and checks it.
    fn complete(&self, message: Req, named: Named, number: Option<usize>) -> Result<Req, Status> {
        let (input, binding, uri) = (&self.input, self.binding, &self.uri);
        match number {
            Some(number) => {
                let place = format_args!("message {number}");
                input.complete(message, binding, uri, named, Some(&place))
            }
            None => input.complete(message, binding, uri, named, None),
        }
    }
}

/// The messages of a request that is a stream.
struct Messages<Req> {
    head: Head<Req>,
    /// None after the last.
    reader: Option<Reader>,
    /// What came of bytes as they are and is in no piece yet.
    rest: Bytes,
    /// Of bytes as they are, for the first piece; none after it.
    content_type: Option<String>,
    /// How many bytes as they are may still come; none without a limit.
    left: Option<usize>,
}

impl<Req> Unpin for Messages<Req> {}

impl<Req: Binder + Validate + Message + Default> Messages<Req> {
    fn poll_message(&mut self, context: &Context<'_>) -> Poll<Option<Result<Req, Status>>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        let Decode::Raw(put) = self.head.input.decode else {
            let arrived = ready!(reader.poll_next(context));
            return Poll::Ready(arrived.map(|arrived| self.head.message(arrived?)));
        };
        // As of the body of a request: in pieces, of which there is a first one whatever comes.
        while self.rest.is_empty() {
            match ready!(reader.poll_next(context)) {
                Some(arrived) => match arrived.and_then(|arrived| self.head.binary(arrived)) {
                    Ok(bytes) => self.rest = bytes,
                    Err(status) => return Poll::Ready(Some(Err(status))),
                },
                None if self.content_type.is_some() => break,
                None => return Poll::Ready(None),
            }
            if let Some(left) = &mut self.left {
                let Some(after) = left.checked_sub(self.rest.len()) else {
                    let most = self.head.binding.spec.max_request_bytes.unwrap_or_default();
                    let message = format!("The request must not be larger than {most} bytes");
                    let status = self.head.bad(Code::InvalidArgument, message);
                    return Poll::Ready(Some(Err(self.head.faults.note(status, close::TOO_LARGE))));
                };
                *left = after;
            }
        }
        let data = self.rest.split_to(self.rest.len().min(CHUNK));
        let message = put(raw(self.content_type.take().unwrap_or_default(), data));
        Poll::Ready(Some(self.head.complete(message, Named::nothing(), None)))
    }
}

impl<Req: Binder + Validate + Message + Default> Stream for Messages<Req> {
    type Item = Result<Req, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.poll_message(context));
        if !matches!(next, Some(Ok(_))) {
            // Nobody waits for more.
            self.reader = None;
        }
        Poll::Ready(next)
    }
}
