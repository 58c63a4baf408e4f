//! One REST call: admission, binding, validation, handler, answer.

use std::future::Future;
use std::pin::pin;

use futures_core::Stream;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use prost::Message;
use prost_types::FieldMask;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

use super::accept::Format;
use super::form::Form;
use super::link::Links;
use super::stream::{self, Framing};
use super::{Body, Problem, RequestContext, Transcoder, accept, bind, body, etag, form, render};
use crate::Violations;
use crate::idempotency;
use crate::json::{self, Binder};
use crate::policy::{Policy, Resource};
use crate::rendered::{self, AcceptsJson};
use crate::spec::{self, Binding};
use crate::status;
use crate::validate::Validate;

/// A request whose binding was found.
pub struct Call {
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) binding: &'static Binding,
    pub(super) transcoder: Transcoder,
}

/// Reads a message from its bytes.
pub type Decode<M> = fn(&[u8]) -> Result<M, prost::DecodeError>;

/// How a request becomes a message; generated.
pub struct Input<Req> {
    /// Reads the body into a request. Fails only on text that is not JSON.
    pub decode: fn(&[u8], &mut json::Context) -> Result<Req, serde_json::Error>,
    /// Reads a binary body into a request, where the body is a message.
    pub decode_binary: Option<Decode<Req>>,
    /// Whether the field of a variable of the path, by its number, has a value. Asked of requests that came in binary.
    pub given: fn(&Req, usize) -> bool,
    /// Where a request says which fields of the body's message are meant: where it does not, those that a body in JSON
    /// names, in proto paths.
    pub mask: Option<fn(&mut Req) -> &mut Option<FieldMask>>,
    /// Puts the Last-Event-ID header into the request.
    pub last_event_id: Option<fn(&mut Req, String)>,
    /// Names what a request is about.
    pub resource: Resource<Req>,
    /// Puts the tags of the If-Match header into the request.
    pub if_match: Option<fn(&mut Req, Vec<String>)>,
}

/// What is particular to a binding of a unary RPC; generated.
pub struct Unary<Req, Res> {
    /// How a request becomes a message.
    pub input: Input<Req>,
    /// Writes the JSON of an answer.
    pub encode: fn(&Res, &mut Vec<u8>) -> Result<(), serde_json::Error>,
    /// The bytes of an answer in the binary form, where its body is a message.
    pub binary: Option<fn(&Res) -> Vec<u8>>,
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
    /// Writes the JSON of a message of the answer.
    pub encode: fn(&Res, &mut Vec<u8>) -> Result<(), serde_json::Error>,
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
enum Failure {
    /// What HTTP has a status of its own for.
    Problem(Problem),
    /// What gRPC would say.
    Status(Status),
}

/// What an answer is made with, whatever it says.
struct Reply {
    binding: &'static Binding,
    transcoder: Transcoder,
    context: Option<RequestContext>,
    /// The form of an error.
    form: Form,
}

impl Reply {
    fn failure(&self, failure: Failure) -> Response<Body> {
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
    pub async fn unary<P, Req, Res, F>(
        self,
        policy: &P,
        unary: &Unary<Req, Res>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default,
        Res: Message + Default + 'static,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let (form, refused) = self.form(unary);
        let reply = self.reply(match refused {
            Some(_) => accept::error(&self.parts.headers),
            None => form,
        });
        let links = unary.links.as_ref();
        let links = links.map(|links| (links, self.parts.uri.clone()));
        let known = Known::of(unary, self.binding, &self.parts.headers);
        let spec = reply.binding.spec;
        let handler = |mut request: Request<Req>| {
            // What is kept is a message.
            if unary.whole && form == Form::Json && !spec.idempotency_key {
                request.extensions_mut().insert(AcceptsJson);
            }
            idempotency::call(policy, spec, request, handler)
        };
        match self.run(policy, &unary.input, refused, handler).await {
            Ok((answer, admission)) => {
                let tag = unary.etag.and_then(|etag| etag(rendered::message(&answer)));
                let known = match (&known, tag) {
                    (Some(Known(known)), Some(tag)) => etag::known(known, tag, form.tag_suffix()),
                    _ => None,
                };
                let mut response = match known {
                    Some(tag) => render::not_modified(reply.binding.spec, &tag),
                    None => render::answer(
                        reply.transcoder.settings(),
                        reply.context.as_ref(),
                        reply.binding.spec,
                        unary,
                        &answer,
                        form,
                    ),
                };
                if response.status() != StatusCode::NO_CONTENT {
                    render::vary(response.headers_mut(), "accept");
                }
                if let Some((links, uri)) = links
                    && response.status().is_success()
                {
                    links.insert(&uri, rendered::message(&answer), response.headers_mut());
                }
                if let Some(tag) = tag.and_then(|tag| etag::header_value(tag, form.tag_suffix()))
                    && response.status().is_success()
                {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                policy.annotate(reply.binding.spec, &admission, response.headers_mut());
                response
            }
            Err(failure) => reply.failure(failure),
        }
    }

    /// Makes a call whose answer is a stream.
    pub async fn server_streaming<P, Req, Res, S, F>(
        self,
        policy: &P,
        streaming: &Streaming<Req, Res>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default,
        Res: Send + 'static,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send,
    {
        let reply = self.reply(accept::error(&self.parts.headers));
        let format = Format::accepted(&self.parts.headers);
        let refused = format.is_none().then(|| {
            Problem::not_acceptable("text/event-stream, application/x-ndjson or application/json")
        });
        let spec = reply.binding.spec;
        let framing = Framing {
            format: format.unwrap_or(Format::EventStream),
            encode: streaming.encode,
            id: streaming.id,
            reasons: spec.reasons,
        };
        let heartbeat = reply.transcoder.settings().heartbeat;
        let opened = match self.run(policy, &streaming.input, refused, handler).await {
            Ok((answer, admission)) => {
                let (metadata, messages, _) = answer.into_parts();
                let messages = policy.stream(spec, admission.clone(), Box::pin(messages));
                let opened = stream::answer(framing, heartbeat, messages).await;
                let mut response = match opened {
                    Ok(mut response) => {
                        render::vary(response.headers_mut(), "accept");
                        response
                    }
                    Err(status) => reply.failure(Failure::Status(status)),
                };
                render::metadata(&metadata, response.headers_mut());
                policy.annotate(spec, &admission, response.headers_mut());
                Ok(response)
            }
            Err(failure) => Err(failure),
        };
        opened.unwrap_or_else(|failure| reply.failure(failure))
    }

    fn reply(&self, form: Form) -> Reply {
        Reply {
            binding: self.binding,
            transcoder: self.transcoder.clone(),
            context: self.parts.extensions.get().cloned(),
            form,
        }
    }

    /// The form of the answer, or the error of a caller that takes none of those it has. What has no body is refused to
    /// nobody.
    fn form<Req, Res>(&self, unary: &Unary<Req, Res>) -> (Form, Option<Problem>) {
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

    /// Lets the call in, makes its message and calls the handler, unless HTTP has something to refuse.
    async fn run<P, Req, T, F>(
        mut self,
        policy: &P,
        input: &Input<Req>,
        refused: Option<Problem>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Result<(T, P::Admission), Failure>
    where
        P: Policy,
        Req: Binder + Validate + Message + Default,
        T: Send,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let binding = self.binding;
        let spec = binding.spec;
        let metadata = forwarded(
            &self.parts.headers,
            self.transcoder.settings().forwarded_headers,
        );
        let admission = policy
            .admit(spec, &metadata, &mut self.parts.extensions)
            .await
            .map_err(Failure::Status)?;
        // A status is what a policy sees of a call; what HTTP says more precisely goes around it.
        let mut problem = None;
        let call = async {
            let concerns = |resource: &str| policy.concerns(&admission, resource);
            let bound = match refused {
                Some(refused) => Err(Failure::Problem(refused)),
                None => self.bind(input, concerns).await,
            };
            let message = bound.map_err(|failure| match failure {
                Failure::Status(status) => status,
                Failure::Problem(found) => {
                    let status = Status::new(found.code, found.message.clone());
                    problem = Some(found);
                    status
                }
            })?;
            handler(Request::from_parts(
                metadata,
                self.parts.extensions,
                message,
            ))
            .await
        };
        let result = {
            // By reference: what is handed from layer to layer is copied into each of them.
            let call = pin!(call);
            policy.run(spec, admission.clone(), call).await
        };
        match result {
            Ok(answer) => Ok((answer, admission)),
            Err(status) => {
                let mut problem = problem.unwrap_or_else(|| render::problem(binding, &status));
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

    /// Makes the request message of body, path and query, and checks it. What can't be read and what breaks a rule is
    /// reported together.
    async fn bind<Req: Binder + Validate + Message + Default>(
        &mut self,
        input: &Input<Req>,
        concerns: impl Fn(&str),
    ) -> Result<Req, Failure> {
        let Self {
            parts,
            body,
            binding,
            transcoder,
        } = self;
        let body = std::mem::replace(body, Body::empty());
        let settings = transcoder.settings();
        let path = parts.uri.path();
        // What a body names is known of JSON only.
        let (mut message, mut context, named) = if binding.body == spec::Body::None {
            body::refuse(body).await.map_err(Failure::Problem)?;
            let (mut message, mut context) = (Req::default(), json::Context::new());
            bind::path(&mut message, binding, path, &[], &mut context);
            (message, context, Some(Vec::new()))
        } else {
            match (Form::of_body(&parts.headers), input.decode_binary) {
                (Some(Form::Json), _) => {
                    let bytes = body::read_message(&parts.headers, body, settings);
                    let bytes = bytes.await.map_err(Failure::Problem)?;
                    let mut context = json::Context::with_mask();
                    let mut message = (input.decode)(&bytes, &mut context)
                        .map_err(|error| malformed("Malformed JSON", &error))?;
                    let (violations, named) = context.finish();
                    let mut context = json::Context::continuing(violations);
                    bind::path(&mut message, binding, path, &named, &mut context);
                    (message, context, Some(named))
                }
                (Some(Form::Binary(_)), Some(decode)) => {
                    let bytes = body::read_message(&parts.headers, body, settings);
                    let bytes = bytes.await.map_err(Failure::Problem)?;
                    let mut message = decode(&bytes)
                        .map_err(|error| malformed("Malformed protobuf message", &error))?;
                    let mut context = json::Context::new();
                    bind::path_over(&mut message, binding, path, input.given, &mut context);
                    (message, context, None)
                }
                (_, decode) => {
                    let problem = form::unsupported(parts, decode.is_some());
                    return Err(Failure::Problem(problem));
                }
            }
        };
        bind::query(
            &mut message,
            binding,
            parts.uri.query().unwrap_or_default(),
            &mut context,
        );
        if let (Some(mask), spec::Body::Field { proto_name, .. }) = (input.mask, binding.body) {
            let inside = |path: &String| {
                path.strip_prefix(proto_name)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            match (mask(&mut message), named) {
                (Some(_), _) => {}
                (mask, Some(named)) => {
                    let paths = named.iter().filter_map(inside).collect();
                    *mask = Some(FieldMask { paths });
                }
                (None, None) => context.violations.add_at(
                    "updateMask",
                    "Is required: a binary body does not say which fields it names",
                ),
            }
        }
        if let Some(resume) = input.last_event_id {
            bind::last_event_id(&mut message, &parts.headers, resume, &mut context);
        }
        if let Some(put) = input.if_match {
            bind::if_match(&mut message, &parts.headers, put, &mut context);
        }
        if let Some(resource) = (input.resource)(&message) {
            concerns(resource);
        }
        let (mut violations, _) = context.finish();
        // On its own: an update mask drops what is wrong with fields it leaves alone, but never what can't be read.
        let mut broken = Violations::new();
        message.validate(&mut broken);
        violations.extend(broken);
        status::check(binding.spec.reasons, violations).map_err(Failure::Status)?;
        Ok(message)
    }
}

/// The error of a body that can't be read.
fn malformed(message: &str, error: &dyn std::error::Error) -> Failure {
    let problem = Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message);
    Failure::Problem(problem.with_detail("body", error.to_string()))
}

/// The headers a handler may see, as metadata.
fn forwarded(headers: &HeaderMap, allowed: &[&'static str]) -> MetadataMap {
    // Without room for what most requests do not have.
    let mut forwarded = HeaderMap::new();
    for (name, value) in headers {
        if allowed.contains(&name.as_str()) {
            forwarded.append(name, value.clone());
        }
    }
    MetadataMap::from_headers(forwarded)
}
