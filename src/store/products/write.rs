//! Changes of products, each with its event and what the audit log says of it.

use sqlx::postgres::PgConnection;
use sqlx::types::Json;

use super::super::audit::Record;
use super::super::bell::Bell;
use super::super::connections::Connections;
use super::super::error::from_sqlx;
use super::super::outbox::recorded;
use super::row::availability;
use crate::domain::error::Result;
use crate::domain::{
    Brand, Category, Change, Description, Error, Event, Product, Warehouse, Written,
};
use crate::events::contract;
use crate::telemetry::query::Query;

static CREATE: Query = Query::new("products.create");
static UPDATE: Query = Query::new("products.update");
static DELETE: Query = Query::new("products.delete");

/// What is written beside a change.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) event: contract::Encoded,
    /// The record for the audit log, JSON, where one is kept.
    pub(super) audit: Option<String>,
}

impl Encoded {
    pub(super) fn of(event: &Event) -> Result<Self> {
        let encoded = contract::encode(event).map_err(|error| Error::Internal(error.into()))?;
        Ok(Self {
            event: encoded,
            audit: Record::of_change(event)?,
        })
    }
}

/// Makes changes, and rings the bell after them.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    pub(super) connections: Connections,
    pub(super) bell: Bell,
}

impl Writes {
    pub(super) const fn new(connections: Connections, bell: Bell) -> Self {
        Self { connections, bell }
    }

    /// Makes one change, unless it finds another version of the product.
    pub(super) async fn one(&self, event: &Event, encoded: &Encoded) -> Result<Option<Written>> {
        let mut lease = self.connections.lease(false).await.map_err(from_sqlx)?;
        let row = match &event.change {
            Change::Created(product) => {
                CREATE
                    .run(Box::pin(insert(&mut lease, event, product, encoded)))
                    .await
            }
            Change::Updated { before, after } => {
                UPDATE
                    .run(Box::pin(replace(&mut lease, event, before, after, encoded)))
                    .await
            }
            Change::Deleted(product) => {
                DELETE
                    .run(Box::pin(remove(&mut lease, event, product, encoded)))
                    .await
            }
        };
        // Not again when the connection was lost: the change may have been made.
        lease.finish(&row);
        let written = row
            .map_err(from_sqlx)?
            .map(WrittenRow::written)
            .transpose()?;
        if written.is_some() {
            self.bell.ring();
        }
        Ok(written)
    }
}

/// Where an event was put, and what the product is after it.
struct WrittenRow {
    xid: i64,
    seq: i64,
    revision: i32,
    stock_quantity: Option<i64>,
    stock_reserved: Option<i64>,
    stock_available: Option<i64>,
}

impl WrittenRow {
    fn written(self) -> Result<Written> {
        Ok(Written {
            recorded: recorded(self.xid, self.seq)?,
            revision: self.revision,
            availability: availability(
                self.stock_quantity,
                self.stock_reserved,
                self.stock_available,
            ),
        })
    }
}

/// A change of a product, its event and what the audit log says of it, in one statement: none is there without the
/// others, and it takes one round trip and one flush of the log. `$1` to `$14` are of the event, then come
/// those of the change and, where the call leaves a receipt, those of that.
macro_rules! write_product {
    ($connection:expr, $event:expr, $encoded:expr, $before:expr, $after:expr;
     $change:literal, $receipt:literal, $($argument:expr),*) => {{
        let (event, encoded): (&Event, &Encoded) = ($event, $encoded);
        let (before, after): (Option<&Product>, Option<&Product>) = ($before, $after);
        match &event.cause.receipt {
            None => write_product!(@run $connection, event, encoded, before, after; $change, (), $($argument),*),
            Some(receipt) => {
                let call = receipt.call();
                let answer = after.or(before).map(|product| receipt.answer(product));
                write_product!(@run $connection, event, encoded, before, after; $change,
                    (", receipt AS (
                         INSERT INTO idempotency_keys (created_at, code, message, id, rpc, request, body)
                         SELECT $7, 0, '', " $receipt " FROM product)"),
                    $($argument,)* &call.id[..], call.operation, &call.request[..], answer)
            }
        }
    }};
    (@run $connection:expr, $event:ident, $encoded:ident, $before:ident, $after:ident;
     $change:literal, ($($receipt:literal)*), $($argument:expr),*) => {
        sqlx::query_as!(
            WrittenRow,
            "WITH product AS (" + $change + " RETURNING id, revision, stock_quantity, stock_reserved, stock_available),
             event AS (
                 INSERT INTO outbox (id, topic, event_type, product_id, product_version, product_revision, payload,
                     traceparent, created_at,
                     listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id)
                 SELECT $1, $2, $3, id, $4, revision, $5::text::json, $6, $7, $8, $9, $10, $11, $12, $13 FROM product
                 RETURNING xid, seq),
             audit AS (
                 INSERT INTO audit_log
                 SELECT record.* FROM product, jsonb_populate_record(NULL::audit_log, $14::text::jsonb) AS record
                  WHERE $14::text IS NOT NULL)" $(+ $receipt)* + "
             SELECT xid::text::bigint AS \"xid!\", seq AS \"seq!\", revision AS \"revision!\", stock_quantity, stock_reserved, stock_available
               FROM product, event",
            $event.id,
            $encoded.event.topic,
            $encoded.event.event_type,
            $event.change.version(),
            $encoded.event.payload.get(),
            $event.cause.traceparent,
            $event.time,
            $before.is_some(),
            $after.is_some(),
            $before.and_then(|product| product.category.as_ref().map(Category::as_str)),
            $before.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            $after.and_then(|product| product.category.as_ref().map(Category::as_str)),
            $after.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            $encoded.audit,
            $($argument),*
        )
        .fetch_optional($connection)
        .await
    };
}

async fn insert(
    connection: &mut PgConnection,
    event: &Event,
    product: &Product,
    encoded: &Encoded,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, None, Some(product);
        "INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, status,
             price_amount, currency, version, created_at, updated_at)
         VALUES ($15, $16, $17, $18, $12, $19, $20, $13, $21, $22, $23, $4, $24, $25)",
        "$26, $27, $28, $29",
        product.id.uuid(),
        product.sku.as_str(),
        product.name.as_str(),
        product.description.as_ref().map(Description::as_str),
        product.brand.as_ref().map(Brand::as_str),
        product.attributes.as_ref().map(|a| Json(a.as_map())) as _,
        product.status.as_str(),
        product.price.as_ref().map(|price| price.amount.decimal()),
        product.price.as_ref().map(|price| price.currency.as_str()),
        product.created_at,
        product.updated_at
    )
}

async fn replace(
    connection: &mut PgConnection,
    event: &Event,
    before: &Product,
    after: &Product,
    encoded: &Encoded,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, Some(before), Some(after);
        "UPDATE products
            SET name = $17, description = $18, category = $12, brand = $19, attributes = $20, warehouse_id = $13,
                status = $21, price_amount = $22, currency = $23, version = $4, revision = revision + 1,
                    updated_at = $24
          WHERE id = $15 AND version = $16 AND deleted_at IS NULL",
        "$25, $26, $27, $28",
        after.id.uuid(),
        before.version,
        after.name.as_str(),
        after.description.as_ref().map(Description::as_str),
        after.brand.as_ref().map(Brand::as_str),
        after.attributes.as_ref().map(|a| Json(a.as_map())) as _,
        after.status.as_str(),
        after.price.as_ref().map(|price| price.amount.decimal()),
        after.price.as_ref().map(|price| price.currency.as_str()),
        after.updated_at
    )
}

async fn remove(
    connection: &mut PgConnection,
    event: &Event,
    product: &Product,
    encoded: &Encoded,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, Some(product), None;
        "UPDATE products SET version = $4, revision = revision + 1, updated_at = $7, deleted_at = $7
          WHERE id = $15 AND version = $16 AND deleted_at IS NULL",
        "$17, $18, $19, $20",
        product.id.uuid(),
        product.version
    )
}
