//! From an HTTP request to the message of a call.

use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use tonic::Code;

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

/// What a request has beside its body.
pub(super) struct Head<'a> {
    pub(super) binding: &'static Binding,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

impl<Req: Binder + Validate + Default> Input<Req> {
    /// Makes the request message of body, path and query, and checks it. What can't be read and what breaks a rule is
    /// reported together.
    pub(super) async fn read(
        &self,
        binding: &'static Binding,
        parts: &Parts,
        body: Body,
        max: usize,
        concerns: impl Fn(&str),
    ) -> Result<Req, Failure> {
        let (uri, headers) = (&parts.uri, &parts.headers);
        let (message, context) = match self.decode {
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
        let head = Head {
            binding,
            uri,
            headers,
        };
        self.complete(&head, message, context, concerns)
    }

    /// Makes the rest of a message that was made of a body, and checks it.
    fn complete(
        &self,
        head: &Head<'_>,
        mut message: Req,
        context: json::Context,
        concerns: impl Fn(&str),
    ) -> Result<Req, Failure> {
        let binding = head.binding;
        let (violations, named) = context.finish();
        let mut context = json::Context::continuing(violations);
        bind::path(&mut message, binding, head.uri.path(), &named, &mut context);
        bind::query(
            &mut message,
            binding,
            head.uri.query().unwrap_or_default(),
            &mut context,
        );
        if let (Some(mask), spec::Body::Field { proto_name, .. }) = (self.mask, binding.body) {
            let inside = |path: &String| {
                path.strip_prefix(proto_name)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            mask(&mut message, named.iter().filter_map(inside).collect());
        }
        if let Some(resume) = self.last_event_id {
            bind::last_event_id(&mut message, head.headers, resume, &mut context);
        }
        if let Some(put) = self.if_match {
            bind::if_match(&mut message, head.headers, put, &mut context);
        }
        if let Some(resource) = (self.resource)(&message) {
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
