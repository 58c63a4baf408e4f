//! Products in PostgreSQL. Every statement is static, checked at compile time and prepared.

mod creates;
mod list;
mod lookup;
mod row;
mod search;
mod write;

use sqlx::PgPool;

use super::batches::Batches;
use super::bell::Bell;
use super::connections::{ConnectionUse, Connections, read};
use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::domain::{
    Change, Event, ListQuery, Page, Product, ProductId, ProductStore, Sku, Written,
};
use crate::telemetry::query::Query;
use lookup::Lookups;
use row::Row;
pub(super) use row::availability;
use write::{Encoded, Writes};

static LIST: Query = Query::new("products.list");
static FIND_BY_SKU: Query = Query::new("products.find_by_sku");

/// The table `products`.
#[derive(Clone, Debug)]
pub struct PgProducts {
    connections: Connections,
    lookups: Lookups,
    writes: Batches<Writes>,
}

impl PgProducts {
    /// The products of a database; `bell` is rung after each change.
    pub fn new(pool: PgPool, bell: Bell) -> Self {
        let connections = Connections::new(pool);
        Self {
            lookups: Lookups::new(connections.clone()),
            writes: Batches::new(Writes::new(connections.clone(), bell)),
            connections,
        }
    }

    /// How the connections are used.
    pub fn connection_use(&self) -> ConnectionUse {
        ConnectionUse(self.connections.clone())
    }
}

impl ProductStore for PgProducts {
    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let rows = read!(self.connections, connection => LIST.run(Box::pin(list::select(connection, query))));
        list::page(query, rows.map_err(from_sqlx)?)
    }

    async fn find(&self, id: ProductId) -> Result<Option<Product>> {
        let row = self.lookups.find(id.uuid()).await.map_err(from_sqlx)?;
        row.map(Row::into_product).transpose()
    }

    async fn find_by_sku(&self, sku: &Sku) -> Result<Option<Product>> {
        let row = read!(self.connections, connection => FIND_BY_SKU.run(Box::pin(lookup::by_sku(connection, sku))));
        row.map_err(from_sqlx)?.map(Row::into_product).transpose()
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let encoded = Encoded::of(event)?;
        let written = match &event.change {
            Change::Created(product) => {
                creates::create(&self.writes, event, product, encoded).await
            }
            Change::Updated { .. } | Change::Deleted(_) => {
                self.writes.statement().one(event, &encoded).await
            }
        }?;
        if written.is_some() {
            if let Some(call) = &event.cause.audit {
                // A call makes one change.
                let _ = call.kept.set(());
            }
            if let Some(receipt) = &event.cause.receipt {
                receipt.kept();
            }
        }
        Ok(written)
    }
}
