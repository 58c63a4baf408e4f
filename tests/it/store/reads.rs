//! Reads that share statements and connections: each sees what was written before, none harms another, and a server
//! that comes back is found at once.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use catalog_service::domain::*;
use catalog_service::migrate::{Migrator, Options as MigrateOptions, Source};
use catalog_service::store::postgres::{PoolSettings, pool};
use catalog_service::store::{Bell, PgProducts};
use catalog_service::system::SystemEnvironment;
use embedded_postgres::{Options, Postgres};
use sqlx::PgPool;

use super::{Products, cause, new, open};

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_mins(1);

fn catalog(pool: &PgPool) -> Arc<Products> {
    Arc::new(Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    ))
}

/// As many connections as the pool may have, to show that none is lost.
async fn assert_whole(pool: &PgPool) {
    let most = pool.options().get_max_connections();
    let all = (0..most).map(|_| async {
        // Those that are held for a moment come back only when nobody uses them.
        let started = Instant::now();
        loop {
            match pool.acquire().await {
                Ok(connection) => return connection,
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
            }
        }
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_lookup_gets_its_product_as_it_is_now() {
    let (_database, pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(
            catalog
                .create(cause(), new(&format!("R{n}")))
                .await
                .unwrap()
                .id,
        );
    }
    let tasks: Vec<_> = (0..48)
        .map(|n: usize| {
            let (catalog, id) = (catalog.clone(), ids[n % ids.len()]);
            tokio::spawn(async move {
                for step in 0..20 {
                    if n < 8 {
                        let patch = ProductPatch {
                            name: Some(ProductName::parse(format!("name {step}")).unwrap()),
                            ..Default::default()
                        };
                        let written = catalog.update(cause(), id, patch).await.unwrap();
                        // The only writer of the product: nothing but its own last change.
                        assert_eq!(catalog.get(&ProductKey::Id(id)).await.unwrap(), written);
                    } else {
                        let found = catalog.get(&ProductKey::Id(id)).await.unwrap();
                        assert_eq!(found.id, id);
                        let unknown = ProductId::new(uuid::Uuid::from_u128(n as u128));
                        let missing = catalog.get(&ProductKey::Id(unknown)).await;
                        assert!(
                            matches!(missing, Err(Error::NotFound { .. })),
                            "{missing:?}"
                        );
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_whole(&pool).await;
}

/// Waits until as many statements wait for a lock, or more.
pub(super) async fn blocked(pool: &PgPool, count: i64) {
    let started = Instant::now();
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if waiting >= count {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{waiting} wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_no_other() {
    let (database, other, catalog) = open().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(
            catalog
                .create(cause(), new(&format!("C{n}")))
                .await
                .unwrap()
                .id,
        );
    }
    let settings = PoolSettings {
        statement_timeout: PATIENCE,
        ..PoolSettings::default()
    };
    let pool = pool(&database.url, &settings).unwrap();
    let catalog = self::catalog(&pool);
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let mut tasks = Vec::new();
    for (n, &id) in ids.iter().enumerate() {
        let catalog = catalog.clone();
        tasks.push(tokio::spawn(async move {
            catalog.get(&ProductKey::Id(id)).await
        }));
        if n < 2 {
            // The first goes out at once, the second when the first has kept its place for long enough; others wait.
            blocked(&other, i64::try_from(n + 1).unwrap()).await;
        }
    }
    // Two whose statement is under way, and one that waits; a statement for those that wait goes out instead.
    for n in [0, 1, 5] {
        tasks[n].abort();
    }
    let by_sku = ProductKey::Sku(Sku::parse("C1").unwrap());
    let cut_off = tokio::time::timeout(Duration::from_millis(50), catalog.get(&by_sku));
    assert!(cut_off.await.is_err());
    lock.rollback().await.unwrap();
    for (n, (task, &id)) in tasks.into_iter().zip(&ids).enumerate() {
        match task.await {
            Ok(found) => assert_eq!(found.unwrap().id, id),
            Err(error) => assert!(
                error.is_cancelled() && [0, 1, 5].contains(&n),
                "{n} {error}"
            ),
        }
    }
    assert_eq!(catalog.get(&by_sku).await.unwrap().id, ids[1]);
    assert_whole(&pool).await;
}

#[tokio::test]
async fn a_failure_reaches_all_that_share_a_statement() {
    let (database, other, catalog) = open().await;
    let id = catalog.create(cause(), new("F")).await.unwrap().id;
    let settings = PoolSettings {
        statement_timeout: Duration::from_millis(100),
        ..PoolSettings::default()
    };
    let catalog = self::catalog(&pool(&database.url, &settings).unwrap());
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let key = ProductKey::Id(id);
    let lookups = (0..20).map(|_| catalog.get(&key));
    for result in futures_util::future::join_all(lookups).await {
        assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    }
    lock.rollback().await.unwrap();
    assert_eq!(catalog.get(&key).await.unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_comes_back_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path());
    let server = tokio::task::spawn_blocking(move || Postgres::start(&options).unwrap())
        .await
        .unwrap();
    let url = server.url("postgres");
    let mut migrator = Migrator::connect(&url, Source::embedded(), MigrateOptions::default())
        .await
        .unwrap();
    migrator.up(None).await.unwrap();
    migrator.close().await;
    let pool = pool(&url, &PoolSettings::default()).unwrap();
    let catalog = catalog(&pool);
    let id = catalog.create(cause(), new("S")).await.unwrap().id;

    let (back, stop) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (before, after) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..40)
        .map(|n| {
            let (catalog, back, stop) = (catalog.clone(), back.clone(), stop.clone());
            let (before, after) = (before.clone(), after.clone());
            let key = if n % 2 == 0 {
                ProductKey::Id(id)
            } else {
                ProductKey::Sku(Sku::parse("S").unwrap())
            };
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let was_back = back.load(Ordering::SeqCst);
                    match catalog.get(&key).await {
                        Ok(product) => assert_eq!(product.id, id),
                        // Only while there is no server.
                        Err(error) => assert!(
                            !was_back && matches!(error, Error::Unavailable(_)),
                            "{was_back} {error:?}"
                        ),
                    }
                    let count = if was_back { &after } else { &before };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let until = async |condition: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < PATIENCE, "it does not happen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(&|| before.load(Ordering::SeqCst) > 1000).await;
    let killed = server.pid();
    let kill = Command::new("kill")
        .args(["-KILL", &killed.to_string()])
        .status();
    assert!(kill.unwrap().success());
    until(&|| server.pid() != killed).await;
    back.store(true, Ordering::SeqCst);
    until(&|| after.load(Ordering::SeqCst) > 1000).await;
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    // A write is not repeated by itself, so that its connection has to be a good one.
    catalog.delete(cause(), id).await.unwrap();
    assert_whole(&pool).await;
    pool.close().await;
    tokio::task::spawn_blocking(move || server.stop().unwrap())
        .await
        .unwrap();
}
