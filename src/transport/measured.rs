//! Counts what the RPCs do, whichever way they were called: it stands in front of the policy that decides.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::Stream;
use http::{Extensions, HeaderMap};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use transcode::MethodSpec;
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};

use crate::telemetry::metrics::{OpenStream, Operations};
use crate::telemetry::request::RequestRecord;

/// A policy whose calls are counted.
pub struct Measured<P> {
    policy: P,
    operations: Operations,
}

impl<P> Measured<P> {
    /// Counts the calls of a policy.
    pub const fn new(policy: P, operations: Operations) -> Self {
        Self { policy, operations }
    }
}

impl<P: Policy> Policy for Measured<P> {
    type Admission = P::Admission;

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut Extensions,
    ) -> Result<Self::Admission, Status> {
        RequestRecord::note(|record| {
            // Asked before by another layer it is known already.
            let _ = record.spec.set(spec);
        });
        let admitted = self.policy.admit(spec, metadata, extensions).await;
        if let Err(status) = &admitted {
            self.operations.failed(spec, status.code());
            RequestRecord::note(|record| record.ended(status.code()));
        }
        admitted
    }

    async fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        admission: Self::Admission,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        let began = Instant::now();
        let result = self.policy.run(spec, admission, call).await;
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.operations.ran(spec, code, began.elapsed());
        // A stream that was opened has still to come to its end.
        if code != Code::Ok || !spec.server_streaming {
            RequestRecord::note(|record| record.ended(code));
        }
        result
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
        admission: &Self::Admission,
        headers: &mut HeaderMap,
    ) {
        self.policy.annotate(spec, admission, headers);
    }

    fn stream<T: Send + 'static>(
        &self,
        spec: &'static MethodSpec,
        admission: Self::Admission,
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        Box::pin(Counted {
            messages: self.policy.stream(spec, admission, messages),
            spec,
            operations: self.operations.clone(),
            request: RequestRecord::current(),
            _open: self.operations.open(spec),
        })
    }
}

/// The messages of an answer that is a stream.
struct Counted<T> {
    messages: BoxStream<T>,
    spec: &'static MethodSpec,
    operations: Operations,
    /// The task that asks for messages is the connection's.
    request: Option<Arc<RequestRecord>>,
    _open: OpenStream,
}

impl<T> Counted<T> {
    fn ended(&self, code: Code) {
        if let Some(request) = &self.request {
            request.ended(code);
        }
    }
}

impl<T> Stream for Counted<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.messages.as_mut().poll_next(context);
        match &next {
            Poll::Ready(None) => self.ended(Code::Ok),
            Poll::Ready(Some(Err(status))) => {
                self.operations.failed(self.spec, status.code());
                self.ended(status.code());
            }
            _ => {}
        }
        next
    }
}
