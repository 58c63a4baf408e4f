//! One REST call: admission, binding, validation, handler, answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::accept::Format;
use super::form::Form;
use super::link::Links;
use super::messages::Many;
use super::raw::{self, Begun, RawBody};
use super::request::{Input, One, Source};
use super::stream::{self, Framing};
#[cfg(feature = "websocket")]
use super::websocket;
use super::{Body, Problem, RequestContext, Transcoder, accept, etag, form, render};
use crate::idempotency;
use crate::json::Binder;
use crate::policy::{BoxStream, Policy};
use crate::rendered::{self, AcceptsJson};
use crate::spec::Binding;
use crate::validate::Validate;

/// A request whose binding was found.
pub struct Call {
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) binding: &'static Binding,
    pub(super) transcoder: Transcoder,
}

/// How the body of an answer is made; generated.
pub enum Encode<Res> {
    /// Writes the JSON.
    Json(ToJson<Res>),
    /// Takes the bytes out of an answer that is, or holds, `google.api.HttpBody`. They are never wrapped.
    Raw(fn(&mut Res) -> RawBody),
}

/// Writes the JSON of a message; generated.
pub type ToJson<Res> = fn(&Res, &mut Vec<u8>) -> Result<(), serde_json::Error>;

/// Writes a message in the binary form; generated.
pub type ToBinary<Res> = fn(&Res) -> Vec<u8>;

/// What is particular to a binding of a unary RPC; generated.
pub struct Unary<Req, Res> {
    /// How a request becomes a message.
    pub input: Input<Req>,
    /// How its body is made of an answer.
    pub encode: Encode<Res>,
    /// Writes it in the binary form, where it is a message, and not bytes as they are.
    pub binary: Option<ToBinary<Res>>,
    /// Whether the JSON of the answer's message is all that is needed of it, so that it may be ready made.
    pub whole: bool,
    /// The Location header of an answer.
    pub location: Option<fn(&Res) -> Option<String>>,
    /// The Link header of an answer.
    pub links: Option<Links<Res>>,
    /// The entity tag of an answer.
    pub etag: Option<fn(&Res) -> Option<&str>>,
}

/// What is particular to a binding of an RPC that answers with a stream; generated.
pub struct Streaming<Req, Res> {
    /// How a request becomes a message.
    pub input: Input<Req>,
    /// How the body is made of messages of the answer.
    pub encode: Encode<Res>,
    /// Writes a message of it in the binary form, where it is one, and not bytes as they are.
    pub binary: Option<ToBinary<Res>>,
    /// The id of a message, with which a reader asks for what comes after it.
    pub id: Option<fn(&Res) -> &str>,
}

/// The If-None-Match headers of a GET whose answer has a tag.
struct Known(HeaderMap);

impl Known {
    fn of<Req, Res>(
        unary: &Unary<Req, Res>,
        binding: &Binding,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let asked = unary.etag.is_some()
            && binding.method == "GET"
            && headers.contains_key(header::IF_NONE_MATCH);
        asked.then(|| {
            let mut known = HeaderMap::new();
            for value in headers.get_all(header::IF_NONE_MATCH) {
                known.append(header::IF_NONE_MATCH, value.clone());
            }
            Self(known)
        })
    }
}

/// Why a call has no answer.
pub(super) enum Failure {
    /// What HTTP has a status of its own for.
    Problem(Problem),
    /// What gRPC would say.
    Status(Status),
}

/// What an answer is made with, whatever it says.
pub(super) struct Reply {
    binding: &'static Binding,
    transcoder: Transcoder,
    context: Option<RequestContext>,
    /// The form of an error.
    form: Form,
}

impl Reply {
    pub(super) fn failure(&self, failure: Failure) -> Response<Body> {
        let (settings, context) = (self.transcoder.settings(), self.context.as_ref());
        let spec = self.binding.spec;
        let problem = match failure {
            Failure::Problem(problem) => problem,
            Failure::Status(status) => render::problem(self.binding, &status),
        };
        let mut response = render::problem_of(
            settings,
            context,
            spec.reasons,
            spec.envelope.is_some(),
            problem,
            self.form,
        );
        render::vary(response.headers_mut(), "accept");
        response
    }
}

impl Call {
    /// Makes a unary call.
    pub fn unary<P, Req, Res, F>(
        self,
        policy: &P,
        unary: &Unary<Req, Res>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> impl Future<Output = Response<Body>>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default,
        Res: Message + Default + 'static,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let spec = self.binding.spec;
        let handler = |request| idempotency::call(policy, spec, request, handler);
        self.answer(policy, unary, One(&unary.input), handler)
    }

    /// Makes a call whose request is a stream.
    pub async fn client_streaming<P, Req, Res, F>(
        self,
        policy: Arc<P>,
        unary: &'static Unary<Req, Res>,
        handler: impl FnOnce(Request<tonic::Streaming<Req>>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default + 'static,
        Res: Send + 'static,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send + 'static,
    {
        #[cfg(feature = "websocket")]
        if self.is_websocket() {
            let incoming = websocket::Many(&unary.input);
            return Box::pin(self.answer_over_websocket(policy, unary, incoming, handler)).await;
        }
        self.answer(&*policy, unary, Many::new(&unary.input), handler)
            .await
    }

    /// Makes a call whose answer is a stream.
    pub async fn server_streaming<P, Req, Res, S, F>(
        self,
        policy: Arc<P>,
        streaming: &'static Streaming<Req, Res>,
        handler: impl FnOnce(Request<Req>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default + 'static,
        Res: Send + 'static,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send + 'static,
    {
        #[cfg(feature = "websocket")]
        if self.is_websocket() {
            let incoming = websocket::Single(&streaming.input);
            return Box::pin(self.stream_over_websocket(policy, streaming, incoming, handler))
                .await;
        }
        self.stream(&*policy, streaming, One(&streaming.input), handler)
            .await
    }

    /// Makes a call whose request and whose answer are streams.
    pub async fn bidi_streaming<P, Req, Res, S, F>(
        self,
        policy: Arc<P>,
        streaming: &'static Streaming<Req, Res>,
        handler: impl FnOnce(Request<tonic::Streaming<Req>>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default + 'static,
        Res: Send + 'static,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send + 'static,
    {
        #[cfg(feature = "websocket")]
        if self.is_websocket() {
            let incoming = websocket::Many(&streaming.input);
            return Box::pin(self.stream_over_websocket(policy, streaming, incoming, handler))
                .await;
        }
        self.stream(&*policy, streaming, Many::new(&streaming.input), handler)
            .await
    }

    /// Calls a handler whose answer is one message.
    async fn answer<P, Req, Res, M, F>(
        self,
        policy: &P,
        unary: &Unary<Req, Res>,
        source: impl Source<M>,
        handler: impl FnOnce(Request<M>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Send + 'static,
        M: Send,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let (form, refused) = self.form(unary);
        let reply = self.reply(match (&refused, &unary.encode) {
            (None, Encode::Json(_)) => form,
            _ => accept::error(&self.parts.headers),
        });
        let links = unary.links.as_ref();
        let links = links.map(|links| (links, self.parts.uri.clone()));
        let known = Known::of(unary, self.binding, &self.parts.headers);
        let spec = reply.binding.spec;
        let handler = |mut request: Request<M>| {
            // What is kept is a message.
            if unary.whole && form == Form::Json && !spec.idempotency_key {
                request.extensions_mut().insert(AcceptsJson);
            }
            handler(request)
        };
        let (mut answer, admission) = match self.run(policy, &source, refused, handler).await {
            Ok(answered) => answered,
            Err(failure) => return reply.failure(failure),
        };
        let tag = unary.etag.and_then(|etag| etag(rendered::message(&answer)));
        let known = match (&known, tag) {
            (Some(Known(known)), Some(tag)) => etag::known(known, tag, form.tag_suffix()),
            _ => None,
        };
        let tag = tag.and_then(|tag| etag::header_value(tag, form.tag_suffix()));
        let made = if let Some(tag) = known {
            Some(render::not_modified(spec, &tag))
        } else {
            let (settings, context) = (reply.transcoder.settings(), reply.context.as_ref());
            render::answer(settings, context, spec, unary, &mut answer, form)
        };
        let Some(mut response) = made else {
            // The handler answered with what has no form in HTTP, such as a time out of range.
            let mut problem = Problem::unexpected();
            policy.annotate(spec, &admission, &mut problem.headers);
            return reply.failure(Failure::Problem(problem));
        };
        // Bytes are the same whatever a caller takes.
        if response.status() != StatusCode::NO_CONTENT && matches!(unary.encode, Encode::Json(_)) {
            render::vary(response.headers_mut(), "accept");
        }
        if let Some((links, uri)) = links
            && response.status().is_success()
        {
            links.insert(&uri, rendered::message(&answer), response.headers_mut());
        }
        if let Some(tag) = tag
            && response.status().is_success()
        {
            response.headers_mut().insert(header::ETAG, tag);
        }
        policy.annotate(spec, &admission, response.headers_mut());
        response
    }

    /// Calls a handler whose answer is a stream.
    async fn stream<P, Req, Res, M, S, F>(
        self,
        policy: &P,
        streaming: &Streaming<Req, Res>,
        source: impl Source<M>,
        handler: impl FnOnce(Request<M>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Send + 'static,
        M: Send,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send,
    {
        let reply = self.reply(accept::error(&self.parts.headers));
        let spec = reply.binding.spec;
        let format = Format::accepted(&self.parts.headers);
        let is_raw = matches!(streaming.encode, Encode::Raw(_));
        let refused = (!is_raw && format.is_none()).then(|| {
            Problem::not_acceptable("text/event-stream, application/x-ndjson or application/json")
        });
        let open = async move |request| {
            let (metadata, messages, extensions) = handler(request).await?.into_parts();
            let mut messages: BoxStream<Res> = Box::pin(messages);
            if is_raw {
                // A part of the call, since the answer begins with it.
                messages = Box::pin(Begun::with(messages).await?);
            }
            Ok(tonic::Response::from_parts(metadata, messages, extensions))
        };
        let (answer, admission) = match self.run(policy, &source, refused, open).await {
            Ok(answered) => answered,
            Err(failure) => return reply.failure(failure),
        };
        let (metadata, messages, _) = answer.into_parts();
        let messages = policy.stream(spec, admission.clone(), messages);
        let opened = match streaming.encode {
            Encode::Json(encode) => {
                let framing = Framing {
                    format: format.unwrap_or(Format::EventStream),
                    encode,
                    id: streaming.id,
                    binding: reply.binding,
                };
                let heartbeat = reply.transcoder.settings().heartbeat;
                stream::answer(framing, heartbeat, messages).await
            }
            Encode::Raw(take) => raw::stream(take, spec.cache_control, messages).await,
        };
        let mut response = match opened {
            Ok(mut response) => {
                if !is_raw {
                    render::vary(response.headers_mut(), "accept");
                }
                response
            }
            Err(status) => {
                let late = source.late(&status);
                reply.failure(late.map_or(Failure::Status(status), Failure::Problem))
            }
        };
        render::metadata(&metadata, response.headers_mut());
        policy.annotate(spec, &admission, response.headers_mut());
        response
    }

    pub(super) fn reply(&self, form: Form) -> Reply {
        Reply {
            binding: self.binding,
            transcoder: self.transcoder.clone(),
            context: self.parts.extensions.get().cloned(),
            form,
        }
    }

    /// The form of the answer, or the error of a caller that takes none of those it has. What has no body is refused to
    /// nobody, and neither are bytes, which have the one form.
    fn form<Req, Res>(&self, unary: &Unary<Req, Res>) -> (Form, Option<Problem>) {
        if let Encode::Raw(_) = unary.encode {
            return (Form::Json, None);
        }
        if self.binding.spec.success_status == 204 {
            return (accept::error(&self.parts.headers), None);
        }
        let has_binary = unary.binary.is_some();
        match accept::message(&self.parts.headers, has_binary) {
            Some(form) => (form, None),
            None => (
                Form::Json,
                Some(Problem::not_acceptable(form::offered(has_binary))),
            ),
        }
    }

    /// Lets the call in, makes what its handler is given and calls it, unless HTTP has something to refuse.
    async fn run<P, M, T, F>(
        mut self,
        policy: &P,
        source: &impl Source<M>,
        refused: Option<Problem>,
        handler: impl FnOnce(Request<M>) -> F + Send,
    ) -> Result<(T, P::Admission), Failure>
    where
        P: Policy,
        M: Send,
        T: Send,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let binding = self.binding;
        let spec = binding.spec;
        let settings = self.transcoder.settings();
        let metadata = forwarded(&self.parts.headers, settings.forwarded_headers);
        let admission = policy
            .admit(spec, &metadata, &mut self.parts.extensions)
            .await
            .map_err(Failure::Status)?;
        // A status is what a policy sees of a call; what HTTP says more precisely goes around it.
        let mut problem = None;
        let call = async {
            let concerns = |resource: &str| policy.concerns(&admission, resource);
            let (parts, body) = (&self.parts, self.body);
            let made = match refused {
                Some(refused) => Err(Failure::Problem(refused)),
                None => source.open(binding, parts, body, settings, concerns).await,
            };
            let made = made.map_err(|failure| match failure {
                Failure::Status(status) => status,
                Failure::Problem(found) => {
                    let status = Status::new(found.code, found.message.clone());
                    problem = Some(found);
                    status
                }
            })?;
            handler(Request::from_parts(metadata, self.parts.extensions, made)).await
        };
        let result = {
            // By reference: what is handed from layer to layer is copied into each of them.
            let call = pin!(call);
            policy.run(spec, admission.clone(), call).await
        };
        match result {
            Ok(answer) => Ok((answer, admission)),
            Err(status) => {
                let mut problem = problem
                    .or_else(|| source.late(&status))
                    .unwrap_or_else(|| render::problem(binding, &status));
                policy.annotate(spec, &admission, &mut problem.headers);
                Err(Failure::Problem(problem))
            }
        }
    }

    /// Answers that there is nothing. A generated service says it of a binding that is none of its own.
    pub fn not_found(self) -> Response<Body> {
        self.transcoder
            .answer(&self.parts.extensions, Problem::no_such_resource())
    }
}

/// The headers a handler may see, as metadata.
pub(super) fn forwarded(headers: &HeaderMap, allowed: &[&'static str]) -> MetadataMap {
    // Without room for what most requests do not have.
    let mut forwarded = HeaderMap::new();
    for (name, value) in headers {
        if allowed.contains(&name.as_str()) {
            forwarded.append(name, value.clone());
        }
    }
    MetadataMap::from_headers(forwarded)
}
