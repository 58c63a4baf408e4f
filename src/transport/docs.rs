//! The descriptions of the API and of the events, and the page that shows it. Everything the page loads is in the binary and comes from the
//! service itself; no script stands in the page, so that it works under a strict content security policy.

mod assets;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::pb::{ASYNCAPI_JSON, ASYNCAPI_YAML, OPENAPI_JSON, OPENAPI_YAML};

/// Path of the page.
pub const PAGE: &str = "/docs/catalog";

const INDEX: &str = include_str!("docs/index.html");
const ICON: &str = include_str!("docs/icon.svg");
const SCRIPT: &str = include_str!("docs/page.js");

pub(super) fn router() -> Router {
    Router::new()
        .route(
            "/openapi.json",
            get(|| async { text("application/json", OPENAPI_JSON) }),
        )
        .route(
            "/openapi.yaml",
            get(|| async { text("application/yaml", OPENAPI_YAML) }),
        )
        .route(
            "/asyncapi.json",
            get(|| async { text("application/json", ASYNCAPI_JSON) }),
        )
        .route(
            "/asyncapi.yaml",
            get(|| async { text("application/yaml", ASYNCAPI_YAML) }),
        )
        .route(
            PAGE,
            get(|| async { text("text/html; charset=utf-8", INDEX) }),
        )
        .route(
            "/docs/catalog/icon.svg",
            get(|| async { text("image/svg+xml", ICON) }),
        )
        .route(
            "/docs/catalog/page.js",
            get(|| async { text("text/javascript; charset=utf-8", SCRIPT) }),
        )
        .merge(assets::router())
}

fn text(content_type: &'static str, body: &'static str) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")],
        body,
    )
}
