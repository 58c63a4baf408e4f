//! The outbox: events of changes, read in the order of transactions by following snapshots.
//!
//! A [`Position`] says what a reader has seen as a snapshot of transactions, so that one which commits late is never
//! missed. Of one product the order of transactions is that of its versions: a change names the version it replaces,
//! so its statement begins after the transaction of that version has ended.

mod relay;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::PgPool;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::{corrupt, from_sqlx};
use crate::domain::error::Result;
use crate::domain::{Category, Error, ProductId, Recorded, Warehouse};
use crate::telemetry::query::Query;

static SNAPSHOT: Query = Query::new("outbox.snapshot");
static READ: Query = Query::new("outbox.read");

pub use relay::{Backlog, Refused, RelayTurn};

/// Where a reader of the outbox stands.
///
/// As text it is what watchers resume with: `after`, `upto`, and the last event on the way between both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// All that is visible in this snapshot was read.
    after: Snapshot,
    /// Reading is on its way to this snapshot; equal to `after` when it is there.
    upto: Snapshot,
    /// The last event on that way.
    last: Recorded,
}

/// A `pg_snapshot`: `xmin:xmax:xip,xip…`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Snapshot(String);

impl Snapshot {
    /// Most bytes of a snapshot in a token: some thousand transactions under way at a time.
    const MAX_BYTES: usize = 32 * 1024;

    /// Takes the text that PostgreSQL writes, and nothing that it would refuse.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax, xips) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| {
            text.parse::<u64>()
                .ok()
                .filter(|&xid| xid > 0 && i64::try_from(xid).is_ok())
        };
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let mut least = xmin;
        for xip in xips.split(',').filter(|_| !xips.is_empty()) {
            let xip = number(xip)?;
            if xip < least || xip >= xmax {
                return None;
            }
            least = xip + 1;
        }
        let sane = xmin <= xmax && parts.next().is_none() && text.len() <= Self::MAX_BYTES;
        sane.then(|| Self(text.to_owned()))
    }

    fn number(&self, part: usize) -> u64 {
        self.0
            .split(':')
            .nth(part)
            .and_then(|xid| xid.parse().ok())
            .unwrap_or_default()
    }

    /// The first transaction that was under way or not begun.
    fn xmin(&self) -> u64 {
        self.number(0)
    }

    /// The first transaction that was not begun.
    fn xmax(&self) -> u64 {
        self.number(1)
    }

    /// The transactions that were under way.
    fn under_way(&self) -> impl Iterator<Item = u64> {
        let xips = self.0.rsplit(':').next().unwrap_or_default();
        xips.split(',').filter_map(|xip| xip.parse().ok())
    }

    /// Whether the changes of a transaction that has committed by now are visible in the snapshot.
    fn shows(&self, xid: u64) -> bool {
        xid < self.xmin() || xid < self.xmax() && !self.under_way().any(|xip| xip == xid)
    }
}

impl Position {
    /// The position of one who has read all that a snapshot shows.
    fn at(snapshot: Snapshot) -> Self {
        let last = Recorded {
            xid: snapshot.xmin(),
            seq: 0,
        };
        Self {
            after: snapshot.clone(),
            upto: snapshot,
            last,
        }
    }

    fn from_row(after: &str, upto: &str, last: Recorded) -> Result<Self> {
        let parse = |text| Snapshot::parse(text).ok_or_else(|| corrupt("snapshot", text));
        Ok(Self {
            after: parse(after)?,
            upto: parse(upto)?,
            last,
        })
    }

    /// One who stands here has read all of the transactions before this one.
    pub fn horizon(&self) -> u64 {
        self.after.xmin()
    }

    /// Whether one who stands here has read an event that is in the outbox.
    pub fn has_passed(&self, event: Recorded) -> bool {
        self.after.shows(event.xid) || self.upto.shows(event.xid) && event <= self.last
    }

    /// The position of one who stands here, reads up to where `other` goes and is as far on the way as `other`.
    #[must_use]
    pub fn towards(&self, other: &Self) -> Self {
        if other.on_the_way() {
            Self {
                after: self.after.clone(),
                upto: other.upto.clone(),
                last: other.last,
            }
        } else {
            other.clone()
        }
    }

    fn on_the_way(&self) -> bool {
        self.after != self.upto
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.on_the_way() {
            let Recorded { xid, seq } = self.last;
            write!(f, "{}/{}/{xid}/{seq}", self.after.0, self.upto.0)
        } else {
            f.write_str(&self.after.0)
        }
    }
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Must be a token that an earlier answer gave")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidPosition> {
        let mut parts = text.split('/');
        let after = parts
            .next()
            .and_then(Snapshot::parse)
            .ok_or(InvalidPosition)?;
        let Some(upto) = parts.next() else {
            return Ok(Self::at(after));
        };
        let upto = Snapshot::parse(upto).ok_or(InvalidPosition)?;
        let mut number = || {
            parts
                .next()
                .and_then(|text| text.parse::<i64>().ok())
                .filter(|&number| number >= 0)
        };
        let (xid, seq) = number().zip(number()).ok_or(InvalidPosition)?;
        if parts.next().is_some() {
            return Err(InvalidPosition);
        }
        let last = Recorded {
            xid: xid.unsigned_abs(),
            seq,
        };
        Ok(Self { after, upto, last })
    }
}

/// An event as it is to be published.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identifier.
    pub id: Uuid,
    /// Where it is published, such as `catalog.product.created`.
    pub topic: String,
    /// Such as `ProductCreated`.
    pub event_type: String,
    /// The product that changed.
    pub product_id: ProductId,
    /// The event, JSON.
    pub payload: Box<RawValue>,
    /// W3C trace context of the request that made the change.
    pub traceparent: Option<String>,
    /// When it happened.
    pub time: OffsetDateTime,
}

/// An event as it stands in the outbox.
#[derive(Clone, Debug)]
pub struct OutboxEvent {
    /// Where it stands.
    pub recorded: Recorded,
    /// The product that changed.
    pub product_id: ProductId,
    /// Version of the product after the change.
    pub product_version: i32,
    /// Revision of the product after the change.
    pub product_revision: i32,
    /// What is published; nothing of a change of the stock, which others know and lists do not show.
    pub message: Option<Message>,
    /// Where lists showed the product before, when they did.
    pub before: Option<Listed>,
    /// Where lists show the product now, when they do.
    pub after: Option<Listed>,
}

/// The lists that show a product, beside that of all products.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    /// The list of its category.
    pub category: Option<Category>,
    /// The list of its warehouse.
    pub warehouse: Option<Warehouse>,
}

struct Row {
    xid: i64,
    seq: i64,
    id: Uuid,
    topic: Option<String>,
    event_type: Option<String>,
    product_id: Uuid,
    product_version: i32,
    product_revision: i32,
    listed_before: bool,
    listed_after: bool,
    old_category: Option<String>,
    old_warehouse_id: Option<String>,
    category: Option<String>,
    warehouse_id: Option<String>,
    payload: Option<Json<Box<RawValue>>>,
    traceparent: Option<String>,
    created_at: OffsetDateTime,
}

impl Row {
    fn into_event(self) -> Result<OutboxEvent> {
        let listed = |listed: bool, category: Option<String>, warehouse: Option<String>| {
            let category =
                category.map(|text| Category::parse(text).map_err(|m| corrupt("category", m)));
            let warehouse = warehouse
                .map(|text| Warehouse::parse(text).map_err(|m| corrupt("warehouse_id", m)));
            let (category, warehouse) = (category.transpose()?, warehouse.transpose()?);
            Ok::<_, Error>(listed.then_some(Listed {
                category,
                warehouse,
            }))
        };
        let product_id = ProductId::new(self.product_id);
        let message = match (self.topic, self.event_type, self.payload) {
            (Some(topic), Some(event_type), Some(Json(payload))) => Some(Message {
                id: self.id,
                topic,
                event_type,
                product_id,
                payload,
                traceparent: self.traceparent,
                time: self.created_at,
            }),
            _ => None,
        };
        Ok(OutboxEvent {
            recorded: recorded(self.xid, self.seq)?,
            product_id,
            product_version: self.product_version,
            product_revision: self.product_revision,
            message,
            before: listed(self.listed_before, self.old_category, self.old_warehouse_id)?,
            after: listed(self.listed_after, self.category, self.warehouse_id)?,
        })
    }
}

pub(super) fn recorded(xid: i64, seq: i64) -> Result<Recorded> {
    let xid = u64::try_from(xid).map_err(|_| corrupt("xid", xid))?;
    Ok(Recorded { xid, seq })
}

/// A transaction number as a parameter: `xid8` has no binary form that fits, its text does.
fn xid_text(xid: u64) -> String {
    xid.to_string()
}

/// The events between two snapshots, after some event on the way: `after`, `upto`, xid and seq of that event, and how
/// many at most. The snapshots stand in a `SELECT` of their own so that their text is read once and not for each row.
macro_rules! select_events {
    ($position:expr, $limit:expr) => {{
        let position: &Position = $position;
        sqlx::query_as!(
            Row,
            r#"SELECT xid::text::bigint AS "xid!", seq, id, topic, event_type, product_id, product_version,
                      product_revision, listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id,
                      payload AS "payload: Json<Box<RawValue>>", traceparent, created_at
                 FROM outbox
                WHERE (xid, seq) > ($3::text::xid8, $4)
                  AND xid < pg_snapshot_xmax((SELECT $2::text::pg_snapshot))
                  AND NOT pg_visible_in_snapshot(xid, (SELECT $1::text::pg_snapshot))
                  AND pg_visible_in_snapshot(xid, (SELECT $2::text::pg_snapshot))
                ORDER BY xid, seq
                LIMIT $5"#,
            position.after.0,
            position.upto.0,
            xid_text(position.last.xid),
            position.last.seq,
            $limit,
        )
    }};
}

use select_events;

/// Some events, and where the reader stands between and after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// In the order of transactions.
    pub events: Vec<OutboxEvent>,
    /// Whether there may be more already.
    pub more: bool,
    /// Whether there may be more on the way to the snapshot that is read up to.
    full: bool,
    /// Where the reader stood, with the snapshot that is read up to.
    start: Position,
}

impl Batch {
    /// What was read from a position; `resumed` says that the way had begun before.
    fn new(start: Position, rows: Vec<Row>, limit: i64, resumed: bool) -> Result<Self> {
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
        let events = rows
            .into_iter()
            .map(Row::into_event)
            .collect::<Result<_>>()?;
        // At the end of a way that began earlier, time has gone on.
        Ok(Self {
            events,
            more: full || resumed,
            full,
            start,
        })
    }

    /// Where the reader stands after the first `count` events.
    pub fn position(&self, count: usize) -> Position {
        match count.checked_sub(1).and_then(|last| self.events.get(last)) {
            _ if count >= self.events.len() && !self.full => Position::at(self.start.upto.clone()),
            Some(event) => Position {
                last: event.recorded,
                ..self.start.clone()
            },
            None => self.start.clone(),
        }
    }

    /// Where the reader stands after all of them.
    pub fn end(&self) -> Position {
        self.position(self.events.len())
    }
}

/// A position from which events are missing: they were removed, or they are of another database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the position is too old")]
pub struct TooOld;

/// The table `outbox`.
#[derive(Clone, Debug)]
pub struct PgOutbox {
    pool: PgPool,
}

impl PgOutbox {
    /// The outbox of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The position of one who has read all there is.
    pub async fn end(&self) -> Result<Position> {
        Ok(Position::at(self.snapshot().await?))
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let text = SNAPSHOT
            .run(
                sqlx::query_scalar!(r#"SELECT pg_current_snapshot()::text AS "snapshot!""#)
                    .fetch_one(&self.pool),
            )
            .await
            .map_err(from_sqlx)?;
        Snapshot::parse(&text).ok_or_else(|| corrupt("snapshot", text))
    }

    /// The events after a position, at most `limit` of them.
    pub async fn read(&self, position: &Position, limit: i64) -> Result<Batch> {
        let mut position = position.clone();
        let resumed = position.on_the_way();
        if !resumed {
            position.upto = self.snapshot().await?;
            if !position.on_the_way() {
                return Batch::new(position, Vec::new(), limit, false);
            }
        }
        let rows = READ
            .run(select_events!(&position, limit).fetch_all(&self.pool))
            .await
            .map_err(from_sqlx)?;
        Batch::new(position, rows, limit, resumed)
    }

    /// Whether all events after a position are still there.
    pub async fn check(&self, position: &Position) -> Result<std::result::Result<(), TooOld>> {
        let row = sqlx::query!(
            r#"SELECT pruned::text::bigint AS "pruned!", pg_current_snapshot()::text AS "now!" FROM outbox_relay"#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(from_sqlx)?;
        let pruned = recorded(row.pruned, 0)?.xid;
        let now = Snapshot::parse(&row.now).ok_or_else(|| corrupt("snapshot", row.now))?;
        let after = &position.after;
        // What was under way at the time and is over by now may be among the events that were removed.
        let over = |xid: u64| xid <= pruned && now.shows(xid);
        let gone = pruned >= after.xmax() || after.under_way().any(over);
        let elsewhere = position.upto.xmax().max(after.xmax()) > now.xmax();
        Ok(if gone || elsewhere {
            Err(TooOld)
        } else {
            Ok(())
        })
    }

    /// The products that changed within `age`, with the last transaction that changed each, unless there are more than
    /// `limit` changes.
    pub async fn changed_products(&self, age: Duration, limit: i64) -> Result<Changes> {
        let rows = sqlx::query!(
            r#"WITH recent AS (
                   SELECT xid, product_id, created_at FROM outbox ORDER BY xid DESC, seq DESC LIMIT $2::bigint + 1
               )
               SELECT product_id AS "product_id?", max(xid)::text::bigint AS xid, count(*) AS "count!",
                      pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "now!"
                 FROM recent WHERE created_at >= now() - make_interval(secs => $1)
                GROUP BY GROUPING SETS ((product_id), ())"#,
            age.as_secs_f64(),
            limit
        )
        .fetch_all(&self.pool)
        .await
        .map_err(from_sqlx)?;
        let mut products = Vec::with_capacity(rows.len());
        let (mut now, mut count) = (0, 0);
        for row in rows {
            if let (Some(id), Some(xid)) = (row.product_id, row.xid) {
                products.push((ProductId::new(id), recorded(xid, 0)?.xid));
            } else {
                // Of all products.
                (now, count) = (recorded(row.now, 0)?.xid, row.count);
            }
        }
        let products = (count <= limit).then_some(products);
        Ok(Changes { now, products })
    }
}

/// What changed lately.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The first transaction that was not begun.
    pub now: u64,
    /// The products, each with the last transaction that changed it; none when there are too many.
    pub products: Option<Vec<(ProductId, u64)>>,
}
