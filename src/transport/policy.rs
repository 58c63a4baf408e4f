//! What stands in front of every RPC, whichever way it came: readiness, authentication, rate limit, scopes, deadline; and
//! what ends the answers that are streams.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::http::{Extensions, HeaderMap, HeaderName, header};
use futures_util::FutureExt as _;
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use transcode::MethodSpec;
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};
use transcode::status::status;

use super::address::TrustedProxies;
use super::in_flight::InFlight;
use super::request::Protocol;
use super::stream::until;
use crate::auth::{AuthError, PUBLIC_MESSAGE, Principal, Services, VerifiedTokens};
use crate::domain::ports::Environment;
use crate::lifecycle::Readiness;
use crate::rate_limit::{Caller, Quota, RateLimits};
use crate::service::{CallerAddress, KeptAnswers, unavailable};
use crate::telemetry::request::RequestRecord;

/// How a service says who it is.
const CONSUL_TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// How long a caller waits.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Headers of REST requests that this policy and the handlers read, as they read the metadata of gRPC.
pub const FORWARDED_HEADERS: &[&str] = &[
    "authorization",
    "grpc-timeout",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-consul-token",
    "x-correlation-id",
    "x-forwarded-for",
    "x-request-id",
];

/// Lets in callers that hold what an RPC's contract asks for.
pub struct AccessPolicy<E> {
    /// Knows the time.
    pub environment: E,
    /// Checks tokens.
    pub tokens: VerifiedTokens,
    /// Checks those of services, where services may call.
    pub services: Option<Arc<Services<E>>>,
    /// Whether calls can be answered at all.
    pub readiness: Readiness,
    /// Longest time a REST call may take to its answer; to the opening of a stream, where the answer is one. A call whose
    /// request is a stream takes as long as its caller sends.
    pub http_timeout: Duration,
    /// The same of a call by gRPC or Connect; a caller's own deadline is kept when it is shorter.
    pub grpc_timeout: Duration,
    /// How often a caller may call, unless as often as it likes.
    pub rate_limits: Option<RateLimits<E>>,
    /// Who says where a caller is.
    pub proxies: TrustedProxies,
    /// How many calls are answered at a time.
    pub in_flight: InFlight,
    /// What was answered to calls that are to be made once.
    pub answers: KeptAnswers<E>,
}

/// How long a call that was let in may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To its answer.
    answer: Duration,
    /// To the end of its answer, where that is a stream: the caller's own deadline.
    deadline: Option<Instant>,
    /// When the caller's token ends, and with it an answer that is a stream.
    token: Option<Instant>,
    /// The token of a caller that is a service: it may be taken back before its end.
    service: Option<Arc<str>>,
    /// What the caller's budget is after the call.
    quota: Option<Quota>,
}

impl<E: Environment> AccessPolicy<E> {
    /// Who calls, by a bearer token or by a Consul token; nobody in particular where anybody may.
    async fn authenticate(
        &self,
        spec: &MethodSpec,
        metadata: &MetadataMap,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Principal>>, Status> {
        if spec.public {
            return Ok(None);
        }
        // Looked up by name, not by text: that of a known header is a number.
        let headers: &HeaderMap = metadata.as_ref();
        let text = |name: &HeaderName| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap_or_default())
        };
        let (bearer, token) = (text(&header::AUTHORIZATION), text(&CONSUL_TOKEN));
        let caller = match (token, &self.services) {
            (None, _) => match self.tokens.verify(bearer, now) {
                Err(error @ (AuthError::UnknownKey | AuthError::Unavailable)) => {
                    // Boxed, as it is rare: a call carries the room of what it may wait for.
                    Box::pin(self.tokens.verify_again(bearer, now, error)).await
                }
                caller => caller,
            },
            (Some(_), _) if bearer.is_some() => Err(AuthError::Ambiguous),
            (Some(token), Some(services)) => Box::pin(services.verify(token)).await,
            (Some(_), None) => Err(AuthError::UnknownToken),
        };
        caller.map(Some).map_err(|error| {
            tracing::info!(rpc = spec.path, %error, "unauthenticated");
            refusal(spec, error)
        })
    }

    /// Takes the call from the budget of the user; where it is not known who calls, from that of the address. A good
    /// token is never refused for what others do who call from the same place.
    async fn draw(
        &self,
        spec: &MethodSpec,
        metadata: &MetadataMap,
        extensions: &Extensions,
        principal: Option<&Principal>,
        now: OffsetDateTime,
    ) -> Option<Quota> {
        let limits = self.rate_limits.as_ref()?;
        let caller = match principal {
            Some(principal) => Caller::Subject(&principal.subject),
            None => Caller::address(self.proxies.caller(metadata, extensions)),
        };
        Some(limits.draw(caller, spec.rate_class, now).await)
    }

    /// Whether a caller may do it, and whether it can be done.
    fn authorize(&self, spec: &MethodSpec, principal: Option<&Principal>) -> Result<(), Status> {
        let lacking = principal.and_then(|principal| principal.lacks(spec.path, spec.scopes));
        if let Some(lacking) = lacking {
            let user = principal.map(|principal| &*principal.subject);
            tracing::info!(rpc = spec.path, user, lacking, "forbidden");
            let message = format!("Insufficient permissions: {lacking}");
            return Err(status(spec.reasons, Code::PermissionDenied, message));
        }
        if !self.readiness.answers() {
            return Err(unavailable());
        }
        Ok(())
    }

    /// Waits until something ends a stream that was let in, in either direction, and says what.
    fn end(
        &self,
        spec: &'static MethodSpec,
        limits: Limits,
    ) -> impl Future<Output = Status> + Send + use<E> {
        let readiness = self.readiness.clone();
        let services = self.services.clone();
        async move {
            tokio::select! {
                // The caller goes on with another instance, and nobody waits for streams that have no end.
                () = readiness.draining() => unavailable(),
                () = at(limits.deadline) => too_late(spec),
                () = at(limits.token) => status(spec.reasons, Code::Unauthenticated, PUBLIC_MESSAGE),
                error = ended(services, limits.service) => refusal(spec, error),
            }
        }
    }

    fn limits(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        principal: Option<&Principal>,
        quota: Option<Quota>,
        now: OffsetDateTime,
    ) -> Limits {
        let limit = match extensions.get::<Protocol>() {
            Some(Protocol::Rest) => self.http_timeout,
            _ => self.grpc_timeout,
        };
        let headers: &HeaderMap = metadata.as_ref();
        let asked = headers
            .get(&GRPC_TIMEOUT)
            .and_then(|value| value.to_str().ok())
            .and_then(grpc_timeout);
        // What is too far off to be told is no limit.
        let from_now = |time| Instant::now().checked_add(time);
        let left = principal.map(|principal| self.tokens.verifier().left(principal, now));
        Limits {
            answer: asked.map_or(limit, |asked| asked.min(limit)),
            deadline: asked.and_then(from_now),
            token: left.and_then(from_now),
            service: (principal.filter(|principal| principal.rpcs.is_some()))
                .and_then(|_| headers.get(&CONSUL_TOKEN)?.to_str().ok())
                .map(Arc::from),
            quota,
        }
    }
}

impl<E: Environment> Policy for AccessPolicy<E> {
    type Admission = Limits;

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut Extensions,
    ) -> Result<Limits, Status> {
        if self.in_flight.is_full() {
            return Err(unavailable());
        }
        let now = self.environment.now();
        let principal = self.authenticate(spec, metadata, now).await;
        let known = principal.as_ref().ok().and_then(Option::as_ref);
        if let Some(principal) = known {
            RequestRecord::note(|request| {
                // Asked before by another layer it is known already.
                let _ = request.principal.set(principal.clone());
            });
        }
        let known = known.map(|principal| &**principal);
        let quota = self.draw(spec, metadata, extensions, known, now).await;
        let limits = self.limits(metadata, extensions, known, quota, now);
        let admitted = match quota {
            Some(quota) if !quota.open => Err(quota.refusal(spec)),
            _ => principal.and_then(|principal| {
                self.authorize(spec, principal.as_deref())?;
                if let Some(principal) = principal {
                    extensions.insert(principal);
                } else {
                    let address = self.proxies.caller(metadata, extensions);
                    extensions.insert(CallerAddress(address));
                }
                Ok(limits.clone())
            }),
        };
        admitted.map_err(|mut status| {
            let mut headers = std::mem::take(status.metadata_mut()).into_headers();
            self.annotate(spec, &limits, &mut headers);
            *status.metadata_mut() = MetadataMap::from_headers(headers);
            status
        })
    }

    async fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        limits: Limits,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        // The timer ticks in milliseconds: less is no time at all.
        if limits.answer < Duration::from_millis(1) {
            return Err(too_late(spec));
        }
        let Some(_counted) = self.in_flight.enter() else {
            return Err(unavailable());
        };
        // A panic ends the call, not the connection with all that is under way on it.
        let call = AssertUnwindSafe(call).catch_unwind();
        let mut call = pin!(call);
        // Most calls are answered at once: only one that is not needs a timer, which would take more room than all the
        // rest of it.
        let result = match futures_util::poll!(call.as_mut()) {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => {
                let answer = limits.answer;
                let end = || self.end(spec, limits);
                Box::pin(bounded(spec, answer, end, call)).await
            }
        };
        result?.unwrap_or_else(|_| Err(panicked(spec)))
    }

    fn answers(
        &self,
        _: &'static MethodSpec,
        extensions: &Extensions,
    ) -> Option<(&dyn Answers, String)> {
        let principal = extensions.get::<Arc<Principal>>()?;
        Some((&self.answers, principal.subject.clone()))
    }

    fn annotate(&self, _: &'static MethodSpec, limits: &Limits, headers: &mut HeaderMap) {
        if let Some(quota) = limits.quota {
            quota.annotate(headers);
        }
    }

    fn stream<T: Send + 'static>(
        &self,
        spec: &'static MethodSpec,
        limits: Limits,
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        let end = self.end(spec, limits);
        until(messages, end, move || panicked(spec))
    }
}

/// Waits for a call that is not answered at once: for so long, or, where its request is a stream, for as long as its
/// caller sends, until something ends that.
async fn bounded<T, E: Future<Output = Status>>(
    spec: &MethodSpec,
    answer: Duration,
    end: impl FnOnce() -> E,
    call: impl Future<Output = T>,
) -> Result<T, Status> {
    if spec.client_streaming {
        tokio::select! {
            result = call => Ok(result),
            status = end() => Err(status),
        }
    } else {
        let late = |_| too_late(spec);
        tokio::time::timeout(answer, call).await.map_err(late)
    }
}

/// What a caller is told who was not let in, or no longer.
fn refusal(spec: &MethodSpec, error: AuthError) -> Status {
    match error {
        AuthError::Unavailable => unavailable(),
        _ => status(spec.reasons, Code::Unauthenticated, PUBLIC_MESSAGE),
    }
}

/// Waits until the token of a service is no longer good; for ever, where the caller is none.
async fn ended<E: Environment>(
    services: Option<Arc<Services<E>>>,
    token: Option<Arc<str>>,
) -> AuthError {
    match (services, token) {
        (Some(services), Some(token)) => services.ended(&token).await,
        _ => std::future::pending().await,
    }
}

/// Waits for a time, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn panicked(spec: &MethodSpec) -> Status {
    tracing::error!(rpc = spec.path, "a handler panicked");
    status(spec.reasons, Code::Internal, "An unexpected error occurred")
}

fn too_late(spec: &MethodSpec) -> Status {
    status(
        spec.reasons,
        Code::DeadlineExceeded,
        "The request took too long",
    )
}

/// The duration of a `grpc-timeout` header: up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use transcode::{Idempotency, RateClass, ReasonTable};

    use super::*;

    static UNARY: MethodSpec = spec(false);
    static UPLOAD: MethodSpec = spec(true);

    const fn spec(client_streaming: bool) -> MethodSpec {
        MethodSpec {
            service: "test.v1.Test",
            name: "Test",
            path: "/test.v1.Test/Test",
            client_streaming,
            server_streaming: false,
            scopes: &[],
            public: true,
            rate_class: RateClass::Default,
            audit: false,
            idempotency: Idempotency::Unknown,
            idempotency_key: false,
            max_request_bytes: None,
            success_status: 200,
            cache_control: "no-store",
            envelope: None,
            reasons: &ReasonTable::CANONICAL,
        }
    }

    #[tokio::test]
    async fn a_caller_who_sends_a_stream_takes_its_time() {
        let limit = Duration::from_millis(10);
        let never = || std::future::pending();
        let sending = || tokio::time::sleep(limit * 5);
        let unary = bounded(&UNARY, limit, never, sending()).await;
        assert_eq!(
            unary.map_err(|status| status.code()),
            Err(Code::DeadlineExceeded)
        );
        let upload = bounded(&UPLOAD, limit, never, sending()).await;
        assert!(upload.is_ok());
        // Not for ever, though.
        let end = || std::future::ready(Status::unavailable(""));
        let endless = bounded(&UPLOAD, limit, end, std::future::pending::<()>()).await;
        assert_eq!(
            endless.map_err(|status| status.code()),
            Err(Code::Unavailable)
        );
    }

    #[test]
    fn deadlines_of_callers() {
        assert_eq!(grpc_timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(
            grpc_timeout("99999999H"),
            Some(Duration::from_hours(99_999_999))
        );
        for text in ["", "m", "1", "-1S", "123456789S", "1s", "1€"] {
            assert_eq!(grpc_timeout(text), None, "{text}");
        }
    }
}
