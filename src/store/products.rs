//! Products in PostgreSQL. Every statement is static, checked at compile time and prepared.

mod list;
mod lookup;
mod row;
mod search;

use sqlx::PgPool;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;

use super::audit::Record;
use super::bell::Bell;
use super::connections::{ConnectionUse, Connections, read};
use super::error::from_sqlx;
use super::outbox::recorded;
use crate::domain::error::Result;
use crate::domain::{
    Brand, Category, Change, Description, Error, Event, ListQuery, Page, Product, ProductId,
    ProductStore, Sku, Warehouse, Written,
};
use crate::events::contract::{self, Encoded};
use crate::telemetry::query::Query;
use lookup::Lookups;
use row::Row;
pub(super) use row::availability;

static LIST: Query = Query::new("products.list");
static FIND_BY_SKU: Query = Query::new("products.find_by_sku");
static CREATE: Query = Query::new("products.create");
static UPDATE: Query = Query::new("products.update");
static DELETE: Query = Query::new("products.delete");

/// The table `products`.
#[derive(Clone, Debug)]
pub struct PgProducts {
    connections: Connections,
    lookups: Lookups,
    bell: Bell,
}

impl PgProducts {
    /// The products of a database; `bell` is rung after each change.
    pub fn new(pool: PgPool, bell: Bell) -> Self {
        let connections = Connections::new(pool);
        Self {
            lookups: Lookups::new(connections.clone()),
            connections,
            bell,
        }
    }

    /// How the connections are used.
    pub fn connection_use(&self) -> ConnectionUse {
        ConnectionUse(self.connections.clone())
    }
}

impl ProductStore for PgProducts {
    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let rows = read!(self.connections, connection => LIST.run(list::select(connection, query)));
        list::page(query, rows.map_err(from_sqlx)?)
    }

    async fn find(&self, id: ProductId) -> Result<Option<Product>> {
        let row = self.lookups.find(id.uuid()).await.map_err(from_sqlx)?;
        row.map(Row::into_product).transpose()
    }

    async fn find_by_sku(&self, sku: &Sku) -> Result<Option<Product>> {
        let row =
            read!(self.connections, connection => FIND_BY_SKU.run(lookup::by_sku(connection, sku)));
        row.map_err(from_sqlx)?.map(Row::into_product).transpose()
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let encoded = contract::encode(event).map_err(|error| Error::Internal(error.into()))?;
        let audit = Record::of_change(event)?;
        let audit = audit.as_deref();
        let mut lease = self.connections.lease(false).await.map_err(from_sqlx)?;
        let row = match &event.change {
            Change::Created(product) => {
                CREATE
                    .run(insert(&mut lease, event, product, &encoded, audit))
                    .await
            }
            Change::Updated { before, after } => {
                UPDATE
                    .run(replace(&mut lease, event, before, after, &encoded, audit))
                    .await
            }
            Change::Deleted(product) => {
                DELETE
                    .run(remove(&mut lease, event, product, &encoded, audit))
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
            if let Some(call) = &event.cause.audit {
                // A call makes one change.
                let _ = call.kept.set(());
            }
            if let Some(receipt) = &event.cause.receipt {
                receipt.kept();
            }
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
    ($connection:expr, $event:expr, $encoded:expr, $audit:expr, $before:expr, $after:expr;
     $change:literal, $receipt:literal, $($argument:expr),*) => {{
        let (event, encoded, audit): (&Event, &Encoded, Option<&str>) = ($event, $encoded, $audit);
        let (before, after): (Option<&Product>, Option<&Product>) = ($before, $after);
        match &event.cause.receipt {
            None => write_product!(@run $connection, event, encoded, audit, before, after; $change, (), $($argument),*),
            Some(receipt) => {
                let call = receipt.call();
                let answer = after.or(before).map(|product| receipt.answer(product));
                write_product!(@run $connection, event, encoded, audit, before, after; $change,
                    (", receipt AS (
                         INSERT INTO idempotency_keys (created_at, code, message, id, rpc, request, body)
                         SELECT $7, 0, '', " $receipt " FROM product)"),
                    $($argument,)* &call.id[..], call.operation, &call.request[..], answer)
            }
        }
    }};
    (@run $connection:expr, $event:ident, $encoded:ident, $audit:ident, $before:ident, $after:ident;
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
            $encoded.topic,
            $encoded.event_type,
            $event.change.version(),
            $encoded.payload.get(),
            $event.cause.traceparent,
            $event.time,
            $before.is_some(),
            $after.is_some(),
            $before.and_then(|product| product.category.as_ref().map(Category::as_str)),
            $before.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            $after.and_then(|product| product.category.as_ref().map(Category::as_str)),
            $after.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            $audit,
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
    audit: Option<&str>,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, audit, None, Some(product);
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
    audit: Option<&str>,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, audit, Some(before), Some(after);
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
    audit: Option<&str>,
) -> sqlx::Result<Option<WrittenRow>> {
    write_product!(connection, event, encoded, audit, Some(product), None;
        "UPDATE products SET version = $4, revision = revision + 1, updated_at = $7, deleted_at = $7
          WHERE id = $15 AND version = $16 AND deleted_at IS NULL",
        "$17, $18, $19, $20",
        product.id.uuid(),
        product.version
    )
}
