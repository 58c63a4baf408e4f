//! What a request costs the service, beside what the same would cost without it: a bare axum handler, a bare tonic echo,
//! pgbench with the same SQL. Subject and reference run by turns on the same machine in the same run, so that only ratios
//! are told.
//!
//! `cargo bench --bench service`, with `BENCH_PRODUCTS` for another number of products than a million and `BENCH_REPORT`
//! for a file that the table is written to. Needs an installed PostgreSQL with pgbench, and redis-server.
#![allow(clippy::unwrap_used, missing_docs)]

mod load;
mod pgbench;
mod process;
mod reference;
mod report;
#[path = "../support/seed.rs"]
mod seed;

use std::path::Path;
use std::time::Duration;

use embedded_postgres::{Binaries, Options, Postgres};
use uuid::Uuid;

use load::{Grpc, Rest};
use process::{Service, product_id, product_path, redis};
use report::{Report, Unit};

/// How often subject and reference take turns, and how long a turn is.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// How many products are read from PostgreSQL, by the service and by pgbench, which takes 128 scripts at most. So few
/// that they are in memory: not the disk is measured.
const ROWS: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().build().unwrap()
    };
    match arguments.get(1).map(String::as_str) {
        // This program, started again to be measured.
        Some("reference-rest") => runtime().block_on(reference::rest(&arguments[2])),
        Some("reference-grpc") => runtime().block_on(reference::grpc(&arguments[2])),
        _ => runtime().block_on(measure()),
    }
}

async fn measure() {
    let products: usize =
        std::env::var("BENCH_PRODUCTS").map_or(1_000_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let server = Postgres::start(&Options {
        binaries: Binaries::Installed(None),
        ..Options::new(folder.path().join("postgres"))
    })
    .unwrap();
    let url = server.url("postgres");
    let pool = seed::seeded(&url, products).await;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM products TABLESAMPLE SYSTEM (10) WHERE deleted_at IS NULL LIMIT 100",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    pool.close().await;

    let mut report = Report::new(products);
    cached(&mut report, &url, folder.path(), ids[0]).await;
    uncached(&mut report, &url, folder.path(), &ids).await;
    report.finish();
}

/// Reads that are answered from the process, in CPU per request.
async fn cached(report: &mut Report, url: &str, folder: &Path, id: Uuid) {
    let redis = redis(folder);
    let service = Service::start(url, &folder.join("cached"), &[("REDIS_ADDR", &redis.addr)]);
    let hello = process::reference("reference-rest");
    let echo = process::reference("reference-grpc");
    let path = product_path(id);
    let get = Rest::get(&service.http, &path, &service.token);
    let list = Rest::get(
        &service.http,
        "/v1/catalog/products?limit=20",
        &service.token,
    );
    let bare = Rest::get(&hello.addr, "/", "");
    for (name, subject, goal) in [("GET by id", &get, 1.35), ("list of 20", &list, 2.0)] {
        let mut costs = report::Costs::default();
        for _ in 0..TURNS {
            costs.reference(hello.cpu_per_request(bare.run(32, TURN)).await);
            costs.subject(service.process.cpu_per_request(subject.run(32, TURN)).await);
        }
        let what = format!("REST {name}, from the cache");
        report.row(&what, "bare axum \"hello\"", Unit::Cpu, &costs, goal);
    }
    let (get, bare) = (
        Grpc::get(&service.grpc, &product_id(id), &service.token).await,
        Grpc::echo(&echo.addr).await,
    );
    let mut costs = report::Costs::default();
    for _ in 0..TURNS {
        costs.reference(echo.cpu_per_request(bare.run(32, TURN)).await);
        costs.subject(service.process.cpu_per_request(get.run(32, TURN)).await);
    }
    let what = "gRPC get, from the cache";
    report.row(what, "bare tonic echo of 600 B", Unit::Cpu, &costs, 1.0);
}

/// Reads and writes that reach PostgreSQL, in requests per second.
async fn uncached(report: &mut Report, url: &str, folder: &Path, ids: &[Uuid]) {
    let data = folder.join("uncached");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(
        data.join("config.yaml"),
        "features: {enable_caching: false}\n",
    )
    .unwrap();
    let service = Service::start(url, &data, &[]);
    let ids = &ids[..ROWS];
    let paths = ids.iter().map(|id| product_path(*id));
    let get = Rest::gets(&service.http, paths, &service.token);
    let mut rates = report::Costs::default();
    for _ in 0..TURNS {
        rates.reference(pgbench::by_id(url, folder, ids, TURN));
        rates.subject(get.run(64, TURN).await.per_second());
    }
    let what = "REST GET by id, from PostgreSQL";
    report.row(
        what,
        "pgbench, the same rows by key",
        Unit::Rate,
        &rates,
        1.2,
    );

    let create = Rest::creates(&service.http, &service.token);
    let mut rates = report::Costs::default();
    for _ in 0..TURNS {
        rates.reference(pgbench::create(url, folder, TURN));
        rates.subject(create.run(64, TURN).await.per_second());
    }
    let what = "REST create, with its event";
    let reference = "pgbench, BEGIN, two INSERTs, COMMIT";
    report.row(what, reference, Unit::Rate, &rates, 1.2);
}
