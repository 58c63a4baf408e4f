//! The inventory in PostgreSQL.

use sqlx::PgPool;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::bell::Bell;
use super::error::{corrupt, from_sqlx};
use super::products::availability;
use crate::domain::error::Result;
use crate::domain::inventory::{Outcome, ProductStock, StockUpdate, Verdict, WarehouseStock};
use crate::domain::{InventoryStore, ProductId, Warehouse};
use crate::telemetry::query::Query;

static LIST: Query = Query::new("inventory.list");
static APPLY: Query = Query::new("inventory.apply");

/// The table `inventory`, and the totals in `products`.
#[derive(Clone, Debug)]
pub struct PgInventory {
    pool: PgPool,
    bell: Bell,
}

impl PgInventory {
    /// The inventory of a database; `bell` is rung after each change.
    pub const fn new(pool: PgPool, bell: Bell) -> Self {
        Self { pool, bell }
    }
}

impl InventoryStore for PgInventory {
    async fn stock(&self, product: ProductId) -> Result<Option<ProductStock>> {
        // One statement, so that the totals are those of the rows.
        let rows = LIST.run(sqlx::query!(
            r#"SELECT stock_quantity, stock_reserved, stock_available,
                      inventory.warehouse_id AS "warehouse_id?", quantity AS "quantity?", reserved AS "reserved?",
                      available AS "available?", event_time AS "event_time?"
                 FROM products LEFT JOIN inventory ON product_id = id
                WHERE id = $1 AND deleted_at IS NULL
                ORDER BY inventory.warehouse_id"#,
            product.uuid()
        )
        .fetch_all(&self.pool))
        .await
        .map_err(from_sqlx)?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let totals = availability(
            first.stock_quantity,
            first.stock_reserved,
            first.stock_available,
        );
        let mut warehouses = Vec::with_capacity(rows.len());
        for row in rows {
            if let (Some(warehouse), Some(quantity), Some(reserved), Some(available), Some(time)) = (
                row.warehouse_id,
                row.quantity,
                row.reserved,
                row.available,
                row.event_time,
            ) {
                warehouses.push(WarehouseStock {
                    warehouse: Warehouse::parse(warehouse)
                        .map_err(|message| corrupt("warehouse_id", message))?,
                    quantity,
                    reserved,
                    available,
                    updated_at: time.to_offset(UtcOffset::UTC),
                });
            }
        }
        Ok(Some(ProductStock { warehouses, totals }))
    }

    async fn apply(&self, update: &StockUpdate, now: OffsetDateTime, id: Uuid) -> Result<Verdict> {
        let verdict = APPLY
            .run(self.write(update, now, id))
            .await
            .map_err(from_sqlx)?;
        if verdict == Verdict::Heard(Outcome::Applied) {
            self.bell.ring();
        }
        Ok(verdict)
    }
}

impl PgInventory {
    async fn write(
        &self,
        update: &StockUpdate,
        now: OffsetDateTime,
        id: Uuid,
    ) -> sqlx::Result<Verdict> {
        let (origin, stock) = (&update.origin, &update.stock);
        let mut transaction = self.pool.begin().await?;
        // The updates of one product come one after the other: the statement after this one sees all that was before,
        // and so its sums are right.
        let product = sqlx::query!(
            r#"SELECT sku, deleted_at IS NOT NULL AS "deleted!" FROM products WHERE id = $1 FOR NO KEY UPDATE"#,
            update.product.uuid()
        )
        .fetch_optional(&mut *transaction)
        .await?;
        match product {
            None => return Ok(Verdict::UnknownProduct),
            Some(product) if product.sku != update.sku.as_str() => return Ok(Verdict::OtherSku),
            Some(product) if product.deleted => return Ok(Verdict::Heard(Outcome::Deleted)),
            Some(_) => {}
        }
        let row = sqlx::query!(
            r#"WITH fresh AS (
                   INSERT INTO inbox (source, event_id, received_at) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING RETURNING event_id
               ), stored AS (
                   INSERT INTO inventory AS known (product_id, warehouse_id, quantity, reserved, available, event_time,
                       event_id, updated_at)
                   SELECT $4, $5, $6, $7, $8, $9, event_id, $3 FROM fresh
                   ON CONFLICT (product_id, warehouse_id) DO UPDATE
                       SET quantity = excluded.quantity, reserved = excluded.reserved, available = excluded.available,
                           event_time = excluded.event_time, event_id = excluded.event_id,
                           updated_at = excluded.updated_at
                     WHERE (excluded.event_time, excluded.event_id) > (known.event_time, known.event_id)
                   RETURNING quantity, reserved, available
               ), total AS (
                   SELECT sum(quantity)::bigint AS quantity, sum(reserved)::bigint AS reserved,
                          sum(available)::bigint AS available
                     FROM (SELECT quantity, reserved, available FROM stored
                           UNION ALL
                           SELECT quantity, reserved, available FROM inventory
                            WHERE product_id = $4 AND warehouse_id <> $5) AS warehouses
               ), product AS (
                   UPDATE products
                      SET stock_quantity = total.quantity, stock_reserved = total.reserved,
                          stock_available = total.available, revision = revision + 1
                     FROM total WHERE id = $4 AND EXISTS (SELECT 1 FROM stored)
                   RETURNING id, version, revision, category, warehouse_id
               ), note AS (
                   INSERT INTO outbox (id, product_id, product_version, product_revision, created_at,
                       listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id)
                   SELECT $10, id, version, revision, $3, true, true, category, warehouse_id, category, warehouse_id
                     FROM product
               )
               SELECT EXISTS (SELECT 1 FROM fresh) AS "fresh!", EXISTS (SELECT 1 FROM stored) AS "stored!""#,
            origin.source,
            origin.id,
            now,
            update.product.uuid(),
            stock.warehouse.as_str(),
            stock.quantity,
            stock.reserved,
            stock.available,
            origin.time,
            id
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Verdict::Heard(match (row.fresh, row.stored) {
            (false, _) => Outcome::Repeated,
            (true, false) => Outcome::Outdated,
            (true, true) => Outcome::Applied,
        }))
    }
}
