//! What the audit log hears of each call: a policy around the one that decides.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::http::{Extensions, HeaderMap};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};
use transcode::rest::RequestContext;
use transcode::{Idempotency, MethodSpec, ReasonTable};

use super::address::TrustedProxies;
use crate::audit::Audit;
use crate::domain::audit::Call;
use crate::domain::ports::Environment;
use crate::store::audit::Record;
use crate::telemetry::request::RequestRecord;

/// A policy whose calls are audited.
pub struct Audited<P, E> {
    /// Decides.
    pub policy: P,
    /// Knows the time.
    pub environment: E,
    /// Takes the records; nothing when none are kept.
    pub audit: Option<Audit>,
    /// Who says where a caller is.
    pub proxies: TrustedProxies,
}

/// What a call that was let in brings along.
#[derive(Clone)]
pub struct Admitted<A> {
    admission: A,
    /// Of a call that is audited.
    call: Option<Arc<Call>>,
}

impl<P: Policy, E: Environment> Audited<P, E> {
    /// Where the records of an RPC go, when its calls are audited whatever comes of them.
    fn audit_of(&self, spec: &MethodSpec) -> Option<&Audit> {
        let reads =
            |audit: &&Audit| audit.reads() && spec.idempotency == Idempotency::NoSideEffects;
        self.audit
            .as_ref()
            .filter(|audit| spec.audit || reads(audit))
    }

    fn call(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Call {
        let context = extensions.get::<RequestContext>();
        let request = RequestRecord::current();
        let principal = request.as_ref().and_then(|request| request.principal.get());
        let user_agent = metadata
            .get("user-agent")
            .and_then(|text| text.to_str().ok());
        Call {
            time: self.environment.now(),
            request_id: context
                .map(|context| context.request_id.clone())
                .unwrap_or_default(),
            trace_id: context
                .and_then(|context| context.trace_id)
                .map(|id| format!("{id:032x}")),
            actor: principal.map(|principal| principal.subject.clone()),
            scopes: principal
                .map(|principal| principal.scopes.clone())
                .unwrap_or_default(),
            peer: Some(self.proxies.caller(metadata, extensions)),
            user_agent: user_agent.map(str::to_owned),
            rpc: spec.path.trim_start_matches('/'),
            resource: OnceLock::new(),
            kept: OnceLock::new(),
        }
    }

    fn record(&self, audit: &Audit, call: &Call, code: Code, begun: Instant) {
        let id = self.environment.new_uuid();
        let outcome = ReasonTable::CANONICAL.name(code);
        audit.record(Record::new(id, call, outcome, begun.elapsed()));
    }
}

impl<P: Policy, E: Environment> Policy for Audited<P, E> {
    type Admission = Admitted<P::Admission>;

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut Extensions,
    ) -> Result<Self::Admission, Status> {
        let begun = Instant::now();
        let admitted = self.policy.admit(spec, metadata, extensions).await;
        let audit = self.audit_of(spec);
        match admitted {
            Ok(admission) => {
                let call = audit.map(|_| Arc::new(self.call(spec, metadata, extensions)));
                if let Some(call) = &call {
                    extensions.insert(call.clone());
                }
                Ok(Admitted { admission, call })
            }
            Err(status) => {
                let forbidden = matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied
                );
                let audit = audit.or(self.audit.as_ref().filter(|_| forbidden));
                if let Some(audit) = audit {
                    let call = self.call(spec, metadata, extensions);
                    self.record(audit, &call, status.code(), begun);
                }
                Err(status)
            }
        }
    }

    fn concerns(&self, admitted: &Self::Admission, resource: &str) {
        if let Some(call) = &admitted.call {
            // The first is the caller's.
            let _ = call.resource.set(resource.to_owned());
        }
        self.policy.concerns(&admitted.admission, resource);
    }

    fn answers(
        &self,
        spec: &'static MethodSpec,
        extensions: &Extensions,
    ) -> Option<(&dyn Answers, String)> {
        self.policy.answers(spec, extensions)
    }

    fn annotate(
        &self,
        spec: &'static MethodSpec,
        admitted: &Self::Admission,
        headers: &mut HeaderMap,
    ) {
        self.policy.annotate(spec, &admitted.admission, headers);
    }

    async fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        admitted: Self::Admission,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        let Admitted {
            admission,
            call: audited,
        } = admitted;
        let run = self.policy.run(spec, admission, call);
        let (Some(audit), Some(audited)) = (self.audit.as_ref(), audited) else {
            return run.await;
        };
        let mut open = Open {
            policy: self,
            audit,
            call: &audited,
            begun: Instant::now(),
            // Of one whose caller goes away before its end.
            code: Code::Cancelled,
        };
        let result = run.await;
        open.code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        result
    }

    fn stream<T: Send + 'static>(
        &self,
        spec: &'static MethodSpec,
        admitted: Self::Admission,
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        self.policy.stream(spec, admitted.admission, messages)
    }
}

/// A call under way. However it ends, there is a record: that of its change is there already.
struct Open<'a, P: Policy, E: Environment> {
    policy: &'a Audited<P, E>,
    audit: &'a Audit,
    call: &'a Call,
    begun: Instant,
    code: Code,
}

impl<P: Policy, E: Environment> Drop for Open<'_, P, E> {
    fn drop(&mut self) {
        if self.code != Code::Ok || self.call.kept.get().is_none() {
            self.policy
                .record(self.audit, self.call, self.code, self.begun);
        }
    }
}
