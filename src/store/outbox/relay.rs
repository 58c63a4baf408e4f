//! What the relay asks of the outbox: its turn, events to publish, a place for those that were refused.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::counts::recount;
use super::super::error::from_sqlx;
use super::super::search_index;
use super::{Batch, Message, PgOutbox, Position, Row, Snapshot, recorded, select_events, xid_text};
use crate::domain::error::Result;
use crate::domain::{ProductId, Recorded};
use crate::telemetry::query::Query;

static TO_PUBLISH: Query = Query::new("outbox.to_publish");
static BACKLOG: Query = Query::new("outbox.backlog");
static COMMIT: Query = Query::new("outbox.commit");
static PRUNE: Query = Query::new("outbox.prune");

/// The turn of one relay: as long as it lasts, no other one publishes. Dropped without [`commit`](Self::commit), it
/// leaves everything as it was.
#[derive(Debug)]
pub struct RelayTurn {
    transaction: Transaction<'static, Postgres>,
    position: Position,
}

/// An event that a broker refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What is published.
    pub message: Message,
    /// How often publishing was tried; 0 for an event that waits behind another of its product.
    pub attempts: i32,
    /// When it is tried again, unless it is parked.
    pub next_attempt_at: OffsetDateTime,
    /// What the broker said last.
    pub last_error: Option<String>,
    /// When trying was given up.
    pub parked_at: Option<OffsetDateTime>,
}

/// What is not published yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How long the first event that was not published waits.
    pub oldest: Option<Duration>,
    /// How many wait, that one and those behind it. Counted up to [`Backlog::MOST`].
    pub waiting: i64,
    /// How many were refused, or wait behind one that was, and are tried again. Counted up to [`Backlog::MOST`].
    pub refused: i64,
    /// How many were given up. Counted with those.
    pub parked: i64,
}

impl Backlog {
    /// Most events of a kind that are counted.
    pub const MOST: i64 = 10_000;
}

struct RefusedRow {
    id: Uuid,
    topic: String,
    event_type: String,
    product_id: Uuid,
    payload: Json<Box<RawValue>>,
    traceparent: Option<String>,
    created_at: OffsetDateTime,
    attempts: i32,
    next_attempt_at: OffsetDateTime,
    last_error: Option<String>,
    parked_at: Option<OffsetDateTime>,
}

impl From<RefusedRow> for Refused {
    fn from(row: RefusedRow) -> Self {
        Self {
            message: Message {
                id: row.id,
                topic: row.topic,
                event_type: row.event_type,
                product_id: ProductId::new(row.product_id),
                payload: row.payload.0,
                traceparent: row.traceparent,
                time: row.created_at,
            },
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            last_error: row.last_error,
            parked_at: row.parked_at,
        }
    }
}

macro_rules! select_refused {
    ($condition:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            RefusedRow,
            r#"SELECT id, topic, event_type, product_id, payload AS "payload: Json<Box<RawValue>>", traceparent,
                      created_at, attempts, next_attempt_at, last_error, parked_at
                 FROM outbox_refused AS refused "# + $condition
            $(, $argument)*
        )
    };
}

impl PgOutbox {
    /// Takes the turn, unless another relay has it.
    pub async fn claim(&self) -> Result<Option<RelayTurn>> {
        let mut transaction = self.pool.begin().await.map_err(from_sqlx)?;
        // What is lost of a position by a crash of the server is published once more: no reason to wait for the disk.
        let row = sqlx::query!(
            r#"SELECT after::text AS "after!", upto::text AS "upto!", xid::text::bigint AS "xid!", seq,
                      set_config('synchronous_commit', 'off', true) AS lazily,
                      pg_current_snapshot()::text AS "now!",
                      (SELECT pg_snapshot_xmax(after)::text::bigint FROM product_counts_position) AS "counted!",
                      (SELECT pg_snapshot_xmax(coalesce(upto, after))::text::bigint
                         FROM product_search_position) AS "indexed!"
                 FROM outbox_relay FOR UPDATE SKIP LOCKED"#
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(from_sqlx)?;
        let Some(row) = row else { return Ok(None) };
        let position = Position::from_row(&row.after, &row.upto, recorded(row.xid, row.seq)?)?;
        let now = Position::from_row(&row.now, &row.now, Recorded { xid: 0, seq: 0 })?;
        let furthest = (position.upto.xmax())
            .max(recorded(row.counted, 0)?.xid)
            .max(recorded(row.indexed, 0)?.xid);
        // Asked once more: another relay may have moved the position on after that statement began.
        if furthest > now.upto.xmax() && furthest > self.snapshot().await?.xmax() {
            tracing::warn!(
                "the database was restored into another one: the latest events are published once more"
            );
            restore(&self.pool, &mut transaction)
                .await
                .map_err(from_sqlx)?;
            transaction.commit().await.map_err(from_sqlx)?;
            // To be read by a transaction that sees the new numbers as those of another.
            return Box::pin(self.claim()).await;
        }
        Ok(Some(RelayTurn {
            transaction,
            position,
        }))
    }

    /// What is not published yet; quickly, however much it is.
    pub async fn backlog(&self) -> Result<Backlog> {
        let row = BACKLOG.run(sqlx::query!(
            r#"SELECT (SELECT greatest(extract(epoch FROM now() - first.created_at), 0)::float8
                         FROM outbox_relay AS relay, LATERAL (
                             SELECT created_at FROM outbox
                              WHERE (xid, seq) > (relay.xid, relay.seq) AND NOT pg_visible_in_snapshot(xid, relay.after)
                              ORDER BY xid, seq LIMIT 1) AS first) AS oldest,
                      (SELECT count(*)
                         FROM outbox_relay AS relay, LATERAL (
                             SELECT FROM outbox
                              WHERE (xid, seq) > (relay.xid, relay.seq) AND NOT pg_visible_in_snapshot(xid, relay.after)
                              ORDER BY xid, seq LIMIT $1) AS first) AS "waiting!",
                      count(*) FILTER (WHERE parked_at IS NULL) AS "refused!",
                      count(*) FILTER (WHERE parked_at IS NOT NULL) AS "parked!"
                 FROM (SELECT parked_at FROM outbox_refused LIMIT $1) AS refused"#,
            Backlog::MOST
        )
        .fetch_one(&self.pool))
        .await
        .map_err(from_sqlx)?;
        Ok(Backlog {
            oldest: row.oldest.map(Duration::from_secs_f64),
            waiting: row.waiting,
            refused: row.refused,
            parked: row.parked,
        })
    }

    /// The events that were refused, the oldest first: those that were given up, or those that are tried again too.
    pub async fn refused(&self, parked_only: bool, limit: i64) -> Result<Vec<Refused>> {
        let rows = select_refused!(
            "WHERE parked_at IS NOT NULL OR NOT $1 ORDER BY xid, seq LIMIT $2",
            parked_only,
            limit
        )
        .fetch_all(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(rows.into_iter().map(Refused::from).collect())
    }

    /// Has parked events published again, all of them or those of some ids; gives the ids of those that were parked.
    pub async fn replay(&self, ids: Option<&[Uuid]>) -> Result<Vec<Uuid>> {
        sqlx::query_scalar!(
            "UPDATE outbox_refused SET parked_at = NULL, attempts = 0, next_attempt_at = now()
              WHERE parked_at IS NOT NULL AND ($1::uuid[] IS NULL OR id = ANY($1))
             RETURNING id",
            ids
        )
        .fetch_all(&self.pool)
        .await
        .map_err(from_sqlx)
    }

    /// Removes events that were published and counted and are older than `age`, at most `limit` of them; gives their
    /// number.
    pub async fn prune(&self, age: Duration, limit: i64) -> Result<u64> {
        let row = PRUNE.run(sqlx::query!(
            r#"WITH old AS (
                   SELECT outbox.xid, outbox.seq FROM outbox, outbox_relay
                    WHERE pg_visible_in_snapshot(outbox.xid, after)
                      AND pg_visible_in_snapshot(outbox.xid, (SELECT after FROM product_counts_position))
                    ORDER BY outbox.xid, outbox.seq LIMIT $2
               ), gone AS (
                   DELETE FROM outbox USING old
                    WHERE outbox.xid = old.xid AND outbox.seq = old.seq
                      AND created_at < now() - make_interval(secs => $1)
                   RETURNING outbox.xid
               ), noted AS (
                   UPDATE outbox_relay SET pruned = greatest(pruned, (SELECT max(xid) FROM gone))
                    WHERE EXISTS (SELECT 1 FROM gone)
               )
               SELECT count(*) AS "count!" FROM gone"#,
            age.as_secs_f64(),
            limit
        )
        .fetch_one(&self.pool))
        .await
        .map_err(from_sqlx)?;
        Ok(row.count.unsigned_abs())
    }
}

/// Numbers the events anew after a dump was restored, where transactions count from elsewhere. What was not published,
/// or may not have been, counts as new.
async fn restore(pool: &PgPool, transaction: &mut PgConnection) -> sqlx::Result<()> {
    // Of another connection: that of the transaction would show its own changes.
    let before = sqlx::query_scalar!(r#"SELECT pg_current_snapshot()::text AS "snapshot!""#)
        .fetch_one(pool)
        .await?;
    sqlx::query!(
        "UPDATE outbox
            SET xid = CASE
                WHEN NOT pg_visible_in_snapshot(outbox.xid, relay.after)
                  OR created_at >= coalesce(published_at, '-infinity') - interval '1 minute'
                THEN pg_current_xact_id() ELSE '3'::xid8 END
           FROM outbox_relay AS relay"
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE outbox_relay
            SET after = $1::text::pg_snapshot, upto = $1::text::pg_snapshot,
                xid = pg_snapshot_xmin($1::text::pg_snapshot), seq = 0, pruned = '3'",
        before
    )
    .execute(&mut *transaction)
    .await?;
    // Which of the events the counts and the search index hold can't be told any more.
    search_index::begin_anew(transaction).await?;
    recount(transaction).await
}

impl RelayTurn {
    /// Whether a batch of [`RelayTurn::read_ahead`], in an earlier turn, is what this one begins with.
    pub fn begins_with(&self, batch: &Batch) -> bool {
        batch.start == self.position
    }

    /// The next events, at most `limit` of them.
    pub async fn read(&mut self, limit: i64) -> Result<Batch> {
        let mut position = self.position.clone();
        let resumed = position.on_the_way();
        if !resumed {
            let now = sqlx::query_scalar!(r#"SELECT pg_current_snapshot()::text AS "snapshot!""#)
                .fetch_one(&mut *self.transaction)
                .await
                .map_err(from_sqlx)?;
            position.upto = Snapshot::parse(&now).ok_or_else(|| super::corrupt("snapshot", now))?;
        }
        self.read_from(position, limit, resumed).await
    }

    /// The events after those of a batch that was cut short by its limit. What a snapshot shows does not change: these
    /// are the next ones, whoever has the turn then.
    pub async fn read_ahead(&mut self, batch: &Batch, limit: i64) -> Result<Option<Batch>> {
        if !batch.full {
            return Ok(None);
        }
        self.read_from(batch.end(), limit, true).await.map(Some)
    }

    async fn read_from(&mut self, position: Position, limit: i64, resumed: bool) -> Result<Batch> {
        let rows = TO_PUBLISH
            .run(select_events!(&position, limit).fetch_all(&mut *self.transaction))
            .await
            .map_err(from_sqlx)?;
        Batch::new(position, rows, limit, resumed)
    }

    /// The products of which an event waits to be tried again: later ones have to wait behind it.
    pub async fn waiting(&mut self) -> Result<HashSet<ProductId>> {
        let ids = sqlx::query_scalar!(
            "SELECT DISTINCT product_id FROM outbox_refused WHERE parked_at IS NULL"
        )
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(from_sqlx)?;
        Ok(ids.into_iter().map(ProductId::new).collect())
    }

    /// The first waiting event of each product, where it is due.
    pub async fn due(&mut self, limit: i64) -> Result<Vec<Refused>> {
        let rows = select_refused!(
            "WHERE parked_at IS NULL AND next_attempt_at <= now()
               AND NOT EXISTS (SELECT 1 FROM outbox_refused AS earlier
                                WHERE earlier.product_id = refused.product_id AND earlier.parked_at IS NULL
                                  AND (earlier.xid, earlier.seq) < (refused.xid, refused.seq))
             ORDER BY xid, seq LIMIT $1",
            limit
        )
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(from_sqlx)?;
        Ok(rows.into_iter().map(Refused::from).collect())
    }

    /// Puts an event aside: one that was refused for `error`, to be tried again after `pause`, or one that waits behind
    /// another.
    pub async fn put_aside(
        &mut self,
        recorded: Recorded,
        message: &Message,
        error: Option<&str>,
        pause: Duration,
    ) -> Result<()> {
        sqlx::query!(
            "INSERT INTO outbox_refused (id, xid, seq, topic, event_type, product_id, payload, traceparent, created_at,
                 attempts, next_attempt_at, last_error)
             VALUES ($1, $2::text::xid8, $3, $4, $5, $6, $7::text::json, $8, $9, $10, now() + make_interval(secs => $11), $12)
             ON CONFLICT (id) DO NOTHING",
            message.id,
            xid_text(recorded.xid),
            recorded.seq,
            message.topic,
            message.event_type,
            message.product_id.uuid(),
            message.payload.get(),
            message.traceparent,
            message.time,
            i32::from(error.is_some()),
            pause.as_secs_f64(),
            error,
        )
        .execute(&mut *self.transaction)
        .await
        .map_err(from_sqlx)?;
        Ok(())
    }

    /// Notes that events which were put aside are published now.
    pub async fn published(&mut self, ids: &[Uuid]) -> Result<()> {
        sqlx::query!("DELETE FROM outbox_refused WHERE id = ANY($1)", ids)
            .execute(&mut *self.transaction)
            .await
            .map_err(from_sqlx)?;
        Ok(())
    }

    /// Notes that an event was refused again; without a pause it is parked.
    pub async fn refused_again(
        &mut self,
        id: Uuid,
        error: &str,
        pause: Option<Duration>,
    ) -> Result<()> {
        sqlx::query!(
            "UPDATE outbox_refused
                SET attempts = attempts + 1, last_error = $2,
                    next_attempt_at = now() + make_interval(secs => coalesce($3::float8, 0)),
                    parked_at = CASE WHEN $3::float8 IS NULL THEN now() END
              WHERE id = $1",
            id,
            error,
            pause.map(|pause| pause.as_secs_f64())
        )
        .execute(&mut *self.transaction)
        .await
        .map_err(from_sqlx)?;
        Ok(())
    }

    /// Keeps what was done, and that everything up to `position` is published or put aside.
    pub async fn commit(mut self, position: &Position) -> Result<()> {
        if *position != self.position {
            sqlx::query!(
                "UPDATE outbox_relay
                    SET after = $1::text::pg_snapshot, upto = $2::text::pg_snapshot, xid = $3::text::xid8, seq = $4,
                        published_at = now()",
                position.after.0,
                position.upto.0,
                xid_text(position.last.xid),
                position.last.seq
            )
            .execute(&mut *self.transaction)
            .await
            .map_err(from_sqlx)?;
        }
        COMMIT
            .run(self.transaction.commit())
            .await
            .map_err(from_sqlx)
    }
}
