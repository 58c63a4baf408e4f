//! `/health` and `/ready`: what operators and their machines ask.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::PgPool;
use tonic::Code;
use transcode::rest::{Problem, Transcoder};

use crate::lifecycle::{NAME, Readiness, VERSION};
use crate::domain::ports::Environment;
use crate::system::SystemEnvironment;

/// What the probes look at.
pub struct Probes {
    /// Answers errors in the shape of the API.
    pub transcoder: Transcoder,
    /// The database.
    pub pool: PgPool,
    /// Most connections of the pool.
    pub max_connections: u32,
    /// Whether requests can be answered.
    pub readiness: Readiness,
    /// When the process began.
    pub started: Instant,
}
