//! From an HTTP request to the message of a call.

use std::future::Future;

use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use tonic::{Code, Status};

use super::call::Failure;
use super::{Body, Problem, RawBody, bind, body};
use crate::Violations;
use crate::json::{self, Binder};
use crate::policy::Resource;
use crate::spec::{self, Binding};
use crate::status;
use crate::validate::Validate;

/// How a request becomes a message; generated.
pub struct Input<Req> {
    /// How it is made of a body.
    pub decode: Decode<Req>,
    /// Says which fields of the body's message were given, in proto paths, unless the request says it itself.
    pub mask: Option<fn(&mut Req, Vec<String>)>,
    /// Puts the Last-Event-ID header into the request.
    pub last_event_id: Option<fn(&mut Req, String)>,
    /// Names what a request is about.
    pub resource: Resource<Req>,
    /// Puts the tags of the If-Match header into the request.
    pub if_match: Option<fn(&mut Req, Vec<String>)>,
}

/// What a body is to a request; generated.
pub enum Decode<Req> {
    /// There is none.
    Nothing,
    /// Reads JSON into a request. Fails only on text that is not JSON.
    Json(fn(&[u8], &mut json::Context) -> Result<Req, serde_json::Error>),
    /// Puts a body as it is into a request that is, or holds, `google.api.HttpBody`.
    Raw(fn(RawBody) -> Req),
}

impl<Req> Clone for Input<Req> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req> Copy for Input<Req> {}

impl<Req> Clone for Decode<Req> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req> Copy for Decode<Req> {}

/// What makes of an HTTP request what a handler is given: a message, or a stream of them.
pub(super) trait Source<M>: Send + Sync {
    /// Makes it. `max` is the most that is kept of the body, in bytes; `concerns` hears what the request is about.
    fn open(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        max: usize,
        concerns: impl Fn(&str) + Send,
    ) -> impl Future<Output = Result<M, Failure>> + Send;

    /// What HTTP says more precisely of an error that a handler had from what was made.
    fn late(&self, _status: &Status) -> Option<Problem> {
        None
    }
}

/// A request that is one message.
pub(super) struct One<'a, Req>(pub(super) &'a Input<Req>);

impl<Req: Binder + Validate + Default + Send> Source<Req> for One<'_, Req> {
    async fn open(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        max: usize,
        concerns: impl Fn(&str) + Send,
    ) -> Result<Req, Failure> {
        let headers = &parts.headers;
        let (mut message, context) = match self.0.decode {
            Decode::Nothing => {
                body::refuse(body).await.map_err(Failure::Problem)?;
                (Req::default(), json::Context::new())
            }
            Decode::Json(decode) => {
                let json = body::read_json(headers, body, max).await;
                let mut context = json::Context::with_mask();
                let message =
                    decode(&json.map_err(Failure::Problem)?, &mut context).map_err(|error| {
                        let problem = Problem::new(
                            StatusCode::BAD_REQUEST,
                            Code::InvalidArgument,
                            "Malformed JSON",
                        );
                        Failure::Problem(problem.with_detail("body", error.to_string()))
                    })?;
                (message, context)
            }
            Decode::Raw(put) => {
                let raw = body::read_raw(headers, body, max).await;
                let raw = raw.map_err(Failure::Problem)?;
                (raw.map(put).unwrap_or_default(), json::Context::new())
            }
        };
        let mut violations = self
            .0
            .bind(&mut message, binding, &parts.uri, headers, context);
        if let Some(resource) = (self.0.resource)(&message) {
            concerns(resource);
        }
        // On its own: an update mask drops what is wrong with fields it leaves alone, but never what can't be read.
        let mut broken = Violations::new();
        message.validate(&mut broken);
        violations.extend(broken);
        status::check(binding.spec.reasons, violations).map_err(Failure::Status)?;
        Ok(message)
    }
}

impl<Req: Binder> Input<Req> {
    /// Makes the rest of a message that was made of a body. What can't be read is reported together, with what was wrong
    /// before.
    pub(super) fn bind(
        &self,
        message: &mut Req,
        binding: &'static Binding,
        uri: &Uri,
        headers: &HeaderMap,
        context: json::Context,
    ) -> Violations {
        let (violations, named) = context.finish();
        let mut context = json::Context::continuing(violations);
        bind::path(message, binding, uri.path(), &named, &mut context);
        bind::query(
            message,
            binding,
            uri.query().unwrap_or_default(),
            &mut context,
        );
        if let (Some(mask), spec::Body::Field { proto_name, .. }) = (self.mask, binding.body) {
            let inside = |path: &String| {
                path.strip_prefix(proto_name)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            mask(message, named.iter().filter_map(inside).collect());
        }
        if let Some(resume) = self.last_event_id {
            bind::last_event_id(message, headers, resume, &mut context);
        }
        if let Some(put) = self.if_match {
            bind::if_match(message, headers, put, &mut context);
        }
        context.finish().0
    }
}
