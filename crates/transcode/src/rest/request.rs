//! From an HTTP request to the message of a call.

use std::borrow::Cow;

use std::fmt;
use std::future::Future;

use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use prost::Message;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::call::Failure;
use super::form::{self, BINARY, Form, JSON, MULTIPART};
use super::multipart::{self, Files, Multipart};
use super::{Body, Problem, RawBody, Settings, bind, body};
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
    /// Reads a binary body into a request, where the body is a message.
    pub decode_binary: Option<FromBinary<Req>>,
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

/// Reads a request from its bytes; generated.
pub type FromBinary<Req> = fn(&[u8]) -> Result<Req, prost::DecodeError>;

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

/// The fields that a body names.
pub(super) enum Named {
    /// Those that were noted while JSON was read, with what was wrong in it.
    Json(json::Context),
    /// A binary body does not say which it names.
    Unknown,
}

impl Named {
    /// What names none.
    pub(super) fn nothing() -> Self {
        Self::Json(json::Context::new())
    }
}

/// What makes of an HTTP request what a handler is given: a message, or a stream of them.
pub(super) trait Source<M>: Send + Sync {
    /// Makes it. `concerns` hears what the request is about.
    fn open(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        settings: &Settings,
        concerns: impl Fn(&str) + Send,
    ) -> impl Future<Output = Result<M, Failure>> + Send;

    /// What HTTP says more precisely of an error that a handler had from what was made.
    fn late(&self, _status: &Status) -> Option<Problem> {
        None
    }
}

/// A request that is one message.
pub(super) struct One<'a, Req>(pub(super) &'a Input<Req>);

impl<Req: Binder + Validate + Message + Default> Source<Req> for One<'_, Req> {
    async fn open(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        settings: &Settings,
        concerns: impl Fn(&str) + Send,
    ) -> Result<Req, Failure> {
        let (headers, decode) = (&parts.headers, self.0.decode);
        let max = body::limit(binding.spec, settings);
        let mut form = None;
        let (mut message, named) = if let Decode::Nothing = decode {
            body::refuse(body).await.map_err(Failure::Problem)?;
            (Req::default(), Named::nothing())
        } else if let Decode::Raw(put) = decode {
            let raw = body::read_raw(headers, body, max, settings).await;
            let raw = raw.map_err(Failure::Problem)?;
            (raw.map(put).unwrap_or_default(), Named::nothing())
        } else if let Decode::Form(_, files) = decode
            && let Some(content_type) = multipart::content_type(headers)
        {
            let read = body::read_message(headers, body, max, settings).await;
            let read = Multipart::read(content_type, &read.map_err(Failure::Problem)?);
            form = Some((
                read.map_err(|error| malformed("Malformed form", error))?,
                files,
            ));
            (Req::default(), Named::nothing())
        } else {
            self.read_message(parts, body, max, settings).await?
        };
        let (uri, input) = (&parts.uri, self.0);
        let mut violations = input.bind(
            &mut message,
            binding,
            uri,
            headers,
            named,
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

impl<Req: Binder + Message + Default> One<'_, Req> {
    /// Reads a body that is a message, in one of the forms that it may have.
    async fn read_message(
        &self,
        parts: &Parts,
        body: Body,
        max: usize,
        settings: &Settings,
    ) -> Result<(Req, Named), Failure> {
        let Input {
            decode,
            decode_binary,
            ..
        } = *self.0;
        let headers = &parts.headers;
        let read = async || {
            let read = body::read_message(headers, body, max, settings).await;
            read.map_err(Failure::Problem)
        };
        match (Form::of_body(headers), decode, decode_binary) {
            (Some(Form::Json), Decode::Json(decode) | Decode::Form(decode, _), _) => {
                let mut context = json::Context::with_mask();
                let message = decode(&read().await?, &mut context)
                    .map_err(|error| malformed("Malformed JSON", &error.to_string()))?;
                Ok((message, Named::Json(context)))
            }
            (Some(Form::Binary(_)), _, Some(decode)) => {
                let message = decode(&read().await?)
                    .map_err(|error| malformed("Malformed protobuf message", &error.to_string()))?;
                Ok((message, Named::Unknown))
            }
            _ => {
                let mut types = vec![JSON];
                types.extend(decode_binary.map(|_| BINARY[0]));
                if let Decode::Form(..) = decode {
                    types.push(MULTIPART);
                }
                Err(Failure::Problem(form::unsupported(parts, &types)))
            }
        }
    }
}

/// The error of a body that can't be read.
fn malformed(message: &str, error: &str) -> Failure {
    let problem = Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message);
    Failure::Problem(problem.with_detail("body", error))
}

impl<Req: Binder + Validate + Message + Default> Input<Req> {
    /// Checks what the path and the query say for every message, before there is any.
    pub(super) fn check_head(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        concerns: &impl Fn(&str),
    ) -> Result<(), Status> {
        let (mut head, named) = (Req::default(), Named::nothing());
        let (uri, headers) = (&parts.uri, &parts.headers);
        let violations = self.bind(&mut head, binding, uri, headers, named, |_, _| {});
        status::check(binding.spec.reasons, violations)?;
        if let Some(resource) = (self.resource)(&head) {
            concerns(resource);
        }
        Ok(())
    }

    /// Makes the rest of one of several messages, and checks it. `place` is what an error calls it.
    pub(super) fn complete(
        &self,
        mut message: Req,
        binding: &'static Binding,
        uri: &Uri,
        named: Named,
        place: Option<&fmt::Arguments<'_>>,
    ) -> Result<Req, Status> {
        let headers = HeaderMap::new();
        let mut violations = self.bind(&mut message, binding, uri, &headers, named, |_, _| {});
        let mut broken = Violations::new();
        message.validate(&mut broken);
        violations.extend(broken);
        let reasons = binding.spec.reasons;
        match place {
            Some(place) => status::check_at(reasons, violations, place)?,
            None => status::check(reasons, violations)?,
        }
        Ok(message)
    }
}

impl<Req: Binder + Message> Input<Req> {
    /// Makes the rest of a message that was made of a body. What can't be read is reported together, with what was wrong
    /// before. `rest` binds what else there is, and may fill no field that the path or the query has filled.
    pub(super) fn bind(
        &self,
        message: &mut Req,
        binding: &'static Binding,
        uri: &Uri,
        headers: &HeaderMap,
        named: Named,
        rest: impl FnOnce(&mut Req, &mut json::Context),
    ) -> Violations {
        let (mut context, named) = match named {
            Named::Json(context) => {
                let (violations, named) = context.finish();
                let mut context = json::Context::continuing(violations);
                bind::path(message, binding, uri.path(), &named, &mut context);
                (context, Some(named))
            }
            Named::Unknown => {
                let mut context = json::Context::new();
                bind::path_over(message, binding, uri.path(), self.given, &mut context);
                (context, None)
            }
        };
        bind::query(
            message,
            binding,
            uri.query().unwrap_or_default(),
            &mut context,
        );
        rest(message, &mut context);
        if let (Some(mask), spec::Body::Field { proto_name, .. }) = (self.mask, binding.body) {
            let inside = |path: &Cow<'static, str>| {
                path.strip_prefix(proto_name)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            match (mask(message), named) {
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
        if let Some(resume) = self.last_event_id {
            bind::last_event_id(message, headers, resume, &mut context);
        }
        if let Some(put) = self.if_match {
            bind::if_match(message, headers, put, &mut context);
        }
        context.finish().0
    }
}
