//! Which pages of other origins may call, by REST, Connect or gRPC-Web. Tokens travel in a header, never in a cookie, so that
//! an origin gets nothing a script could not send from anywhere. WebSockets, of which CORS says nothing, are for the same
//! origins, in the transcoder's settings.

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use transcode::idempotency;

use crate::rate_limit::quota;

/// Headers of an answer that a page may read.
const EXPOSED: [HeaderName; 13] = [
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static(idempotency::REPLAYED),
    quota::LIMIT,
    quota::REMAINING,
    quota::RESET,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// The layer for some origins; `*` stands for all.
pub(super) fn layer(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        )
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(std::time::Duration::from_hours(1))
}
