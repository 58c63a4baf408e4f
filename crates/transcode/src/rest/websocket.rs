//! Streams over WebSocket (RFC 6455, and RFC 8441 in HTTP/2), both ways at once.
//!
//! What can be told in HTTP is told before the connection changes its protocol: a handshake that is broken, a page that
//! may not open it, a caller that is not let in, a path or a query that can't be. The handler is called after that, since
//! it may wait for the first message before it answers; its errors are the last message, `{"error": …}`, and the code of
//! the closing frame.
//!
//! A text is a message in JSON, a binary one a message in protobuf's binary form; where the messages are
//! `google.api.HttpBody` it is bytes as they are. An empty text says that the caller has no more requests: WebSocket
//! itself knows no half of an end, and no JSON is empty. A closing frame is a caller's way to give the call up.

mod answers;
mod close;
pub(super) mod handshake;
mod inbox;
mod io;
mod pulse;
mod requests;
mod session;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use http::Response;
use tonic::{Request, Status};

use super::accept;
use super::call::{Call, Encode, Failure, Streaming, ToBinary, Unary, forwarded};
use super::form::Form;
use super::raw::Begun;
use super::{Body, BoxFuture, Problem, render};
use crate::policy::{BoxStream, Policy};
use crate::spec::Binding;
use answers::{Answers, Encoder};
use close::Faults;
use handshake::{Handshake, Offer};
use requests::{Incoming, Opening};
pub(super) use requests::{Many, Single};

/// How streams over WebSocket are taken.
#[derive(Clone, Debug)]
pub struct WebSockets {
    /// Origins whose pages may open one, such as `https://shop.example`, beside the service's own; `*` for all. Browsers
    /// ask nobody before they open a WebSocket, whatever CORS says, so that this alone keeps other pages out. Callers that
    /// name no origin are no pages.
    pub origins: Vec<String>,
    /// What a subprotocol begins with that holds a bearer token, in base64url without padding: in browsers a page can't
    /// set the Authorization header. It is never chosen, so that another one must be offered beside it. None for no such.
    pub bearer_protocol: Option<&'static str>,
    /// How long a peer has to answer a ping, which it gets when it has said nothing for a
    /// [heartbeat](super::Settings::heartbeat).
    pub pong_timeout: Duration,
    /// Runs a call, which goes on when its request was answered: on the runtime, unless a service has to know of it.
    pub spawn: fn(BoxFuture<'static, ()>),
}

impl Default for WebSockets {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            bearer_protocol: Some("base64url.bearer.authorization.transcode."),
            pong_timeout: Duration::from_secs(10),
            spawn: |call| {
                tokio::spawn(call);
            },
        }
    }
}

/// What the answers of a call are made with.
struct Answering<Res: 'static> {
    encode: &'static Encode<Res>,
    /// Writes the binary form, where there is one.
    binary: Option<ToBinary<Res>>,
}

impl<Res> Answering<Res> {
    fn offer(&self) -> Offer {
        match (self.encode, self.binary) {
            (Encode::Raw(_), _) => Offer::Bytes,
            (Encode::Json(_), None) => Offer::Json,
            (Encode::Json(_), Some(_)) => Offer::Both,
        }
    }

    fn encoder(&self, form: Form) -> Encoder<Res> {
        match (self.encode, form, self.binary) {
            (Encode::Raw(take), ..) => Encoder::Bytes(*take),
            (Encode::Json(_), Form::Binary(_), Some(encode)) => Encoder::Binary(encode),
            (Encode::Json(encode), ..) => Encoder::Json(*encode),
        }
    }
}

impl Call {
    /// Whether the caller asks for a WebSocket, and may have one.
    pub(super) fn is_websocket(&self) -> bool {
        let parts = &self.parts;
        self.transcoder.settings().websockets.is_some()
            && handshake::is_asked(
                &parts.method,
                parts.version,
                &parts.headers,
                &parts.extensions,
            )
    }

    /// Makes a call over a WebSocket whose answer is one message.
    pub(super) async fn answer_over_websocket<P, Req, Res, M, F>(
        self,
        policy: Arc<P>,
        unary: &'static Unary<Req, Res>,
        incoming: impl Incoming<M>,
        handler: impl FnOnce(Request<M>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Send + 'static,
        M: Send + 'static,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send + 'static,
    {
        let answering = Answering {
            encode: &unary.encode,
            binary: unary.binary,
        };
        let messages = |_: &P, _, answer| -> BoxStream<Res> { Box::pin(Begun::one(answer)) };
        self.websocket(policy, incoming, answering, handler, messages)
            .await
    }

    /// Makes a call over a WebSocket whose answer is a stream.
    pub(super) async fn stream_over_websocket<P, Req, Res, M, S, F>(
        self,
        policy: Arc<P>,
        streaming: &'static Streaming<Req, Res>,
        incoming: impl Incoming<M>,
        handler: impl FnOnce(Request<M>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Send + 'static,
        M: Send + 'static,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send + 'static,
    {
        let answering = Answering {
            encode: &streaming.encode,
            binary: streaming.binary,
        };
        let spec = self.binding.spec;
        let messages = move |policy: &P, admission, messages: S| {
            policy.stream(spec, admission, Box::pin(messages))
        };
        self.websocket(policy, incoming, answering, handler, messages)
            .await
    }

    /// Makes a call over a WebSocket. `handler` is called once the connection is one, and `messages` makes of what it
    /// answers the stream that is sent.
    async fn websocket<P, Res, M, T, F>(
        mut self,
        policy: Arc<P>,
        incoming: impl Incoming<M>,
        answering: Answering<Res>,
        handler: impl FnOnce(Request<M>) -> F + Send + 'static,
        messages: impl FnOnce(&P, P::Admission, T) -> BoxStream<Res> + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Send + 'static,
        M: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Result<tonic::Response<T>, Status>> + Send + 'static,
    {
        let reply = self.reply(accept::error(&self.parts.headers));
        let (binding, spec) = (self.binding, self.binding.spec);
        let transcoder = self.transcoder.clone();
        let settings = transcoder.settings();
        let Some(websockets) = &settings.websockets else {
            return self.not_found();
        };
        let offer = answering.offer();
        let handshake = Handshake::check(&mut self.parts, &self.body, websockets, offer);
        let handshake = match handshake {
            Ok(handshake) => handshake,
            Err(problem) => return reply.failure(Failure::Problem(*problem)),
        };
        let metadata = forwarded(&self.parts.headers, settings.forwarded_headers);
        let admitted = policy.admit(spec, &metadata, &mut self.parts.extensions);
        let admission = match admitted.await {
            Ok(admission) => admission,
            Err(status) => return reply.failure(Failure::Status(status)),
        };
        let (writer, reader) = inbox::inbox();
        let faults = Faults::default();
        let opening = Opening {
            binding,
            parts: &self.parts,
            settings,
            faults: faults.clone(),
        };
        let concerns = {
            let (policy, admission) = (policy.clone(), admission.clone());
            move |resource: &str| policy.concerns(&admission, resource)
        };
        let (most, longest) = (incoming.most(), incoming.longest(spec, settings));
        let request = match incoming.open(opening, reader, concerns).await {
            Ok(request) => request,
            Err(failure) => {
                let mut problem = refused(&*policy, binding, admission.clone(), failure).await;
                policy.annotate(spec, &admission, &mut problem.headers);
                return reply.failure(Failure::Problem(problem));
            }
        };
        let mut response = handshake.answer();
        policy.annotate(spec, &admission, response.headers_mut());
        let encoder = answering.encoder(handshake.form);
        let extensions = self.parts.extensions;
        let answers = async move {
            let call = async {
                let message = request.whole().await?;
                handler(Request::from_parts(metadata, extensions, message)).await
            };
            let call = pin!(call);
            let answer = policy.run(spec, admission.clone(), call).await?;
            Ok(messages(&policy, admission, answer.into_inner()))
        };
        let call = session::Call {
            binding,
            answers: Answers::of(answers, encoder),
            writer,
            faults,
            most,
            longest,
            heartbeat: settings.heartbeat,
            pong_timeout: websockets.pong_timeout,
        };
        let upgrade = handshake.upgrade;
        (websockets.spawn)(Box::pin(async move {
            // A connection that ended before it was one has nobody to tell.
            if let Ok(upgraded) = upgrade.await {
                session::run(upgraded, call).await;
            }
        }));
        response
    }
}

/// The error of a call that was let in and can't be made. The policy hears of it as of any other.
async fn refused<P: Policy>(
    policy: &P,
    binding: &'static Binding,
    admission: P::Admission,
    failure: Failure,
) -> Problem {
    let (status, found) = match failure {
        Failure::Status(status) => (status, None),
        Failure::Problem(found) => {
            let status = Status::new(found.code, found.message.clone());
            (status, Some(found))
        }
    };
    let call = std::future::ready(Err::<(), _>(status.clone()));
    let result = policy.run(binding.spec, admission, call).await;
    let status = result.err().unwrap_or(status);
    found.unwrap_or_else(|| render::problem(binding, &status))
}
