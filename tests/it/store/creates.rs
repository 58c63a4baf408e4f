//! Products that are made at the same time share statements: each is whole, and what is wrong with one is said of it alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catalog_service::domain::audit::Call;
use catalog_service::domain::error::Result;
use catalog_service::domain::receipt::{CallId, Receipt};
use catalog_service::domain::*;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::reads::blocked;
use super::{Products, cause, new, open};

/// More than go out alone.
const MANY: usize = 120;

fn audited(n: usize) -> Arc<Call> {
    Arc::new(Call {
        time: OffsetDateTime::UNIX_EPOCH,
        request_id: format!("req_{n}"),
        trace_id: None,
        actor: Some("user_456".to_owned()),
        scopes: vec!["catalog:write".to_owned()],
        peer: None,
        user_agent: None,
        rpc: "catalog.v1.CatalogService/CreateProduct",
        resource: OnceLock::new(),
        kept: OnceLock::new(),
    })
}

/// A receipt, and a count of those that are kept.
fn receipt(key: usize, kept: &Arc<AtomicUsize>) -> Receipt {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&key.to_be_bytes());
    let call = CallId {
        id,
        operation: "create",
        request: [7; 32],
    };
    let kept = kept.clone();
    let answer = |product: &Product| product.sku.as_str().as_bytes().to_vec();
    Receipt::new(call, answer, move || {
        kept.fetch_add(1, Ordering::Relaxed);
    })
}

async fn count(pool: &PgPool, sql: &'static str) -> usize {
    let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
    count.try_into().unwrap()
}

/// Makes products at the same time, of which each has a number.
async fn together(
    catalog: &Arc<Products>,
    make: impl Fn(usize) -> (Cause, NewProduct),
) -> Vec<Result<Product>> {
    let tasks: Vec<_> = (0..MANY)
        .map(|n| {
            let (catalog, (cause, new)) = (catalog.clone(), make(n));
            tokio::spawn(async move { catalog.create(cause, new).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_is_whole_and_a_sku_has_one() {
    let (_database, pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let kept = Arc::<AtomicUsize>::default();
    let calls: Vec<_> = (0..MANY).map(audited).collect();
    // Two of each SKU; every third has nothing but what it must have, every fourth a receipt.
    let made = together(&catalog, |n| {
        let cause = Cause {
            audit: (n % 5 > 0).then(|| calls[n].clone()),
            receipt: (n % 4 == 0).then(|| receipt(n, &kept)),
            traceparent: Some(format!("00-{n:032x}-00f067aa0ba902b7-01")),
            causation_id: format!("cause_{n}"),
            ..cause()
        };
        let whole = new(&format!("S{}", n / 2));
        let bare = NewProduct {
            description: None,
            category: None,
            brand: None,
            attributes: None,
            price: None,
            warehouse: None,
            ..whole.clone()
        };
        (cause, if n % 3 == 0 { bare } else { whole })
    })
    .await;
    let mut receipts = 0;
    let mut records = 0;
    for (n, result) in made.iter().enumerate() {
        match result {
            Ok(product) => {
                let found = catalog.get(&ProductKey::Id(product.id)).await.unwrap();
                assert_eq!(found, *product);
                assert_eq!((product.version, product.revision), (1, 1));
                receipts += usize::from(n % 4 == 0);
                records += usize::from(n % 5 > 0);
                assert_eq!(calls[n].kept.get().is_some(), n % 5 > 0);
                let (payload, traceparent): (String, String) = sqlx::query_as(
                    "SELECT payload::text, traceparent FROM outbox WHERE product_id = $1",
                )
                .bind(product.id.uuid())
                .fetch_one(&pool)
                .await
                .unwrap();
                assert!(payload.contains(&format!(r#""cause_{n}""#)), "{payload}");
                assert!(payload.contains(&product.id.to_string()), "{payload}");
                assert!(traceparent.starts_with(&format!("00-{n:032x}")));
            }
            Err(error) => {
                assert!(
                    matches!(error, Error::AlreadyExists { field: "SKU", .. }),
                    "{error:?}"
                );
                assert!(made[n ^ 1].is_ok(), "the other one has the SKU");
                assert!(calls[n].kept.get().is_none());
            }
        }
    }
    assert_eq!(
        made.iter().filter(|result| result.is_ok()).count(),
        MANY / 2
    );
    assert_eq!(
        count(&pool, "SELECT count(*) FROM products").await,
        MANY / 2
    );
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, MANY / 2);
    assert_eq!(
        count(&pool, "SELECT count(*) FROM audit_log").await,
        records
    );
    assert_eq!(
        count(&pool, "SELECT count(*) FROM idempotency_keys").await,
        receipts
    );
    assert_eq!(kept.load(Ordering::Relaxed), receipts);
    let statements = count(&pool, "SELECT count(DISTINCT xid::text) FROM outbox").await;
    assert!(statements < MANY / 2, "{statements} statements");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_refused_takes_no_other_with_it() {
    let (_database, pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let kept = Arc::<AtomicUsize>::default();
    // Each key is there twice: the statement of whoever comes second fails as a whole.
    let made = together(&catalog, |n| {
        let receipt = (n % 10 < 2).then(|| receipt(n / 10, &kept));
        (Cause { receipt, ..cause() }, new(&format!("K{n}")))
    })
    .await;
    for (n, result) in made.iter().enumerate() {
        if n % 10 < 2 {
            let both = (result.is_ok(), made[n ^ 1].is_ok());
            assert!(
                both == (true, false) || both == (false, true),
                "{n} {both:?}"
            );
            assert!(
                !matches!(result, Err(error) if !matches!(error, Error::Conflict)),
                "{result:?}"
            );
        } else {
            assert!(result.is_ok(), "{n} {result:?}");
        }
    }
    let most = MANY - MANY / 10;
    assert_eq!(count(&pool, "SELECT count(*) FROM products").await, most);
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, most);
    assert_eq!(
        count(&pool, "SELECT count(*) FROM idempotency_keys").await,
        MANY / 10
    );
    assert_eq!(kept.load(Ordering::Relaxed), MANY / 10);
}

#[tokio::test]
async fn one_that_waits_for_a_lock_keeps_no_other_waiting() {
    let (_database, pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let mut other = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO products (sku, name) SELECT 'L' || n, 'by hand' FROM generate_series(0, 9) AS n")
        .execute(&mut *other)
        .await
        .unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|n| {
            let catalog = catalog.clone();
            tokio::spawn(async move { catalog.create(cause(), new(&format!("L{n}"))).await })
        })
        .collect();
    blocked(&pool, 5).await;
    let free = catalog.create(cause(), new("FREE"));
    let free = tokio::time::timeout(Duration::from_secs(20), free).await;
    free.expect("in time").expect("made");
    assert!(!waiting.iter().any(tokio::task::JoinHandle::is_finished));
    other.rollback().await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
}
