//! One REST call: admission, binding, validation, handler, answer.

use std::future::Future;

use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

use super::{Body, Problem, Transcoder, bind, body, render};
use crate::Violations;
use crate::json::{self, Binder};
use crate::policy::Policy;
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

/// What is particular to a binding of a unary RPC; generated.
pub struct Unary<Req, Res> {
    /// Reads the body into a request. Fails only on text that is not JSON.
    pub decode: fn(&[u8], &mut json::Context) -> Result<Req, serde_json::Error>,
    /// Says which fields of the body's message were given, in proto paths, unless the request says it itself.
    pub mask: Option<fn(&mut Req, Vec<String>)>,
    /// Writes the JSON of an answer.
    pub encode: fn(&Res, &mut Vec<u8>) -> Result<(), serde_json::Error>,
    /// The Location header of an answer.
    pub location: Option<fn(&Res) -> Option<String>>,
}

/// Why a call has no answer.
enum Failure {
    /// What HTTP has a status of its own for.
    Problem(Problem),
    /// What gRPC would say.
    Status(Status),
}

impl Call {
    /// Makes a unary call.
    pub async fn unary<P, Req, Res, F>(
        mut self,
        policy: &P,
        unary: &Unary<Req, Res>,
        handler: impl FnOnce(Request<Req>) -> F + Send,
    ) -> Response<Body>
    where
        P: Policy,
        Req: Binder + Validate + Default + Send,
        Res: Send,
        F: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    {
        let (binding, transcoder) = (self.binding, self.transcoder.clone());
        let context = self.parts.extensions.get().cloned();
        let metadata = forwarded(&self.parts.headers, transcoder.settings().forwarded_headers);
        let admitted = policy
            .admit(binding.spec, &metadata, &mut self.parts.extensions)
            .await;
        let result = match admitted {
            Err(status) => Err(Failure::Status(status)),
            Ok(admission) => {
                // A status is what a policy sees of a call; what HTTP says more precisely goes around it.
                let mut problem = None;
                let call = async {
                    let message = self.bind(unary).await.map_err(|failure| match failure {
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
                let result = policy.run(binding.spec, admission, call).await;
                result.map_err(|status| problem.map_or(Failure::Status(status), Failure::Problem))
            }
        };
        let settings = transcoder.settings();
        match result {
            Ok(answer) => render::answer(
                settings,
                context.as_ref(),
                binding.spec,
                unary,
                answer.get_ref(),
            ),
            Err(Failure::Problem(problem)) => render::problem_of(
                settings,
                context.as_ref(),
                binding.spec.reasons,
                binding.spec.envelope.is_some(),
                problem,
            ),
            Err(Failure::Status(status)) => {
                render::failure(settings, context.as_ref(), binding, &status)
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
    async fn bind<Req: Binder + Validate + Default, Res>(
        &mut self,
        unary: &Unary<Req, Res>,
    ) -> Result<Req, Failure> {
        let Self {
            parts,
            body,
            binding,
            transcoder,
        } = self;
        let body = std::mem::replace(body, Body::empty());
        let (mut message, context) = if binding.body == spec::Body::None {
            body::refuse(body).await.map_err(Failure::Problem)?;
            (Req::default(), json::Context::new())
        } else {
            let max = transcoder.settings().max_body_bytes;
            let bytes = body::read_json(&parts.headers, body, max)
                .await
                .map_err(Failure::Problem)?;
            let mut context = json::Context::with_mask();
            let message = (unary.decode)(&bytes, &mut context).map_err(|error| {
                let problem = Problem::new(
                    StatusCode::BAD_REQUEST,
                    Code::InvalidArgument,
                    "Malformed JSON",
                );
                Failure::Problem(problem.with_detail("body", error.to_string()))
            })?;
            (message, context)
        };
        let (violations, named) = context.finish();
        let mut context = json::Context::continuing(violations);
        bind::path(
            &mut message,
            binding,
            parts.uri.path(),
            &named,
            &mut context,
        );
        bind::query(
            &mut message,
            binding,
            parts.uri.query().unwrap_or_default(),
            &mut context,
        );
        if let (Some(mask), spec::Body::Field { proto_name, .. }) = (unary.mask, binding.body) {
            let inside = |path: &String| {
                path.strip_prefix(proto_name)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            mask(&mut message, named.iter().filter_map(inside).collect());
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

/// The headers a handler may see, as metadata.
fn forwarded(headers: &HeaderMap, allowed: &[&'static str]) -> MetadataMap {
    let mut forwarded = HeaderMap::new();
    for name in allowed {
        for value in headers.get_all(*name) {
            forwarded.append(header::HeaderName::from_static(name), value.clone());
        }
    }
    MetadataMap::from_headers(forwarded)
}
