//! The store of products on a real PostgreSQL.

mod creates;
mod lists;
mod reads;

use std::sync::Arc;
use std::time::Duration;

use catalog_service::domain::*;
use catalog_service::store::postgres::{PoolSettings, pool};
use catalog_service::store::{Bell, PgProducts};
use catalog_service::system::SystemEnvironment;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::postgres::{Database, migrated};

type Products = Catalog<PgProducts, SystemEnvironment>;

async fn open() -> (Database, PgPool, Products) {
    let (database, pool) = migrated().await;
    let catalog = Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    );
    (database, pool, catalog)
}

/// Who asks for the changes of these tests.
pub(crate) fn cause() -> Cause {
    Cause {
        actor: "user_456".to_owned(),
        correlation_id: "corr_789".to_owned(),
        causation_id: "cause_101".to_owned(),
        traceparent: None,
        receipt: None,
        audit: None,
    }
}

pub(crate) fn new(sku: &str) -> NewProduct {
    let Value::Object(map) = json!({"größe": 1.5, "n": 1e18, "l": [1, null, {"🙂": "ß"}]})
    else {
        unreachable!()
    };
    NewProduct {
        sku: Sku::parse(sku).unwrap(),
        name: ProductName::parse("Ноутбук 🙂 \u{1}").unwrap(),
        description: Some(Description::parse("").unwrap()),
        category: Some(Category::parse("electronics").unwrap()),
        brand: Some(Brand::parse("Émile").unwrap()),
        attributes: Some(Attributes::parse(map).unwrap()),
        price: Some(price("999999999999999.9999")),
        warehouse: Some(Warehouse::parse("WH001").unwrap()),
        status: ProductStatus::Inactive,
    }
}

fn price(amount: &str) -> Money {
    Money {
        amount: Amount::parse(amount).unwrap(),
        currency: Currency::parse("USD").unwrap(),
    }
}

#[tokio::test]
async fn what_is_written_is_read() {
    let (_database, _pool, catalog) = open().await;
    for (sku, amount) in [
        ("A", "999999999999999.9999"),
        ("B", "0"),
        ("C", "0.0001"),
        ("D", "10.50"),
    ] {
        let made = catalog
            .create(
                cause(),
                NewProduct {
                    price: Some(price(amount)),
                    ..new(sku)
                },
            )
            .await
            .unwrap();
        for key in [ProductKey::Id(made.id), ProductKey::Sku(made.sku.clone())] {
            assert_eq!(catalog.get(&key).await.unwrap(), made);
        }
        let patch = ProductPatch {
            attributes: Some(made.attributes.clone()),
            ..Default::default()
        };
        assert_eq!(
            catalog
                .update(cause(), made.id, patch)
                .await
                .unwrap()
                .version,
            1
        );
    }
    let cleared = ProductPatch {
        description: Some(None),
        category: Some(None),
        brand: Some(None),
        attributes: Some(None),
        price: Some(None),
        warehouse: Some(None),
        ..Default::default()
    };
    let id = catalog
        .get(&ProductKey::Sku(Sku::parse("A").unwrap()))
        .await
        .unwrap()
        .id;
    let after = catalog.update(cause(), id, cleared).await.unwrap();
    assert_eq!(
        (
            after.version,
            after.revision,
            &after.price,
            &after.attributes
        ),
        (2, 2, &None, &None)
    );
    assert_eq!(catalog.get(&ProductKey::Id(id)).await.unwrap(), after);
}

#[tokio::test]
async fn a_sku_is_unique_until_its_product_is_deleted() {
    let (_database, _pool, catalog) = open().await;
    let first = catalog.create(cause(), new("A")).await.unwrap();
    let again = catalog.create(cause(), new("A")).await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { field: "SKU", .. })),
        "{again:?}"
    );
    catalog.delete(cause(), first.id).await.unwrap();
    assert!(matches!(
        catalog.delete(cause(), first.id).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        catalog.get(&ProductKey::Id(first.id)).await,
        Err(Error::NotFound { .. })
    ));
    let change = catalog
        .update(cause(), first.id, ProductPatch::default())
        .await;
    assert!(matches!(change, Err(Error::NotFound { .. })));
    catalog.create(cause(), new("A")).await.unwrap();
}

#[tokio::test]
async fn concurrent_updates_are_all_kept() {
    let (_database, _pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let id = catalog.create(cause(), new("A")).await.unwrap().id;
    let tasks: Vec<_> = (1..=40)
        .map(|n| {
            let catalog = Arc::clone(&catalog);
            let patch = ProductPatch {
                price: Some(Some(price(&n.to_string()))),
                ..Default::default()
            };
            tokio::spawn(async move { catalog.update(cause(), id, patch).await.unwrap().version })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.push(task.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (_database, _pool, catalog) = open().await;
    for n in 0..5 {
        let category = Some(Category::parse(if n % 2 == 0 { "even" } else { "odd" }).unwrap());
        catalog
            .create(
                cause(),
                NewProduct {
                    category,
                    ..new(&format!("P{n}"))
                },
            )
            .await
            .unwrap();
    }
    for (page, category, warehouse, total, skus) in [
        (1, None, None, 5, vec!["P4", "P3"]),
        (3, None, None, 5, vec!["P0"]),
        (i32::MAX, None, None, 5, vec![]),
        (1, Some("odd"), None, 2, vec!["P3", "P1"]),
        (2, None, Some("WH001"), 5, vec!["P2", "P1"]),
        (2, Some("even"), Some("WH001"), 3, vec!["P0"]),
        (1, Some("even"), Some("WH002"), 0, vec![]),
    ] {
        let query = ListQuery::parse(
            ListQuery::MAX_LIMIT,
            Some(page),
            Some(2),
            category,
            warehouse,
            None,
        )
        .unwrap();
        let found = catalog.list(&query).await.unwrap();
        assert_eq!(found.total, total);
        assert_eq!(
            found
                .items
                .iter()
                .map(|item| item.sku.as_str())
                .collect::<Vec<_>>(),
            skus
        );
    }
}

#[tokio::test]
async fn an_exhausted_pool_and_a_lost_server_are_unavailable() {
    let (database, other, _catalog) = open().await;
    let settings = PoolSettings {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(200),
        ..PoolSettings::default()
    };
    let pool = pool(&database.url, &settings).unwrap();
    let catalog = Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    );
    let query = ListQuery::parse(ListQuery::MAX_LIMIT, None, None, None, None, None).unwrap();
    let mut held = pool.acquire().await.unwrap();
    let result = catalog.list(&query).await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");

    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *held)
        .await
        .unwrap();
    drop(held);
    tokio::time::sleep(Duration::from_millis(50)).await;
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(&other)
        .await
        .unwrap();
    catalog.list(&query).await.expect("a fresh connection");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let settings = PoolSettings {
        acquire_timeout: Duration::from_millis(300),
        ..PoolSettings::default()
    };
    let pool = pool(
        "postgres://nobody@localhost/none?host=/nonexistent",
        &settings,
    )
    .unwrap();
    let catalog = Catalog::new(PgProducts::new(pool, Bell::default()), SystemEnvironment);
    let result = catalog
        .get(&ProductKey::Sku(Sku::parse("A").unwrap()))
        .await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
}

#[tokio::test]
async fn a_row_that_breaks_the_rules_is_named() {
    let (_database, pool, catalog) = open().await;
    let made = catalog.create(cause(), new("A")).await.unwrap();
    sqlx::query("UPDATE products SET sku = 'bad sku!'")
        .execute(&pool)
        .await
        .unwrap();
    let query = ListQuery::parse(100, None, None, None, None, None).unwrap();
    let listed = catalog.list(&query).await.map(|_| ());
    let read = catalog.get(&ProductKey::Id(made.id)).await.map(|_| ());
    for result in [listed, read] {
        let Err(Error::Internal(cause)) = result else {
            panic!("{result:?}")
        };
        let cause = cause.to_string();
        assert!(
            cause.contains(&made.id.to_string()) && cause.contains("products.sku"),
            "{cause}"
        );
    }
}
