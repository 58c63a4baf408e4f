//! Events that came: which were handled, and why others were not.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::telemetry::query::Query;

static REFUSE: Query = Query::new("inbox.refuse");
static FORGET: Query = Query::new("inbox.forget");

/// The tables `inbox` and `inbox_refused`.
#[derive(Clone, Debug)]
pub struct PgInbox {
    pool: PgPool,
}

impl PgInbox {
    /// The inbox of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Notes that an event was refused, and why.
    pub async fn refuse(&self, id: Uuid, topic: &str, event: &[u8], reason: &str) -> Result<()> {
        REFUSE
            .run(
                sqlx::query!(
                    "INSERT INTO inbox_refused (id, topic, reason, event) VALUES ($1, $2, $3, $4)",
                    id,
                    topic,
                    // What was quoted of the event may hold what a text of PostgreSQL can not.
                    reason.replace('\0', "\u{fffd}"),
                    event
                )
                .execute(&self.pool),
            )
            .await
            .map_err(from_sqlx)?;
        Ok(())
    }

    /// Forgets events that were handled longer than `handled` ago and those that were refused longer than `refused` ago,
    /// at most `limit` of each; gives their number.
    pub async fn forget(&self, handled: Duration, refused: Duration, limit: i64) -> Result<u64> {
        let row = FORGET
            .run(
                sqlx::query!(
                    r#"WITH old AS (
                   DELETE FROM inbox WHERE (source, event_id) IN (
                       SELECT source, event_id FROM inbox
                        WHERE received_at < now() - make_interval(secs => $1) LIMIT $3)
                   RETURNING event_id
               ), old_refused AS (
                   DELETE FROM inbox_refused WHERE id IN (
                       SELECT id FROM inbox_refused
                        WHERE received_at < now() - make_interval(secs => $2) LIMIT $3)
                   RETURNING id
               )
               SELECT (SELECT count(*) FROM old) + (SELECT count(*) FROM old_refused) AS "count!""#,
                    handled.as_secs_f64(),
                    refused.as_secs_f64(),
                    limit
                )
                .fetch_one(&self.pool),
            )
            .await
            .map_err(from_sqlx)?;
        Ok(row.count.unsigned_abs())
    }
}
