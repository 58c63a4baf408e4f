//! Products in PostgreSQL. Every statement is static, checked at compile time and prepared.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sqlx::PgPool;
use sqlx::types::Json;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::bell::Bell;
use super::error::{corrupt, from_sqlx};
use super::outbox::recorded;
use crate::domain::error::Result;
use crate::domain::{
    Amount, Attributes, Availability, Brand, Category, Change, Currency, Description, Error, Event,
    ListQuery, Money, Page, Product, ProductId, ProductName, ProductStatus, ProductStore,
    ProductSummary, Sku, Warehouse, Written,
};
use crate::events::contract::{self, Encoded};

/// The table `products`.
#[derive(Clone, Debug)]
pub struct PgProducts {
    pool: PgPool,
    bell: Bell,
}

impl PgProducts {
    /// The products of a database; `bell` is rung after each change.
    pub const fn new(pool: PgPool, bell: Bell) -> Self {
        Self { pool, bell }
    }
}

struct Row {
    id: Uuid,
    sku: String,
    name: String,
    description: Option<String>,
    category: Option<String>,
    brand: Option<String>,
    attributes: Option<Json<Map<String, Value>>>,
    warehouse_id: Option<String>,
    status: String,
    price_amount: Option<Decimal>,
    currency: Option<String>,
    version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    stock_quantity: Option<i64>,
    stock_reserved: Option<i64>,
    stock_available: Option<i64>,
    revision: i32,
}

struct SummaryRow {
    id: Uuid,
    sku: String,
    name: String,
    category: Option<String>,
    warehouse_id: Option<String>,
    price_amount: Option<Decimal>,
    currency: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

fn value<T>(
    column: &'static str,
    parsed: std::result::Result<T, impl std::fmt::Display>,
) -> Result<T> {
    parsed.map_err(|message| corrupt(column, message))
}

fn optional<V, T, M: std::fmt::Display>(
    column: &'static str,
    stored: Option<V>,
    parse: impl FnOnce(V) -> std::result::Result<T, M>,
) -> Result<Option<T>> {
    stored
        .map(|stored| value(column, parse(stored)))
        .transpose()
}

fn money(amount: Option<Decimal>, currency: Option<String>) -> Result<Option<Money>> {
    match (amount, currency) {
        (Some(amount), Some(currency)) => Ok(Some(Money {
            amount: value("price_amount", Amount::new(amount))?,
            currency: value("currency", Currency::parse(currency))?,
        })),
        (None, None) => Ok(None),
        _ => Err(corrupt(
            "price_amount",
            "price without currency, or the reverse",
        )),
    }
}

/// The totals of a product's stock: all three are there, or none.
fn availability(
    quantity: Option<i64>,
    reserved: Option<i64>,
    available: Option<i64>,
) -> Option<Availability> {
    Some(Availability {
        quantity: quantity?,
        reserved: reserved?,
        available: available?,
    })
}

impl Row {
    fn into_product(self) -> Result<Product> {
        Ok(Product {
            id: ProductId::new(self.id),
            sku: value("sku", Sku::parse(self.sku))?,
            name: value("name", ProductName::parse(self.name))?,
            description: optional("description", self.description, Description::parse)?,
            category: optional("category", self.category, Category::parse)?,
            brand: optional("brand", self.brand, Brand::parse)?,
            attributes: optional("attributes", self.attributes, |Json(map)| {
                Attributes::parse(map)
            })?,
            price: money(self.price_amount, self.currency)?,
            warehouse: optional("warehouse_id", self.warehouse_id, Warehouse::parse)?,
            status: ProductStatus::parse(&self.status)
                .ok_or_else(|| corrupt("status", &self.status))?,
            created_at: self.created_at.to_offset(UtcOffset::UTC),
            updated_at: self.updated_at.to_offset(UtcOffset::UTC),
            version: self.version,
            availability: availability(
                self.stock_quantity,
                self.stock_reserved,
                self.stock_available,
            ),
            revision: self.revision,
        })
    }
}

impl SummaryRow {
    fn into_summary(self) -> Result<ProductSummary> {
        Ok(ProductSummary {
            id: ProductId::new(self.id),
            sku: value("sku", Sku::parse(self.sku))?,
            name: value("name", ProductName::parse(self.name))?,
            category: optional("category", self.category, Category::parse)?,
            price: money(self.price_amount, self.currency)?,
            warehouse: optional("warehouse_id", self.warehouse_id, Warehouse::parse)?,
            created_at: self.created_at.to_offset(UtcOffset::UTC),
            updated_at: self.updated_at.to_offset(UtcOffset::UTC),
        })
    }
}

/// One product by a condition, with all its columns.
macro_rules! select_product {
    ($condition:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id, sku, name, description, category, brand,
                      attributes AS "attributes: Json<Map<String, Value>>",
                      warehouse_id, status, price_amount, currency, version,
                      created_at, updated_at, stock_quantity, stock_reserved, stock_available, revision
                 FROM products WHERE deleted_at IS NULL AND "# + $condition,
            $($argument),+
        )
    };
}

/// A page and the total of a filter. Each filter has statements of its own, so that each has a
/// plan of its own; the inner select pages over the index and only the rows of the page are read
/// in full. An array, not a join: for a join the generic plan of a prepared statement expects a
/// tenth of the table and reads all of it.
macro_rules! select_page {
    ($pool:expr, $query:expr, $filter:literal $(, $argument:expr)*) => {{
        let total = sqlx::query_scalar!(
            r#"SELECT count(*) AS "total!" FROM products WHERE deleted_at IS NULL"# + $filter
            $(, $argument)*
        )
        .fetch_one($pool)
        .await
        .map_err(from_sqlx)?;
        if total <= $query.offset() {
            (total, Vec::new())
        } else {
            let rows = select_page!(@rows $filter $(, $argument)*; $query)
                .fetch_all($pool)
                .await
                .map_err(from_sqlx)?;
            (total, rows)
        }
    }};
    (@rows $filter:literal; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $1 OFFSET $2";
            i64::from($query.limit()), $query.offset())
    };
    (@rows $filter:literal, $a:expr; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $2 OFFSET $3";
            $a, i64::from($query.limit()), $query.offset())
    };
    (@rows $filter:literal, $a:expr, $b:expr; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $3 OFFSET $4";
            $a, $b, i64::from($query.limit()), $query.offset())
    };
    (@sql $filter:literal, $paging:literal; $($argument:expr),+) => {
        sqlx::query_as!(
            SummaryRow,
            "SELECT id, sku, name, category, warehouse_id, price_amount, currency,
                    created_at, updated_at
               FROM products
               WHERE id = ANY(ARRAY(SELECT id FROM products WHERE deleted_at IS NULL" + $filter + " "
            + $paging + ")) ORDER BY id DESC",
            $($argument),+
        )
    };
}

impl ProductStore for PgProducts {
    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let pool = &self.pool;
        let category = query.category().map(Category::as_str);
        let warehouse = query.warehouse().map(Warehouse::as_str);
        let (total, rows) = match (category, warehouse) {
            (None, None) => select_page!(pool, query, ""),
            (Some(category), None) => select_page!(pool, query, " AND category = $1", category),
            (None, Some(warehouse)) => {
                select_page!(pool, query, " AND warehouse_id = $1", warehouse)
            }
            (Some(category), Some(warehouse)) => select_page!(
                pool,
                query,
                " AND category = $1 AND warehouse_id = $2",
                category,
                warehouse
            ),
        };
        let items = rows
            .into_iter()
            .map(SummaryRow::into_summary)
            .collect::<Result<_>>()?;
        Ok(Page { items, total })
    }

    async fn find(&self, id: ProductId) -> Result<Option<Product>> {
        select_product!("id = $1", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(from_sqlx)?
            .map(Row::into_product)
            .transpose()
    }

    async fn find_by_sku(&self, sku: &Sku) -> Result<Option<Product>> {
        select_product!("sku = $1", sku.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(from_sqlx)?
            .map(Row::into_product)
            .transpose()
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let encoded = contract::encode(event).map_err(|error| Error::Internal(error.into()))?;
        let row = match &event.change {
            Change::Created(product) => self.insert(event, product, &encoded).await,
            Change::Updated { before, after } => self.replace(event, before, after, &encoded).await,
            Change::Deleted(product) => self.remove(event, product, &encoded).await,
        };
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

/// A change of a product and its event, in one statement: neither is there without the other, and it takes one round
/// trip and one flush of the log. `$1` to `$8` are of the event, the rest is the change's.
macro_rules! write_product {
    ($event:expr, $encoded:expr, $before:expr, $after:expr; $change:literal, $($argument:expr),*) => {{
        let (event, encoded): (&Event, &Encoded) = ($event, $encoded);
        let (before, after): (Option<&Product>, Option<&Product>) = ($before, $after);
        sqlx::query_as!(
            WrittenRow,
            "WITH product AS (" + $change + " RETURNING id, revision, stock_quantity, stock_reserved, stock_available),
             event AS (
                 INSERT INTO outbox (id, topic, event_type, product_id, product_version, product_revision, payload,
                     traceparent, created_at,
                     listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id)
                 SELECT $1, $2, $3, id, $4, revision, $5::text::json, $6, $7, $8, $9, $10, $11, $12, $13 FROM product
                 RETURNING xid, seq)
             SELECT xid::text::bigint AS \"xid!\", seq AS \"seq!\", revision AS \"revision!\", stock_quantity, stock_reserved, stock_available
               FROM product, event",
            event.id,
            encoded.topic,
            encoded.event_type,
            event.change.version(),
            encoded.payload.get(),
            event.cause.traceparent,
            event.time,
            before.is_some(),
            after.is_some(),
            before.and_then(|product| product.category.as_ref().map(Category::as_str)),
            before.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            after.and_then(|product| product.category.as_ref().map(Category::as_str)),
            after.and_then(|product| product.warehouse.as_ref().map(Warehouse::as_str)),
            $($argument),*
        )
    }};
}

impl PgProducts {
    async fn insert(
        &self,
        event: &Event,
        product: &Product,
        encoded: &Encoded,
    ) -> sqlx::Result<Option<WrittenRow>> {
        write_product!(event, encoded, None, Some(product);
            "INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, status,
                 price_amount, currency, version, created_at, updated_at)
             VALUES ($14, $15, $16, $17, $12, $18, $19, $13, $20, $21, $22, $4, $23, $24)",
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
        .fetch_optional(&self.pool)
        .await
    }

    async fn replace(
        &self,
        event: &Event,
        before: &Product,
        after: &Product,
        encoded: &Encoded,
    ) -> sqlx::Result<Option<WrittenRow>> {
        write_product!(event, encoded, Some(before), Some(after);
            "UPDATE products
                SET name = $16, description = $17, category = $12, brand = $18, attributes = $19, warehouse_id = $13,
                    status = $20, price_amount = $21, currency = $22, version = $4, revision = revision + 1,
                    updated_at = $23
              WHERE id = $14 AND version = $15 AND deleted_at IS NULL",
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
        .fetch_optional(&self.pool)
        .await
    }

    async fn remove(
        &self,
        event: &Event,
        product: &Product,
        encoded: &Encoded,
    ) -> sqlx::Result<Option<WrittenRow>> {
        write_product!(event, encoded, Some(product), None;
            "UPDATE products SET version = $4, revision = revision + 1, updated_at = $7, deleted_at = $7
              WHERE id = $14 AND version = $15 AND deleted_at IS NULL",
            product.id.uuid(),
            product.version
        )
        .fetch_optional(&self.pool)
        .await
    }
}
