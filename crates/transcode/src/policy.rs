//! What stands in front of every handler, whichever protocol a call came by.

use std::future::Future;

use http::Extensions;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::Violations;
use crate::spec::MethodSpec;
use crate::status;
use crate::validate::Validate;

/// Decides who may call and watches over the call: authentication, limits, deadlines, metrics.
///
/// gRPC runs no interceptor for a handler that is called directly, and REST calls handlers directly: so both protocols
/// come through here, and what it decides by is the RPC's [`MethodSpec`].
pub trait Policy: Send + Sync + 'static {
    /// What a call that was let in brings along.
    type Admission: Send;

    /// Lets a call in, or refuses it: in REST before its body is read, in gRPC once tonic has decoded the message. What it puts into the extensions reaches the handler.
    fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut Extensions,
    ) -> impl Future<Output = Result<Self::Admission, Status>> + Send;

    /// Runs a call that was let in: from reading its body to the handler's answer.
    fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        admission: Self::Admission,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> impl Future<Output = Result<T, Status>> + Send;
}

/// A unary call that came by gRPC: admission, validation, handler.
pub async fn unary<P, Req, Res, F>(
    policy: &P,
    spec: &'static MethodSpec,
    mut request: Request<Req>,
    handler: impl FnOnce(Request<Req>) -> F + Send,
) -> Result<Response<Res>, Status>
where
    P: Policy,
    Req: Validate + Send,
    Res: Send,
    F: Future<Output = Result<Response<Res>, Status>> + Send,
{
    let mut extensions = std::mem::take(request.extensions_mut());
    let admitted = policy
        .admit(spec, request.metadata(), &mut extensions)
        .await;
    *request.extensions_mut() = extensions;
    let call = async {
        validate(spec, request.get_ref())?;
        handler(request).await
    };
    policy.run(spec, admitted?, call).await
}

/// Checks a request against the contract.
fn validate<Req: Validate>(spec: &'static MethodSpec, request: &Req) -> Result<(), Status> {
    let mut violations = Violations::new();
    request.validate(&mut violations);
    status::check(spec.reasons, violations)
}
