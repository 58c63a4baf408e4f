//! Who and what made a change happen, from what a request brought along.

use std::sync::Arc;

use tonic::Request;
use transcode::rest::RequestContext;

use crate::auth::Principal;
use crate::domain::audit::Call;
use crate::domain::event::Cause;
use crate::telemetry::request::RequestRecord;

/// The header with which a caller names what belongs together.
const CORRELATION: &str = "x-correlation-id";

/// The caller of a request, its id and its trace. Without a correlation of the caller's the request stands for itself.
pub(super) fn cause<T>(request: &Request<T>) -> Cause {
    let extensions = request.extensions();
    let causation_id = extensions
        .get::<RequestContext>()
        .map(|context| context.request_id.clone())
        .unwrap_or_default();
    let header = |name: &str| {
        let text = request.metadata().get(name)?.to_str().ok()?;
        let sane =
            (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        sane.then(|| text.to_owned())
    };
    Cause {
        actor: extensions
            .get::<Arc<Principal>>()
            .map(|principal| principal.subject.clone())
            .unwrap_or_default(),
        correlation_id: header(CORRELATION).unwrap_or_else(|| causation_id.clone()),
        causation_id,
        // The request's own place, below that of its caller.
        traceparent: RequestRecord::look(|request| request.trace.context.to_string()),
        receipt: None,
        audit: extensions.get::<Arc<Call>>().cloned(),
    }
}
