//! What a caller is told of its budget.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::{Code, Status};
use transcode::MethodSpec;
use transcode::status::retry_later;

/// The headers of the drafts 00 to 07 of the IETF (`draft-ietf-httpapi-ratelimit-headers`), which clients know.
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What became of a request, and what the budget is after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Whether the request was let in.
    pub open: bool,
    /// Requests in a window.
    pub limit: u32,
    /// What is left of them, as far as is known here.
    pub remaining: u32,
    /// Seconds until the next window.
    pub reset: u32,
}

impl Quota {
    /// Tells it in the headers of an answer.
    pub fn annotate(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset));
        if !self.open {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.reset));
        }
    }

    /// The answer to a request that was not let in.
    pub fn refusal(&self, spec: &MethodSpec) -> Status {
        let delay = Duration::from_secs(self.reset.into());
        retry_later(
            spec.reasons,
            Code::ResourceExhausted,
            "Too many requests",
            delay,
        )
    }
}
