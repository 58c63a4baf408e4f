//! The search index, moved on along the outbox.
//!
//! Writers never touch it. One instance at a time, which the lock of the position says, takes in the products that have
//! changed after the position: what they are now, whatever the events say. Everything here can be done twice. A
//! position from which events are missing, and that of a new table, has all products gone through, from the newest on.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;

use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::telemetry::query::Query;

static ADVANCE: Query = Query::new("search_index.advance");

/// The least time between two moves.
const PAUSE: Duration = Duration::from_millis(200);

/// How often to look when nothing rings, for the changes of instances that can't tell.
const POLL: Duration = Duration::from_secs(1);

/// Most events, or products, that a move takes in: some tenths of a second of work.
const BATCH: i64 = 2000;

/// The tables `product_search` and `product_search_position`.
#[derive(Clone, Debug)]
pub struct PgSearchIndex {
    pool: PgPool,
    batch: i64,
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMove {
    /// The index holds all products, with all changes that were visible.
    Done,
    /// There is more to take in: changes, or else products.
    More {
        /// Whether there are more changes.
        changes: bool,
    },
    /// Another instance moves it at the moment; or the database was restored into another one, where transactions count
    /// from elsewhere, and the relay has not put that right yet.
    NotOurs,
}

/// Takes products into the index: those of `$chosen`, in place of all documents of `$covered`, and moves the position.
macro_rules! take_in {
    ([$($before:literal),*], $chosen:literal, $covered:literal, $moved:literal, $told:literal, $batch:expr) => {
        sqlx::query!(
            "WITH " $(+ $before)* + " product AS MATERIALIZED (
                 SELECT id, search_document(products) AS document FROM products WHERE deleted_at IS NULL AND " + $chosen + "
             ), " + $moved + ", gone AS (
                 DELETE FROM product_search WHERE " + $covered + " AND product_id NOT IN (SELECT id FROM product)
             ), kept AS (
                 INSERT INTO product_search AS search (product_id, document) SELECT id, document FROM product
                 ON CONFLICT (product_id) DO UPDATE SET document = excluded.document
                  WHERE search.document <> excluded.document
             ) SELECT " + $told,
            $batch
        )
    };
}

impl PgSearchIndex {
    /// The index of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, batch: BATCH }
    }

    /// The same, taking in so many events or products at a time.
    #[must_use]
    pub fn with_batch(self, batch: i64) -> Self {
        Self { batch, ..self }
    }

    /// Takes in the changes that are visible by now, or some of them, and some of the products that were never gone
    /// through.
    pub async fn advance(&self) -> Result<IndexMove> {
        ADVANCE.run(self.try_advance()).await.map_err(from_sqlx)
    }

    async fn try_advance(&self) -> sqlx::Result<IndexMove> {
        let mut transaction = self.pool.begin().await?;
        // Locked first: the next statement begins after every other move has ended. What a crash of the server takes
        // back is taken in once more, so there is no reason to wait for the disk; and the limit on the time of a
        // statement is made for requests.
        let position = sqlx::query!(
            r#"SELECT pg_snapshot_xmax(coalesce(upto, after)) > pg_snapshot_xmax(pg_current_snapshot()) AS "foreign!",
                      set_config('synchronous_commit', 'off', true) AS lazily,
                      set_config('statement_timeout', '0', true) AS patiently
                 FROM product_search_position FOR UPDATE SKIP LOCKED"#
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if position.is_none_or(|position| position.foreign) {
            return Ok(IndexMove::NotOurs);
        }
        let changes = self.take_in_changes(&mut transaction).await?;
        let products = !changes && self.take_in_products(&mut transaction).await?;
        transaction.commit().await?;
        Ok(if changes || products {
            IndexMove::More { changes }
        } else {
            IndexMove::Done
        })
    }

    /// Takes in what the next events are of; tells whether there may be more. A way to a snapshot goes on where it was,
    /// or else begins now. Changes of the stock are in no document.
    async fn take_in_changes(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let read = take_in!(
            [
                "way AS MATERIALIZED (
                     SELECT after, coalesce(upto, pg_current_snapshot()) AS upto, upto IS NOT NULL AS resumed,
                            coalesce(xid, pg_snapshot_xmin(after)) AS xid, coalesce(seq, 0) AS seq
                       FROM product_search_position
                 ), event AS MATERIALIZED (
                     SELECT xid, seq, product_id FROM outbox
                      WHERE (xid, seq) > ((SELECT xid FROM way), (SELECT seq FROM way))
                        AND xid < pg_snapshot_xmax((SELECT upto FROM way))
                        AND NOT pg_visible_in_snapshot(xid, (SELECT after FROM way))
                        AND pg_visible_in_snapshot(xid, (SELECT upto FROM way))
                        AND topic IS NOT NULL
                      ORDER BY xid, seq LIMIT $1
                 ), event_count AS MATERIALIZED (SELECT count(*) AS read, count(*) >= $1 AS cut FROM event), "
            ],
            "id = ANY(ARRAY(SELECT product_id FROM event))",
            "product_id = ANY(ARRAY(SELECT product_id FROM event))",
            // At rest the position is written when that changes something: no transaction may stay under way in it that
            // has ended since, or it could not be told from one whose events were removed.
            "moved AS (
                 UPDATE product_search_position
                    SET after = CASE WHEN cut THEN way.after ELSE way.upto END,
                        upto = CASE WHEN cut THEN way.upto END,
                        xid = CASE WHEN cut THEN (SELECT xid FROM event ORDER BY xid DESC, seq DESC LIMIT 1) END,
                        seq = CASE WHEN cut THEN (SELECT seq FROM event ORDER BY xid DESC, seq DESC LIMIT 1) END
                   FROM way, event_count
                  WHERE read > 0 OR resumed OR pg_snapshot_xmin(way.after) < pg_snapshot_xmax(way.after)
             )",
            "cut OR resumed AS \"more!\",
             pruned >= pg_snapshot_xmax(way.after)
             OR EXISTS (SELECT FROM pg_snapshot_xip(way.after) AS xid
                         WHERE xid <= pruned AND pg_visible_in_snapshot(xid, pg_current_snapshot())) AS \"missed!\"
             FROM way, event_count, outbox_relay",
            self.batch
        )
        .fetch_one(&mut *connection)
        .await?;
        if read.missed {
            tracing::info!(
                "events were removed that the search index had not read: it goes through all products"
            );
            begin_anew(connection).await?;
        }
        Ok(read.more && !read.missed)
    }

    /// Takes in the next of the products that were never gone through; tells whether there are more.
    async fn take_in_products(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let unread = sqlx::query_scalar!(
            r#"SELECT unread_below IS NOT NULL AS "unread!" FROM product_search_position"#
        )
        .fetch_one(&mut *connection)
        .await?;
        if !unread {
            return Ok(false);
        }
        let more = take_in!(
            [],
            "id < (SELECT unread_below FROM product_search_position) ORDER BY id DESC LIMIT $1",
            "product_id < (SELECT unread_below FROM product_search_position)
             AND product_id >= coalesce((SELECT id FROM reached), '00000000-0000-0000-0000-000000000000')",
            "reached AS MATERIALIZED (
                 SELECT id FROM product WHERE (SELECT count(*) FROM product) >= $1 ORDER BY id LIMIT 1
             ), moved AS (
                 UPDATE product_search_position SET unread_below = (SELECT id FROM reached)
             )",
            "EXISTS (SELECT FROM reached) AS \"more!\"",
            self.batch
        )
        .fetch_one(connection)
        .await?
        .more;
        if !more {
            tracing::info!("all products are in the search index");
        }
        Ok(more)
    }

    /// Goes through all products anew, also those that were written by hand. Searches find meanwhile what they found.
    pub async fn reindex(&self) -> Result<()> {
        let begun = async { begin_anew(&mut *self.pool.acquire().await?).await };
        begun.await.map_err(from_sqlx)?;
        loop {
            match self.advance().await? {
                IndexMove::Done => return Ok(()),
                IndexMove::More { .. } => {}
                IndexMove::NotOurs => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Moves the index on, whenever `bell` rings and from time to time, until the pool is closed.
    pub async fn run(self, mut bell: watch::Receiver<()>) {
        let mut fails = false;
        while !self.pool.is_closed() {
            bell.mark_unchanged();
            let moved = self.advance().await;
            match &moved {
                Ok(_) => fails = false,
                Err(error) => {
                    if !std::mem::replace(&mut fails, true) {
                        let cause = std::error::Error::source(error).map(ToString::to_string);
                        tracing::warn!(
                            cause,
                            "the search index stays where it is: searches do not find what has changed"
                        );
                    }
                }
            }
            match moved {
                Ok(IndexMove::More { changes: true }) => {}
                // With a pause, which leaves the database to others.
                Ok(IndexMove::More { changes: false }) => tokio::time::sleep(PAUSE).await,
                _ => {
                    tokio::time::sleep(PAUSE).await;
                    // A bell that is gone would ring for ever.
                    if let Ok(Err(_)) = tokio::time::timeout(POLL, bell.changed()).await {
                        tokio::time::sleep(POLL).await;
                    }
                }
            }
        }
    }
}

/// Has all products gone through, and changes followed from now on.
pub(super) async fn begin_anew(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE product_search_position
            SET after = pg_current_snapshot(), upto = NULL, xid = NULL, seq = NULL,
                unread_below = 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
    )
    .execute(connection)
    .await?;
    Ok(())
}
