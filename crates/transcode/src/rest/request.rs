//! From an HTTP request to the message of a call.

use std::future::Future;

use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use tonic::{Code, Status};

use super::call::Failure;
use super::form::{self, Files, Form};
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
    Json(FromJson<Req>),
    /// As JSON, or from a form that may hold files.
    Form(FromJson<Req>, Files<Req>),
    /// Puts a body as it is into a request that is, or holds, `google.api.HttpBody`.
    Raw(fn(RawBody) -> Req),
}

/// Reads JSON into a request; generated.
pub type FromJson<Req> = fn(&[u8], &mut json::Context) -> Result<Req, serde_json::Error>;

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
        let mut form = None;
        let content_type = match self.0.decode {
            Decode::Form(..) => form::content_type(headers),
            _ => None,
        };
        let (mut message, context) = match (self.0.decode, content_type) {
            (Decode::Nothing, _) => {
                body::refuse(body).await.map_err(Failure::Problem)?;
                (Req::default(), json::Context::new())
            }
            (Decode::Form(_, files), Some(content_type)) => {
                let read = body::read_plain(headers, body, max).await;
                let read = Form::read(content_type, &read.map_err(Failure::Problem)?);
                let read = read.map_err(|error| malformed("Malformed form", error))?;
                form = Some((read, files));
                (Req::default(), json::Context::new())
            }
            (Decode::Json(decode), _) => {
                let expected = "Content-Type must be application/json";
                read_json(decode, headers, body, max, expected).await?
            }
            (Decode::Form(decode, _), None) => {
                let expected = "Content-Type must be application/json or multipart/form-data";
                read_json(decode, headers, body, max, expected).await?
            }
            (Decode::Raw(put), _) => {
                let raw = body::read_raw(headers, body, max).await;
                let raw = raw.map_err(Failure::Problem)?;
                (raw.map(put).unwrap_or_default(), json::Context::new())
            }
        };
        let (uri, input) = (&parts.uri, self.0);
        let mut violations = input.bind(
            &mut message,
            binding,
            uri,
            headers,
            context,
            |message, context| {
                if let Some((form, files)) = form {
                    form.bind(message, &files, context);
                }
            },
        );
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

/// Reads a body that is JSON, while noting which fields it names. `expected` is what a caller is told who sends another
/// type.
async fn read_json<Req>(
    decode: FromJson<Req>,
    headers: &HeaderMap,
    body: Body,
    max: usize,
    expected: &'static str,
) -> Result<(Req, json::Context), Failure> {
    let json = body::read_json(headers, body, max, expected).await;
    let mut context = json::Context::with_mask();
    let message = decode(&json.map_err(Failure::Problem)?, &mut context)
        .map_err(|error| malformed("Malformed JSON", &error.to_string()))?;
    Ok((message, context))
}

fn malformed(message: &str, error: &str) -> Failure {
    let problem = Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message);
    Failure::Problem(problem.with_detail("body", error))
}

impl<Req: Binder> Input<Req> {
    /// Makes the rest of a message that was made of a body. What can't be read is reported together, with what was wrong
    /// before. `rest` binds what else there is, and may fill no field that the path or the query has filled.
    pub(super) fn bind(
        &self,
        message: &mut Req,
        binding: &'static Binding,
        uri: &Uri,
        headers: &HeaderMap,
        context: json::Context,
        rest: impl FnOnce(&mut Req, &mut json::Context),
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
        rest(message, &mut context);
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
