//! What the domain asks of the world: a place that keeps products, the time, fresh ids.

use std::future::Future;

use time::OffsetDateTime;
use uuid::Uuid;

use super::error::Result;
use super::event::Event;
use super::id::ProductId;
use super::inventory::{Availability, ProductStock, StockUpdate, Verdict};
use super::list::{ListQuery, Page};
use super::product::Product;
use super::search::SearchQuery;
use super::shared::Shared;
use super::value::Sku;

/// Where the store put the event of a change, in the order of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recorded {
    /// The transaction.
    pub xid: u64,
    /// Its place among the events of the transaction.
    pub seq: i64,
}

/// What came of a change that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where its event is.
    pub recorded: Recorded,
    /// Revision of the product after the change.
    pub revision: i32,
    /// Its stock at that revision, which may have changed since the product was read.
    pub availability: Option<Availability>,
}

/// Keeps products, and with each change its event. A deleted product is as good as absent for every operation.
pub trait ProductStore: Send + Sync + 'static {
    /// A page of the products that match, the newest first.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page>> + Send;

    /// The product of an id.
    fn find(&self, id: ProductId) -> impl Future<Output = Result<Option<Product>>> + Send;

    /// The product of a SKU.
    fn find_by_sku(&self, sku: &Sku) -> impl Future<Output = Result<Option<Product>>> + Send;

    /// Makes a change and keeps its event, both or none of them. `None` when the product is not, or no longer, the one
    /// that the change begins with; [`AlreadyExists`](super::Error::AlreadyExists) when its SKU is in use.
    fn write(&self, event: &Event) -> impl Future<Output = Result<Option<Written>>> + Send;

    /// As [`list`](Self::list), for callers who do not change what they read: it may come from a cache. It holds every
    /// change that this store has answered for.
    fn read_list(&self, query: &ListQuery) -> impl Future<Output = Result<Shared<Page>>> + Send {
        async { self.list(query).await.map(Shared::new) }
    }

    /// As [`find`](Self::find), in the way of [`read_list`](Self::read_list).
    fn read(&self, id: ProductId) -> impl Future<Output = Result<Option<Shared<Product>>>> + Send {
        async move { Ok(self.find(id).await?.map(Shared::new)) }
    }

    /// As [`find_by_sku`](Self::find_by_sku), in the way of [`read_list`](Self::read_list).
    fn read_by_sku(
        &self,
        sku: &Sku,
    ) -> impl Future<Output = Result<Option<Shared<Product>>>> + Send {
        async { Ok(self.find_by_sku(sku).await?.map(Shared::new)) }
    }
}

/// Finds products by their words, a moment after they have changed.
pub trait ProductSearch: Send + Sync + 'static {
    /// A page of the products that match, the best first.
    fn search(&self, query: &SearchQuery) -> impl Future<Output = Result<Page>> + Send;
}

/// Keeps what is in stock, and with each change of it a note for those who follow the changes of products.
pub trait InventoryStore: Send + Sync + 'static {
    /// The stock of a product; `None` when there is no such product.
    fn stock(
        &self,
        product: ProductId,
    ) -> impl Future<Output = Result<Option<ProductStock>>> + Send;

    /// Takes an update, unless its event was handled before or what is known is newer: the row of the warehouse, the
    /// totals of the product and the note, all or none of them. `now` is the time, `id` identifies the note.
    fn apply(
        &self,
        update: &StockUpdate,
        now: OffsetDateTime,
        id: Uuid,
    ) -> impl Future<Output = Result<Verdict>> + Send;
}

/// Time and randomness.
pub trait Environment: Send + Sync + 'static {
    /// The time, in UTC and to the microsecond.
    fn now(&self) -> OffsetDateTime;

    /// A UUID that was never given before, greater than the earlier ones.
    fn new_uuid(&self) -> Uuid;
}
