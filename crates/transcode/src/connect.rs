//! The Connect protocol: RPCs over plain HTTP, for the clients that connectrpc.com has for browsers, servers and phones.
//!
//! A unary call is a POST to the path that the RPC has in gRPC, with a message as its body, or a GET where the RPC has no
//! side effects; in any other kind of RPC messages are in envelopes. A call comes to the handler as one by REST or gRPC
//! does: [`policy::Policy::admit`](crate::policy::Policy::admit) before anything is read, validation, idempotency keys,
//! deadlines by `grpc-timeout`, which is made of `Connect-Timeout-Ms`. All headers are metadata, as in gRPC.
//!
//! JSON is ProtoJSON as it is, without envelope and without the names and numbers that a contract has for REST, which are
//! read all the same; fields that are not known are skipped, as all servers of this protocol do.

mod envelope;
mod error;
mod get;
mod message;
mod metadata;
mod opening;
mod protocol;
mod reply;
mod stream;

use std::future::{Future, ready};
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

use crate::idempotency;
use crate::policy::{Policy, Resource};
use crate::rest::{Body, Transcoder};
use crate::spec::MethodSpec;
use opening::Opening;
use protocol::Codec;
use reply::Reply;

pub use message::{Inbound, Json, Outbound, ReadJson};
pub(crate) use protocol::is_spoken;

/// The name of a code in this protocol, such as `not_found`.
pub const fn code_name(code: Code) -> &'static str {
    error::name(code)
}

/// How the protocol is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether requests must say their version, by the header `Connect-Protocol-Version` or by `connect=v1` in a query.
    /// The clients of the protocol do; a request that does not is easier to make by hand, and by a page of another
    /// origin without asking first.
    pub require_version: bool,
}

/// In the extensions of a request that came by GET: its URI, whose query has the message.
#[derive(Debug, Clone)]
pub struct GetRequest(pub Uri);

/// A request to an RPC.
pub struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    pub(crate) spec: &'static MethodSpec,
    pub(crate) transcoder: Transcoder,
}

impl Call {
    /// Makes a unary call.
    pub async fn unary<P, Req, Res, F>(
        self,
        policy: &Arc<P>,
        json: &Json<Req, Res>,
        resource: Resource<Req>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Inbound,
        Res: Outbound,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let (spec, reply) = (self.spec, Reply::to(&self));
        let open = |opening: Opening, admission| async move {
            opening
                .message(&**policy, &admission, json.read, resource)
                .await
        };
        let handler = |request| idempotency::call(&**policy, spec, request, handler);
        let answered = self.run(&**policy, reply.codec, open, handler).await;
        let (answer, admission) = match answered {
            Ok(answered) => answered,
            Err(status) => return reply.failure(&status),
        };
        let made = reply.unary(json.write, answer);
        // The handler may have answered with what has no form, such as a time out of range.
        let mut response = made.unwrap_or_else(|status| reply.failure(&status));
        policy.annotate(spec, &admission, response.headers_mut());
        response
    }

    /// Makes a call whose request is a stream.
    pub async fn client_streaming<P, Req, Res, F>(
        self,
        policy: &Arc<P>,
        json: &Json<Req, Res>,
        resource: Resource<Req>,
        handler: impl FnOnce(Request<tonic::Streaming<Req>>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Inbound,
        Res: Outbound,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let (spec, reply) = (self.spec, Reply::to(&self));
        let open = |opening: Opening, admission| {
            ready(Ok(opening.messages(policy, &admission, json.read, resource)))
        };
        let answered = self.run(&**policy, reply.codec, open, handler).await;
        let (answer, admission) = match answered {
            Ok(answered) => answered,
            Err(status) => return reply.failure(&status),
        };
        let made = reply.one(json.write, answer);
        // The handler may have answered with what has no form, such as a time out of range.
        let mut response = made.unwrap_or_else(|status| reply.failure(&status));
        policy.annotate(spec, &admission, response.headers_mut());
        response
    }

    /// Makes a call whose answer is a stream.
    pub async fn server_streaming<P, Req, Res, S, F>(
        self,
        policy: &Arc<P>,
        json: &Json<Req, Res>,
        resource: Resource<Req>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Inbound,
        Res: Outbound,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send,
    {
        let reply = Reply::to(&self);
        let open = |opening: Opening, admission| async move {
            opening
                .message(&**policy, &admission, json.read, resource)
                .await
        };
        let answered = self.run(&**policy, reply.codec, open, handler).await;
        reply.stream(json.write, &**policy, answered)
    }

    /// Makes a call whose request and whose answer are streams.
    pub async fn bidi_streaming<P, Req, Res, S, F>(
        self,
        policy: &Arc<P>,
        json: &Json<Req, Res>,
        resource: Resource<Req>,
        handler: impl FnOnce(Request<tonic::Streaming<Req>>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Inbound,
        Res: Outbound,
        S: Stream<Item = Result<Res, Status>> + Send + 'static,
        F: Future<Output = Result<tonic::Response<S>, Status>> + Send,
    {
        let reply = Reply::to(&self);
        let open = |opening: Opening, admission| {
            ready(Ok(opening.messages(policy, &admission, json.read, resource)))
        };
        let answered = self.run(&**policy, reply.codec, open, handler).await;
        reply.stream(json.write, &**policy, answered)
    }

    /// Lets the call in, makes what its handler is given and calls it.
    async fn run<P, M, T, O, F>(
        mut self,
        policy: &P,
        codec: Option<Codec>,
        open: impl FnOnce(Opening, P::Admission) -> O + Send,
        handler: impl FnOnce(Request<M>) -> F + Send,
    ) -> Result<(T, P::Admission), Status>
    where
        P: Policy,
        M: Send,
        T: Send,
        O: Future<Output = Result<M, Status>> + Send,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let spec = self.spec;
        // What is wrong with it is told to those who are let in.
        let deadline = protocol::deadline(&mut self.parts.headers);
        let opening = Opening::of(&mut self, codec, deadline);
        let metadata = MetadataMap::from_headers(mem::take(&mut self.parts.headers));
        let mut extensions = self.parts.extensions;
        if self.parts.method == Method::GET {
            extensions.insert(GetRequest(self.parts.uri));
        }
        let admission = policy.admit(spec, &metadata, &mut extensions).await?;
        let call = async {
            let made = open(opening?, admission.clone()).await?;
            handler(Request::from_parts(metadata, extensions, made)).await
        };
        let result = {
            // By reference: what is handed from layer to layer is copied into each of them.
            let call = pin!(call);
            policy.run(spec, admission.clone(), call).await
        };
        match result {
            Ok(answer) => Ok((answer, admission)),
            Err(mut status) => {
                let mut headers = mem::take(status.metadata_mut()).into_headers();
                policy.annotate(spec, &admission, &mut headers);
                *status.metadata_mut() = MetadataMap::from_headers(headers);
                Err(status)
            }
        }
    }

    /// Answers that there is no such RPC. A generated service says it of one that is none of its own.
    pub fn not_found(self) -> Response<Body> {
        no_such_rpc()
    }
}

/// The answer to a request for an RPC that there is not.
pub(crate) fn no_such_rpc() -> Response<Body> {
    let status = Status::new(Code::Unimplemented, "No such RPC");
    error::response(&status, Some(StatusCode::NOT_FOUND))
}

/// The answer to a request by a method that an RPC does not take; none for one that it takes.
pub(crate) fn wrong_method(method: &Method, spec: &MethodSpec) -> Option<Response<Body>> {
    if *method == Method::POST || *method == Method::GET && protocol::takes_get(spec) {
        return None;
    }
    let mut response = if *method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let status = Status::new(Code::Unknown, "Method not allowed");
        error::refusal(&status, StatusCode::METHOD_NOT_ALLOWED)
    };
    let allowed = HeaderValue::from_static(protocol::methods(spec));
    response.headers_mut().insert(header::ALLOW, allowed);
    Some(response)
}
