//! The connections to the database, and how long statements take.

use super::{Page, Source};
use crate::store::ConnectionUse;
use crate::telemetry::query::Query;

/// The connections of the pool, and all statements.
#[derive(Debug)]
pub struct DatabaseMetrics(pub ConnectionUse);

impl Source for DatabaseMetrics {
    fn write(&self, page: &mut Page) {
        let connections = self.0.count();
        page.gauge(
            "database_connections_active",
            "Connections to the database that are in use",
        )
        .sample(&[], connections.active);
        page.gauge(
            "database_connections_idle",
            "Connections to the database that wait for work",
        )
        .sample(&[], connections.idle);
        page.gauge(
            "database_connections_max",
            "Most connections to the database that may be open",
        )
        .sample(&[], connections.max);
        let queries = Query::all();
        let mut family = page.histogram(
            "database_query_duration_seconds",
            "How long statements take, with their way to the database and back",
        );
        for query in &queries {
            family.times(&[("query", query.name())], query.times());
        }
        let mut family = page.counter("database_query_errors_total", "Statements that failed");
        for query in &queries {
            family.sample(&[("query", query.name())], query.errors());
        }
    }
}
