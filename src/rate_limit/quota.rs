//! What a caller is told of its budget.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::{Code, Status};
use transcode::MethodSpec;
use transcode::status::retry_later;

/// The headers of the drafts 00 to 07 of the IETF (`draft-ietf-httpapi-ratelimit-headers`), which clients know.
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Most digits of a number.
const LENGTH: usize = 10;

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
        // In one piece of memory for all of them, which each is a part of.
        let mut digits = BytesMut::with_capacity(3 * LENGTH);
        let [limit, remaining, reset] = [self.limit, self.remaining, self.reset].map(|number| {
            digits.put_slice(itoa::Buffer::new().format(number).as_bytes());
            digits.split().freeze()
        });
        for (name, text) in [(LIMIT, limit), (REMAINING, remaining), (RESET, reset)] {
            if let Ok(mut value) = HeaderValue::from_maybe_shared(text) {
                // No secret, but no value for HTTP/2 to put into its table of headers: the next one is another.
                value.set_sensitive(name == REMAINING);
                headers.insert(name, value);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_headers() {
        let mut headers = HeaderMap::new();
        let quota = Quota {
            open: false,
            limit: u32::MAX,
            remaining: 0,
            reset: 60,
        };
        quota.annotate(&mut headers);
        for (name, text) in [
            ("ratelimit-limit", "4294967295"),
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", "60"),
            ("retry-after", "60"),
        ] {
            assert_eq!(headers[name], text);
        }
    }
}
