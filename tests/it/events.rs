//! The outbox, the relay and the feed on a real PostgreSQL.

mod crash;
mod feed;
mod operation;
mod outbox;
mod relay;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use catalog_service::domain::*;
use catalog_service::store::{Bell, PgCounts, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use sqlx::PgPool;

use crate::store::{cause, new};
use crate::support::postgres::{Database, migrated};

type Products = Catalog<PgProducts, SystemEnvironment>;

/// A catalog with what follows its changes.
struct Events {
    _database: Database,
    pool: PgPool,
    bell: Bell,
    outbox: PgOutbox,
    counts: PgCounts,
    catalog: Arc<Products>,
}

async fn open() -> Events {
    let (database, pool) = migrated().await;
    let bell = Bell::default();
    let products = PgProducts::new(pool.clone(), bell.clone());
    Events {
        _database: database,
        outbox: PgOutbox::new(pool.clone()),
        counts: PgCounts::new(pool.clone()),
        catalog: Arc::new(Catalog::new(products, SystemEnvironment)),
        bell,
        pool,
    }
}

impl Events {
    async fn create(&self, sku: &str) -> ProductId {
        self.catalog.create(cause(), new(sku)).await.unwrap().id
    }

    async fn rename(&self, id: ProductId, name: &str) {
        rename(&self.catalog, id, name).await;
    }
}

async fn rename(catalog: &Products, id: ProductId, name: &str) {
    let patch = ProductPatch {
        name: Some(ProductName::parse(name).unwrap()),
        ..Default::default()
    };
    catalog.update(cause(), id, patch).await.unwrap();
}

/// Changes products from several tasks at a time, `count` changes in all.
pub(crate) async fn storm(catalog: &Arc<Products>, count: i32) {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move {
                for n in 0..count / 40 {
                    let sku = format!("S{}", NEXT.fetch_add(1, Ordering::Relaxed));
                    let id = catalog.create(cause(), new(&sku)).await.unwrap().id;
                    let rename = |name: String| rename(&catalog, id, name.leak());
                    tokio::join!(
                        rename(format!("a{n}")),
                        rename(format!("b{n}")),
                        rename(format!("c{n}"))
                    );
                    catalog.delete(cause(), id).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Panics unless the versions of each product ascend one by one, from the first that is there.
pub(crate) fn assert_in_order(events: impl IntoIterator<Item = (String, i64)>) {
    let mut last = HashMap::new();
    for (product, version) in events {
        if let Some(before) = last.insert(product.clone(), version) {
            assert_eq!(version, before + 1, "{product}");
        } else {
            assert_eq!(version, 1, "{product}");
        }
    }
}
