//! REST: from an HTTP request to the handler of an RPC, in process, and back.

mod accept;
mod bind;
mod body;
mod call;
#[cfg(feature = "compression")]
mod compression;
mod envelope;
mod etag;
mod form;
mod link;
mod messages;
mod multipart;
mod pieces;
mod raw;
mod render;
mod request;
mod rpc;
mod stream;
#[cfg(feature = "websocket")]
mod websocket;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};

#[cfg(feature = "compression")]
pub use crate::coding::Compression;
pub use call::{Call, Encode, Streaming, ToBinary, ToJson, Unary};
pub use link::{Links, Pages, Tokens};
pub use multipart::Files;
pub use raw::RawBody;
pub use render::Problem;
pub use request::{Decode, FromBinary, FromJson, Input};
#[cfg(feature = "websocket")]
pub use websocket::WebSockets;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use form::Form;

pub(crate) use render::{RESERVED, insert_static};

#[cfg(feature = "compression")]
use crate::coding::Coding;
use crate::connect;
use crate::router::{Match, Router};
use crate::spec::{Binding, MethodSpec, ReasonTable};

/// The body of requests and answers.
pub type Body = tonic::body::Body;

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an answer says about its request. A layer in front puts it into the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// `meta.requestId` of the envelope.
    pub request_id: String,
    /// `meta.traceId` of an error: the id of a W3C trace context.
    pub trace_id: Option<u128>,
}

/// A service as the transcoder calls it; generated.
pub trait Service: Send + Sync + 'static {
    /// The HTTP mappings of its RPCs.
    fn bindings(&self) -> &'static [Binding];

    /// Answers a request that the binding of this number matched.
    fn call(&self, binding: usize, call: Call) -> BoxFuture<'_, Response<Body>>;

    /// Its RPCs.
    fn methods(&self) -> &'static [&'static MethodSpec];

    /// Answers a request by Connect to the RPC of this number.
    fn connect(&self, method: usize, call: connect::Call) -> BoxFuture<'_, Response<Body>>;
}

/// What holds for all calls.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest body that is read, in bytes; or longest line of a body that is a stream. RPCs may have a limit of their
    /// own, see [`MethodSpec::max_request_bytes`](crate::MethodSpec::max_request_bytes).
    pub max_body_bytes: usize,
    /// Tells the time, for `meta.timestamp`.
    pub clock: fn() -> std::time::SystemTime,
    /// Request headers that handlers see as metadata, in lower case.
    pub forwarded_headers: &'static [&'static str],
    /// Names of the errors of requests that reach no RPC.
    pub reasons: &'static ReasonTable,
    /// Whether errors of requests that reach no RPC are wrapped.
    pub envelope: bool,
    /// After how long without a message a stream shows that it still lives. Proxies cut off what says nothing for a
    /// minute, and only who writes learns of a caller that is gone without a word.
    pub heartbeat: Duration,
    /// Whether and how RPCs are served by the [Connect protocol](crate::connect) too, at the paths that they have in
    /// gRPC: what comes there and is not gRPC is Connect then, before any binding.
    pub connect: Option<connect::Options>,
    /// Whether and how bodies are compressed, requests and answers alike.
    #[cfg(feature = "compression")]
    pub compression: Option<Compression>,
    /// Whether and how streams are taken over WebSocket. Where they are not, an offer to change to it is not taken up.
    #[cfg(feature = "websocket")]
    pub websockets: Option<WebSockets>,
}

impl Default for Settings {
    #[expect(
        clippy::disallowed_methods,
        reason = "the default of the setting that replaces the clock"
    )]
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            clock: std::time::SystemTime::now,
            forwarded_headers: &[
                "authorization",
                "grpc-timeout",
                "idempotency-key",
                "traceparent",
                "tracestate",
                "user-agent",
                "x-forwarded-for",
                "x-request-id",
            ],
            reasons: &ReasonTable::CANONICAL,
            envelope: false,
            heartbeat: Duration::from_secs(15),
            connect: None,
            #[cfg(feature = "compression")]
            compression: None,
            #[cfg(feature = "websocket")]
            websockets: Some(WebSockets::default()),
        }
    }
}

impl Settings {
    /// Smallest answer that is compressed, in bytes; none where nothing is.
    #[cfg_attr(
        not(feature = "compression"),
        expect(clippy::unused_self, reason = "there is no such setting")
    )]
    pub(crate) fn min_compressed(&self) -> Option<usize> {
        #[cfg(feature = "compression")]
        let min = self.compression.as_ref().map(|packed| packed.min_bytes);
        #[cfg(not(feature = "compression"))]
        let min = None;
        min
    }
}

/// Answers REST requests by calling the handlers of RPCs: a `tower::Service` for any HTTP server.
#[derive(Clone)]
pub struct Transcoder(Arc<Inner>);

struct Inner {
    router: Router,
    /// The paths of the RPCs that are served by Connect, sorted, and their numbers.
    rpcs: Vec<(&'static MethodSpec, usize)>,
    services: Vec<Box<dyn Service>>,
    settings: Settings,
}

/// What a path segment need not escape: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as one segment of a path.
pub fn escape_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The number of a binding over all services: the service's, and its own in the service.
fn target(service: usize, binding: usize) -> usize {
    service << 16 | binding
}

impl Transcoder {
    /// A transcoder for some services.
    pub fn new(settings: Settings, services: impl IntoIterator<Item = Box<dyn Service>>) -> Self {
        let services: Vec<_> = services.into_iter().collect();
        let mut router = Router::new();
        for (number, service) in services.iter().enumerate() {
            for (index, binding) in service.bindings().iter().enumerate() {
                router.add(binding, target(number, index));
            }
        }
        let mut rpcs = Vec::new();
        if settings.connect.is_some() {
            for (number, service) in services.iter().enumerate() {
                let methods = service.methods().iter().enumerate();
                rpcs.extend(methods.map(|(index, spec)| (*spec, target(number, index))));
            }
            rpcs.sort_unstable_by_key(|(spec, _)| spec.path);
        }
        Self(Arc::new(Inner {
            router,
            rpcs,
            services,
            settings,
        }))
    }

    /// The HTTP mappings of all services.
    pub fn bindings(&self) -> impl Iterator<Item = &'static Binding> {
        self.0
            .services
            .iter()
            .flat_map(|service| service.bindings())
    }

    /// What a request comes to, before anything is done about it. One that asks for a WebSocket comes to the RPC of its
    /// path that streams, whatever method that has; where there is none, it is a GET like any other.
    pub fn find<B>(&self, request: &Request<B>) -> Match {
        let path = request.uri().path();
        #[cfg(feature = "websocket")]
        if self.settings().websockets.is_some()
            && websocket::handshake::is_asked(
                request.method(),
                request.version(),
                request.headers(),
                request.extensions(),
            )
            && let Some(found) = self.0.router.find_stream(path)
        {
            return found;
        }
        // Faster than to hash the path: those of bindings differ from the first letters on.
        let rpcs = &self.0.rpcs;
        if let Ok(found) = rpcs.binary_search_by(|(spec, _)| spec.path.cmp(path)) {
            let (spec, target) = rpcs[found];
            return Match::Rpc(spec, target);
        }
        self.0.router.find(request.method().as_str(), path)
    }

    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let found = self.find(&request);
        self.handle_found(found, request).await
    }

    /// Answers a request of which it is known what it [comes to](Self::find).
    pub async fn handle_found<B>(&self, found: Match, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        #[cfg(feature = "compression")]
        let compression = self.settings().compression.as_ref().map(|compression| {
            let accepted = Coding::accepted(&parts.headers, &header::ACCEPT_ENCODING);
            (compression, accepted)
        });
        let response = match found {
            Match::Found(binding, target) => {
                let call = Call {
                    parts,
                    body: Body::new(body),
                    binding,
                    transcoder: self.clone(),
                };
                let service = &self.0.services[target >> 16];
                service.call(target & 0xffff, call).await
            }
            Match::Rpc(spec, target) => {
                if let Some(response) = connect::wrong_method(&parts.method, spec) {
                    response
                } else {
                    let call = connect::Call {
                        parts,
                        body: Body::new(body),
                        spec,
                        transcoder: self.clone(),
                    };
                    let service = &self.0.services[target >> 16];
                    service.connect(target & 0xffff, call).await
                }
            }
            Match::MethodNotAllowed(methods) if parts.method == Method::OPTIONS => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                render::insert(response.headers_mut(), header::ALLOW, &methods.join(", "));
                response
            }
            Match::MethodNotAllowed(methods) => {
                self.refuse(&parts, Problem::method_not_allowed(&methods))
            }
            Match::NotFound if self.is_connect(&parts) => connect::no_such_rpc(),
            Match::NotFound => self.refuse(&parts, Problem::no_such_resource()),
        };
        #[cfg(feature = "compression")]
        let response = match compression {
            Some((compression, accepted)) => {
                compression::answer(compression, accepted, head, response).await
            }
            None => response,
        };
        if head {
            without_body(response)
        } else {
            response
        }
    }

    /// Renders an error that a server found before a request reached an RPC, in the shape that all errors have.
    pub fn answer(&self, extensions: &http::Extensions, problem: Problem) -> Response<Body> {
        self.answer_in(Form::Json, extensions, problem)
    }

    /// Whether a request that leads nowhere is one by Connect: it says so, or is to a service that is there.
    fn is_connect(&self, parts: &Parts) -> bool {
        let inner = &self.0;
        let is_service = || {
            let path = parts.uri.path().strip_prefix('/')?;
            let (service, _) = path.split_once('/')?;
            Some(inner.rpcs.iter().any(|(spec, _)| spec.service == service))
        };
        inner.settings.connect.is_some()
            && (connect::is_spoken(parts) || is_service().unwrap_or_default())
    }

    /// Renders the error of a request that reaches no RPC, in the form that its caller takes.
    fn refuse(&self, parts: &Parts, problem: Problem) -> Response<Body> {
        let form = accept::error(&parts.headers);
        let mut response = self.answer_in(form, &parts.extensions, problem);
        render::vary(response.headers_mut(), "accept");
        response
    }

    fn answer_in(
        &self,
        form: Form,
        extensions: &http::Extensions,
        problem: Problem,
    ) -> Response<Body> {
        let settings = self.settings();
        render::problem_of(
            settings,
            extensions.get(),
            settings.reasons,
            settings.envelope,
            problem,
            form,
        )
    }

    /// What holds for all calls.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// The answer to HEAD: what GET would have said, but for the body.
fn without_body(response: Response<Body>) -> Response<Body> {
    use http_body::Body as _;
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

impl<B> tonic::codegen::Service<Request<B>> for Transcoder
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let transcoder = self.clone();
        Box::pin(async move { Ok(transcoder.handle(request).await) })
    }
}
