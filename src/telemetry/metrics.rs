//! What Prometheus scrapes, at `/metrics`: counters that cost a few nanoseconds where they are counted, and what is
//! looked at only when somebody asks.
//!
//! Whoever has something to tell is a [`Source`] and writes its families when a scrape comes. Nothing is looked up by
//! name where things are counted: each route, RPC and statement has its numbers in a place of its own.

mod cache;
mod database;
mod events;
mod histogram;
mod migrations;
mod operations;
mod page;
mod process;
mod requests;

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

pub use cache::CacheMetrics;
pub use database::DatabaseMetrics;
pub use events::{EventCounts, EventMetrics};
pub use histogram::Times;
pub use migrations::{MigrationMetrics, textfile};
pub use operations::{OpenStream, Operations};
pub use page::{Family, Format, Page};
pub use process::ProcessMetrics;
pub use requests::{HttpCall, Requests, known_method};

/// Something with metrics.
pub trait Source: Send + Sync + 'static {
    /// Writes its families, each of them once.
    fn write(&self, page: &mut Page);
}

/// All metrics of the process. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics(Arc<RwLock<Vec<Box<dyn Source>>>>);

impl Metrics {
    /// Shows a source from now on.
    pub fn add(&self, source: impl Source) {
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sources.push(Box::new(source));
    }

    /// The page for Prometheus.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        let answer = move |headers: HeaderMap| std::future::ready(metrics.answer(&headers));
        Router::new().route("/metrics", get(answer))
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
        let format = Format::accepted(accept.unwrap_or_default());
        let content_type = [(header::CONTENT_TYPE, format.content_type())];
        (content_type, self.page(format)).into_response()
    }

    /// All there is, in a format.
    pub fn page(&self, format: Format) -> String {
        let mut page = Page::new(format);
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for source in sources.iter() {
            source.write(&mut page);
        }
        page.finish()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
