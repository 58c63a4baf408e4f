//! How fast the store reads a million products, beside pgbench on the same server in the same run.
//!
//! `cargo bench --bench store`, with `BENCH_PRODUCTS` for another number of products. Needs an installed PostgreSQL
//! with pgbench.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/seed.rs"]
mod seed;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use catalog_service::domain::{ListQuery, ProductId, ProductStore as _};
use catalog_service::store::{Bell, PgProducts};
use embedded_postgres::{Binaries, Options, Postgres};
use sqlx::PgPool;
use uuid::Uuid;

/// How long each measurement takes.
const TIME: Duration = Duration::from_secs(5);

/// What a lookup by id asks.
const BY_ID: &str = "SELECT id, sku, name, description, category, brand, attributes, warehouse_id, status, price_amount, \
                     currency, version, created_at, updated_at, stock_quantity, stock_reserved, stock_available, \
                     revision FROM products WHERE deleted_at IS NULL AND id = ";

#[tokio::main]
async fn main() {
    let products: usize =
        std::env::var("BENCH_PRODUCTS").map_or(1_000_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let server = Postgres::start(&Options {
        binaries: Binaries::Installed(None),
        ..Options::new(folder.path())
    })
    .unwrap();
    let url = server.url("postgres");
    let pool = seed::seeded(&url, products).await;
    lookups(&url, &pool, folder.path()).await;
    lists(&pool).await;
}

async fn lookups(url: &str, pool: &PgPool, folder: &Path) {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM products TABLESAMPLE SYSTEM (10) WHERE deleted_at IS NULL LIMIT 50000",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let ids = Arc::new(ids);
    // The same row every time, which is the easiest for the server.
    let script = folder.join("by-id.sql");
    std::fs::write(&script, format!("{BY_ID}:id;\n")).unwrap();
    let pgbench = pgbench(url, &script, ids[0]);
    println!("pgbench -M prepared -c 16 -j 2 by id: {pgbench:.0} per s");
    let store = PgProducts::new(pool.clone(), Bell::default());
    for concurrency in [1, 8, 32, 64] {
        let per_second = throughput(concurrency, {
            let (ids, store) = (ids.clone(), store.clone());
            move |n| {
                let (ids, store) = (ids.clone(), store.clone());
                async move {
                    let id = ProductId::new(ids[n * 7919 % ids.len()]);
                    assert!(store.find(id).await.unwrap().is_some());
                }
            }
        })
        .await;
        println!(
            "find, {concurrency} at a time: {per_second:.0} per s, {:.2} of pgbench",
            per_second / pgbench
        );
    }
}

/// Transactions per second of a script.
fn pgbench(url: &str, script: &Path, id: Uuid) -> f64 {
    let programs = Command::new("pg_config").arg("--bindir").output().unwrap();
    let program = Path::new(String::from_utf8(programs.stdout).unwrap().trim()).join("pgbench");
    let output = Command::new(program)
        .args(["-M", "prepared", "-n", "-c", "16", "-j", "2", "-T"])
        .arg(TIME.as_secs().to_string())
        .args(["-D", &format!("id={id}"), "-f"])
        .args([script.as_os_str(), url.as_ref()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let tps = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// How often some work is done in a second, as often at a time.
async fn throughput<F>(
    concurrency: usize,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) -> f64
where
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (next, work) = (next.clone(), work.clone());
            tokio::spawn(async move {
                while started.elapsed() < TIME {
                    work(next.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let done = next.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
    let done = done as f64;
    done / started.elapsed().as_secs_f64()
}

/// The latency of pages at some depths, for each filter.
async fn lists(pool: &PgPool) {
    let store = PgProducts::new(pool.clone(), Bell::default());
    for (category, warehouse) in [
        (None, None),
        (Some("category-4"), None),
        (None, Some("WH005")),
        (Some("category-4"), Some("WH005")),
    ] {
        for page in [1, 10, 1000, 25_000, 49_999] {
            let query = ListQuery::parse(
                ListQuery::MAX_LIMIT,
                Some(page),
                None,
                category,
                warehouse,
                None,
            )
            .unwrap();
            let mut times: Vec<_> = Vec::new();
            let mut items = 0;
            for _ in 0..15 {
                let started = Instant::now();
                items = store.list(&query).await.unwrap().items.len();
                times.push(started.elapsed());
            }
            times.sort_unstable();
            println!(
                "{} {} page {page}: {items} items, {:.2} ms",
                category.unwrap_or("any category"),
                warehouse.unwrap_or("any warehouse"),
                times[times.len() / 2].as_secs_f64() * 1000.0
            );
        }
    }
}
