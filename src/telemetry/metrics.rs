//! What Prometheus scrapes, at `/metrics`.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use crate::cache::{Counts, Statistics};

/// The format of what `/metrics` answers.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// The metrics of what is given here; `cache` where reads are cached.
    pub fn new(cache: Option<Arc<Statistics>>) -> Self {
        let mut registry = Registry::default();
        if let Some(cache) = cache {
            registry.register_collector(Box::new(CacheMetrics(cache)));
        }
        Self(Arc::new(registry))
    }

    /// The page for Prometheus.
    pub fn router(self) -> Router {
        Router::new().route("/metrics", get(move || std::future::ready(self.page())))
    }

    fn page(&self) -> Response {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.0);
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
    }
}

/// `cache_hits_total` and `cache_misses_total`, per layer and kind.
#[derive(Debug)]
struct CacheMetrics(Arc<Statistics>);

impl Collector for CacheMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Statistics { local, redis } = &*self.0;
        let counts = [
            ("local", "product", &local.products),
            ("local", "list", &local.lists),
            ("redis", "product", &redis.products),
            ("redis", "list", &redis.lists),
        ];
        let mut write = |name, help, value: fn(&Counts) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (layer, kind, counts) in counts {
                let labels = [("layer", layer), ("kind", kind)];
                ConstCounter::new(value(counts)).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        write(
            "cache_hits",
            "Look-ups that were answered by a layer of the cache",
            Counts::hits,
        )?;
        write(
            "cache_misses",
            "Look-ups that a layer of the cache had nothing fresh for",
            Counts::misses,
        )
    }
}
