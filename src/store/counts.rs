//! The counts behind the totals of lists, moved on along the outbox.
//!
//! A total is what `product_counts` says and the changes after its position, both in one statement and so of one
//! moment: it is exact whenever it is asked for. Here the counts take in the changes there are, so that few are left to
//! be added by each request.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::telemetry::query::Query;

static ADVANCE: Query = Query::new("counts.advance");

/// The least time between two moves.
const PAUSE: Duration = Duration::from_millis(200);

/// How often to look when nothing rings, for the changes of instances that can't tell.
const POLL: Duration = Duration::from_secs(1);

/// The tables `product_counts` and `product_counts_position`.
#[derive(Clone, Debug)]
pub struct PgCounts {
    pool: PgPool,
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The counts hold all changes that were visible.
    Done,
    /// Another instance moves them at the moment; or the database was restored into another one, where transactions
    /// count from elsewhere, and the relay has not put that right yet.
    NotOurs,
}

impl PgCounts {
    /// The counts of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Takes in the changes that are visible by now.
    pub async fn advance(&self) -> Result<Move> {
        ADVANCE.run(self.try_advance()).await.map_err(from_sqlx)
    }

    async fn try_advance(&self) -> sqlx::Result<Move> {
        let mut transaction = self.pool.begin().await?;
        // Locked first: the next statement begins after every other move has ended. What a crash of the server takes
        // back is taken in once more, so there is no reason to wait for the disk.
        let position = sqlx::query!(
            r#"SELECT pg_snapshot_xmax(after) > pg_snapshot_xmax(pg_current_snapshot()) AS "foreign!",
                      set_config('synchronous_commit', 'off', true) AS lazily
                 FROM product_counts_position FOR UPDATE SKIP LOCKED"#
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if position.is_none_or(|position| position.foreign) {
            return Ok(Move::NotOurs);
        }
        sqlx::query!(
            "WITH moved AS (
                 SELECT listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id
                   FROM outbox
                  WHERE xid >= (SELECT pg_snapshot_xmax(after) FROM product_counts_position)
                 UNION ALL
                 SELECT listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id
                   FROM outbox
                  WHERE xid = ANY(ARRAY(SELECT pg_snapshot_xip(after) FROM product_counts_position))
             ), step AS (
                 SELECT category, warehouse_id, 1 AS step FROM moved WHERE listed_after
                 UNION ALL
                 SELECT old_category, old_warehouse_id, -1 FROM moved WHERE listed_before
             ), change AS (
                 SELECT coalesce(category, '') AS category, coalesce(warehouse_id, '') AS warehouse_id, sum(step) AS step
                   FROM step
                  GROUP BY CUBE (category, warehouse_id)
                 HAVING sum(step) <> 0
                    AND (grouping(category) = 1 OR category <> '')
                    AND (grouping(warehouse_id) = 1 OR warehouse_id <> '')
             ), counted AS (
                 INSERT INTO product_counts AS counts (category, warehouse_id, total)
                 SELECT category, warehouse_id, step FROM change
                 ON CONFLICT (category, warehouse_id) DO UPDATE SET total = counts.total + excluded.total
             )
             UPDATE product_counts_position SET after = pg_current_snapshot()
              WHERE EXISTS (SELECT 1 FROM moved)"
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Move::Done)
    }

    /// Counts all products anew, also those that were written by hand. Products can't be changed meanwhile.
    pub async fn recount(&self) -> Result<()> {
        let recounted = async {
            let mut transaction = self.pool.begin().await?;
            recount(&mut transaction).await?;
            transaction.commit().await
        };
        recounted.await.map_err(from_sqlx)
    }

    /// Moves the counts on, whenever `bell` rings and from time to time, until the pool is closed.
    pub async fn run(self, mut bell: watch::Receiver<()>) {
        let mut fails = false;
        while !self.pool.is_closed() {
            bell.mark_unchanged();
            match self.advance().await {
                Ok(_) => fails = false,
                Err(error) => {
                    if !std::mem::replace(&mut fails, true) {
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::warn!(
                            cause,
                            "the counts of products stay where they are: lists get slower"
                        );
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
            // A bell that is gone would ring for ever.
            if let Ok(Err(_)) = tokio::time::timeout(POLL, bell.changed()).await {
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// Counts all products anew, in a transaction that may have numbered the events of the outbox anew.
pub(super) async fn recount(connection: &mut sqlx::PgConnection) -> sqlx::Result<()> {
    // As long as it takes: the limit is made for requests.
    sqlx::query("SET LOCAL statement_timeout = 0")
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT recount_products()")
        .execute(connection)
        .await?;
    Ok(())
}
