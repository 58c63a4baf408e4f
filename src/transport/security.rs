//! The headers that tell browsers to be strict: on every HTTP answer but those of native gRPC, which no browser reads.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

/// They are the same whatever an answer says.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::X_XSS_PROTECTION,
        HeaderValue::from_static("1; mode=block"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'self'"),
    ),
];

/// Adds them to the headers of an answer.
pub(super) fn protect(headers: &mut HeaderMap) {
    headers.reserve(HEADERS.len());
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
}

/// A router whose answers have them.
pub fn protected(router: Router) -> Router {
    router.layer(axum::middleware::map_response(
        async |mut response: Response| {
            protect(response.headers_mut());
            response
        },
    ))
}
