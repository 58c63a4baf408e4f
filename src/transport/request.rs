//! What is known of a request before anything looks into it: its id, its trace, its protocol; and its line in the log.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tower::Service;
use transcode::rest::{BoxFuture, RequestContext};

use crate::domain::id;
use crate::domain::ports::Environment;
use crate::telemetry::request::{CURRENT, RequestRecord};
use crate::telemetry::{Access, AccessLog};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// JSON over HTTP.
    Rest,
    /// gRPC-Web, binary or text.
    GrpcWeb,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// Its name in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GrpcWeb => "grpc-web",
            Self::Grpc => "grpc",
        }
    }

    /// The protocol the content type names.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
            Some(value) if value.starts_with(b"application/grpc-web") => Self::GrpcWeb,
            Some(value) if value.starts_with(b"application/grpc") => Self::Grpc,
            _ => Self::Rest,
        }
    }
}

/// Gives each request its context, its answer the request's id, and the log a line about both.
pub struct Observed<S, E> {
    pub(super) inner: S,
    pub(super) environment: Arc<E>,
    pub(super) access_log: AccessLog,
}

impl<S: Clone, E> Clone for Observed<S, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            environment: self.environment.clone(),
            access_log: self.access_log.clone(),
        }
    }
}

impl<S, E, A, B> Service<Request<A>> for Observed<S, E>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    E: Environment,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let started = Instant::now();
        let context = RequestContext {
            request_id: request_id(request.headers(), &*self.environment),
            trace_id: trace_id(request.headers()),
        };
        let protocol = Protocol::of(request.headers());
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let record = Arc::new(RequestRecord::new(context.clone()));
        request.extensions_mut().insert(protocol);
        request.extensions_mut().insert(context);
        let answer = CURRENT.sync_scope(record.clone(), || self.inner.call(request));
        let answer = CURRENT.scope(record.clone(), answer);
        let access_log = self.access_log.clone();
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            if let Ok(id) = HeaderValue::from_str(&record.context.request_id) {
                response.headers_mut().insert(X_REQUEST_ID, id);
            }
            // The status of a gRPC call that failed at once is in the headers; a later one only the caller sees.
            let grpc_status = response
                .headers()
                .get("grpc-status")
                .and_then(|value| value.to_str().ok());
            let access = Access {
                protocol: protocol.as_str(),
                method: method.as_str(),
                path: &path,
                status: response.status().as_u16(),
                grpc_status,
                duration: started.elapsed(),
            };
            access_log.log(&record, &access);
            Ok(response)
        })
    }
}

/// The caller's id for the request where it is sane, or a new one.
fn request_id(headers: &HeaderMap, environment: &impl Environment) -> String {
    let given = headers
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    given
        .filter(sane)
        .map_or_else(|| id::encode("req", environment.new_uuid()), str::to_owned)
}

/// The trace id of a W3C `traceparent`.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let sane =
        version.len() == 2 && hex(version) && version != "ff" && trace.len() == 32 && hex(trace);
    (sane && trace.bytes().any(|byte| byte != b'0')).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEnvironment;

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                X_REQUEST_ID,
                HeaderValue::from_bytes(value.as_bytes()).expect("a header"),
            );
            request_id(&headers, &SystemEnvironment)
        };
        assert_eq!(id("req_abc-1.2:3"), "req_abc-1.2:3");
        for value in ["", "a b", "<script>", "ä"] {
            assert!(id(value).starts_with("req_"), "{value}");
        }
    }

    #[test]
    fn traces() {
        let trace = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(value));
            trace_id(&headers)
        };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(),
            Some(id)
        );
        for value in [
            "",
            "00-4bf9-00f0-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-0-0",
        ] {
            assert_eq!(trace(value), None, "{value}");
        }
    }
}
