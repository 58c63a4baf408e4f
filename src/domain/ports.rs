//! What the domain asks of the world: a place that keeps products, the time, fresh ids.

use std::future::Future;

use time::OffsetDateTime;
use uuid::Uuid;

use super::error::{Error, FieldViolation, Result};
use super::event::Event;
use super::id::ProductId;
use super::inventory::Availability;
use super::product::{Product, ProductSummary};
use super::shared::Shared;
use super::value::{Category, Sku, Warehouse};

/// Which products to list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    page: i32,
    limit: i32,
    category: Option<Category>,
    warehouse: Option<Warehouse>,
}

impl ListQuery {
    /// Items of a page when the caller does not say.
    pub const DEFAULT_LIMIT: i32 = 20;
    /// Most items of a page.
    pub const MAX_LIMIT: i32 = 100;

    /// Takes what the caller gave, or says all that is wrong with it.
    pub fn parse(
        page: Option<i32>,
        limit: Option<i32>,
        category: Option<&str>,
        warehouse: Option<&str>,
    ) -> Result<Self> {
        let mut violations = Vec::new();
        let page = page.unwrap_or(1);
        if page < 1 {
            violations.push(FieldViolation::new("page", "Must be at least 1"));
        }
        let limit = limit.unwrap_or(Self::DEFAULT_LIMIT);
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            let message = format!("Must be between 1 and {}", Self::MAX_LIMIT);
            violations.push(FieldViolation::new("limit", message));
        }
        let mut refuse = |field, message| violations.push(FieldViolation::new(field, message));
        let category = category.and_then(|text| {
            Category::parse(text)
                .map_err(|m| refuse("category", m))
                .ok()
        });
        let warehouse = warehouse.and_then(|text| {
            Warehouse::parse(text)
                .map_err(|m| refuse("warehouse", m))
                .ok()
        });
        if !violations.is_empty() {
            return Err(Error::InvalidParameters(violations));
        }
        Ok(Self {
            page,
            limit,
            category,
            warehouse,
        })
    }

    /// Number of the page, from 1.
    pub const fn page(&self) -> i32 {
        self.page
    }

    /// Most items of the page, 1 to 100.
    pub const fn limit(&self) -> i32 {
        self.limit
    }

    /// How many items come before the page.
    pub fn offset(&self) -> i64 {
        (i64::from(self.page) - 1) * i64::from(self.limit)
    }

    /// Only products of this category.
    pub const fn category(&self) -> Option<&Category> {
        self.category.as_ref()
    }

    /// Only products of this warehouse.
    pub const fn warehouse(&self) -> Option<&Warehouse> {
        self.warehouse.as_ref()
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The products of the page, the newest first.
    pub items: Vec<ProductSummary>,
    /// Products in all pages.
    pub total: i64,
}

impl Page {
    /// Number of pages of `limit` items.
    pub fn pages(&self, limit: i32) -> i64 {
        let limit = i64::from(limit.max(1));
        self.total / limit + i64::from(self.total % limit != 0)
    }
}

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
    /// that the change begins with; [`Error::AlreadyExists`] when its SKU is in use.
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

/// Time and randomness.
pub trait Environment: Send + Sync + 'static {
    /// The time, in UTC and to the microsecond.
    fn now(&self) -> OffsetDateTime;

    /// A UUID that was never given before, greater than the earlier ones.
    fn new_uuid(&self) -> Uuid;
}
