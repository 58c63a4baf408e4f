//! The search index, kept as long as the service runs.

use sqlx::PgPool;

use super::background::has_tables;
use crate::lifecycle::Readiness;
use crate::store::{Bell, PgSearchIndex};

/// Moves the index of products on.
pub(super) async fn index(pool: PgPool, bell: Bell, readiness: Readiness) {
    if has_tables(&readiness).await {
        PgSearchIndex::new(pool).run(bell.listen()).await;
    }
}
