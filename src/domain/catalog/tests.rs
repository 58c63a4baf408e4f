//! The use cases over a store in memory.

use std::sync::Mutex;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{ProductName, ProductStatus, ProductSummary, Recorded, Written};

#[derive(Default)]
struct Memory(Mutex<Vec<Product>>);

impl ProductStore for Memory {
    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let products = self.0.lock().expect("the lock");
        let mut found: Vec<_> = products
            .iter()
            .filter(|p| {
                query
                    .category()
                    .is_none_or(|c| p.category.as_ref() == Some(c))
            })
            .filter(|p| {
                query
                    .warehouse()
                    .is_none_or(|w| p.warehouse.as_ref() == Some(w))
            })
            .collect();
        found.sort_by_key(|product| std::cmp::Reverse(product.id));
        let total = i64::try_from(found.len()).expect("a count");
        let offset = usize::try_from(query.offset()).expect("an offset");
        let limit = usize::try_from(query.limit()).expect("a limit");
        let items: Vec<_> = found
            .iter()
            .skip(offset)
            .take(limit)
            .map(|product| summary(product))
            .collect();
        let last = items.last().filter(|_| offset + limit < found.len());
        let next = last.map(|last| query.next_token(last.id));
        Ok(Page { items, total, next })
    }

    async fn find(&self, id: ProductId) -> Result<Option<Product>> {
        Ok(self
            .0
            .lock()
            .expect("the lock")
            .iter()
            .find(|p| p.id == id)
            .cloned())
    }

    async fn find_by_sku(&self, sku: &Sku) -> Result<Option<Product>> {
        Ok(self
            .0
            .lock()
            .expect("the lock")
            .iter()
            .find(|p| p.sku == *sku)
            .cloned())
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let mut products = self.0.lock().expect("the lock");
        let id = event.change.product_id();
        let stored = products.iter().position(|p| p.id == id);
        let before = event.change.before();
        if before != stored.map(|index| &products[index]) {
            return Ok(None);
        }
        if let (None, Some(after)) = (before, event.change.after())
            && products.iter().any(|p| p.sku == after.sku)
        {
            return Err(Error::AlreadyExists {
                resource: "product",
                field: "SKU",
            });
        }
        if let Some(index) = stored {
            products.remove(index);
        }
        let revision = before.map_or(1, |before| before.revision + 1);
        let after = event.change.after().cloned();
        products.extend(after.map(|after| Product { revision, ..after }));
        Ok(Some(Written {
            recorded: Recorded { xid: 1, seq: 1 },
            revision,
            availability: before.and_then(|before| before.availability),
        }))
    }
}

fn summary(product: &Product) -> ProductSummary {
    let product = product.clone();
    ProductSummary {
        id: product.id,
        sku: product.sku,
        name: product.name,
        category: product.category,
        price: product.price,
        warehouse: product.warehouse,
        created_at: product.created_at,
        updated_at: product.updated_at,
    }
}

/// Each look at the clock is a second later, each UUID one greater.
#[derive(Default)]
struct Steps(Mutex<(i64, u128)>);

impl Environment for Steps {
    fn now(&self) -> OffsetDateTime {
        let mut steps = self.0.lock().expect("the lock");
        steps.0 += 1;
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(steps.0)
    }

    fn new_uuid(&self) -> Uuid {
        let mut steps = self.0.lock().expect("the lock");
        steps.1 += 1;
        Uuid::from_u128(steps.1)
    }
}

fn catalog() -> Catalog<Memory, Steps> {
    Catalog::new(Memory::default(), Steps::default())
}

fn cause() -> Cause {
    Cause {
        actor: "user_456".to_owned(),
        correlation_id: "corr_789".to_owned(),
        causation_id: "cause_101".to_owned(),
        traceparent: None,
        receipt: None,
        audit: None,
    }
}

fn new(sku: &str) -> NewProduct {
    NewProduct {
        sku: Sku::parse(sku).expect("a SKU"),
        name: ProductName::parse("Laptop").expect("a name"),
        description: None,
        category: None,
        brand: None,
        attributes: None,
        price: None,
        warehouse: None,
        status: ProductStatus::default(),
    }
}

fn renamed(name: &str) -> ProductPatch {
    ProductPatch {
        name: Some(ProductName::parse(name).expect("a name")),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_product_is_made_and_found() {
    let catalog = catalog();
    let product = catalog.create(cause(), new("A")).await.expect("created");
    assert_eq!(
        (product.version, product.status),
        (1, ProductStatus::Active)
    );
    assert_eq!(product.created_at, product.updated_at);
    for key in [
        ProductKey::Id(product.id),
        ProductKey::Sku(product.sku.clone()),
    ] {
        assert_eq!(catalog.get(&key).await.expect("found"), product);
    }
    let error = catalog
        .create(cause(), new("A"))
        .await
        .expect_err("a duplicate");
    assert!(matches!(error, Error::AlreadyExists { field: "SKU", .. }));
}

#[tokio::test]
async fn an_update_counts_only_when_something_changes() {
    let catalog = catalog();
    let product = catalog.create(cause(), new("A")).await.expect("created");
    let changed = catalog
        .update(cause(), product.id, renamed("Other"))
        .await
        .expect("changed");
    assert_eq!(changed.version, 2);
    assert!(changed.updated_at > product.updated_at);
    assert_eq!(changed.created_at, product.created_at);
    let same = catalog
        .update(cause(), product.id, renamed("Other"))
        .await
        .expect("kept");
    assert_eq!(same, changed);
}

#[tokio::test]
async fn a_sku_does_not_change() {
    let catalog = catalog();
    let product = catalog.create(cause(), new("A")).await.expect("created");
    let patch = |sku| ProductPatch {
        sku: Sku::parse(sku).ok(),
        ..renamed("Other")
    };
    let error = catalog
        .update(cause(), product.id, patch("B"))
        .await
        .expect_err("refused");
    let Error::InvalidParameters(violations) = error else {
        panic!("{error:?}")
    };
    assert_eq!(violations[0].field, "sku");
    assert_eq!(
        catalog
            .update(cause(), product.id, patch("A"))
            .await
            .expect("changed")
            .version,
        2
    );
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let catalog = catalog();
    let product = catalog.create(cause(), new("A")).await.expect("created");
    catalog.delete(cause(), product.id).await.expect("deleted");
    let missing = |result: Result<()>| matches!(result, Err(Error::NotFound { .. }));
    assert!(missing(catalog.delete(cause(), product.id).await));
    assert!(missing(
        catalog
            .update(cause(), product.id, renamed("x"))
            .await
            .map(drop)
    ));
    assert!(missing(
        catalog.get(&ProductKey::Id(product.id)).await.map(drop)
    ));
    assert!(missing(
        catalog.get(&ProductKey::Sku(product.sku)).await.map(drop)
    ));
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let catalog = catalog();
    for sku in ["A", "B", "C"] {
        catalog.create(cause(), new(sku)).await.expect("created");
    }
    let query = ListQuery::parse(ListQuery::MAX_LIMIT, Some(2), Some(2), None, None, None)
        .expect("a query");
    let page = catalog.list(&query).await.expect("a page");
    assert_eq!((page.total, page.pages(2)), (3, 2));
    assert_eq!(
        page.items
            .iter()
            .map(|item| item.sku.as_str())
            .collect::<Vec<_>>(),
        ["A"]
    );
}

#[test]
fn all_faults_of_a_query_are_told_at_once() {
    let error = ListQuery::parse(
        ListQuery::MAX_LIMIT,
        Some(0),
        Some(101),
        Some(""),
        Some("\0"),
        None,
    )
    .expect_err("refused");
    let Error::InvalidParameters(violations) = error else {
        panic!("{error:?}")
    };
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["page", "limit", "category", "warehouse"]);
    assert_eq!(violations[1].message, "Must be between 1 and 100");
}
