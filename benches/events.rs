//! What events cost: how fast the relay takes them from the outbox to Redis Streams, beside a pipeline of ready `XADD`
//! on the same server in the same run; and how much CPU a write takes with its event and without.
//!
//! `cargo bench --bench events`, with `BENCH_EVENTS` for another number of events. Needs an installed PostgreSQL and
//! `redis-server`.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_service::config::Config;
use catalog_service::domain::error::Result;
use catalog_service::domain::{
    Amount, Attributes, Brand, Catalog, Category, Cause, Change, Currency, Description,
    Environment as _, Event, ListQuery, Money, NewProduct, Page, Product, ProductId, ProductName,
    ProductStatus, ProductStore, Recorded, Sku, Warehouse, Written, id,
};
use catalog_service::events::cloud_event;
use catalog_service::events::publisher::{Outgoing, RedisStreams};
use catalog_service::events::relay::{Relay, Settings};
use catalog_service::migrate::{Migrator, Options as MigrateOptions, Source};
use catalog_service::redis::Redis;
use catalog_service::store::postgres::{PoolSettings, pool};
use catalog_service::store::{Bell, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use embedded_postgres::{Binaries, Options, Postgres};
use redis::aio::MultiplexedConnection;
use serde_json::json;
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{ConnectOptions as _, PgConnection, PgPool};
use tokio::sync::{Mutex, oneshot};

const ROUNDS: usize = 3;
const BATCH: usize = 1000;
const TOPIC: &str = "catalog.product.created";
/// Writes of a round, and how many are under way at a time.
const WRITES: usize = 4000;
const WRITERS: usize = 8;

#[tokio::main]
async fn main() {
    let events: usize = std::env::var("BENCH_EVENTS").map_or(50_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let server = Postgres::start(&Options {
        binaries: Binaries::Installed(None),
        ..Options::new(folder.path())
    })
    .unwrap();
    let url = server.url("postgres");
    let mut migrator = Migrator::connect(&url, Source::embedded(), MigrateOptions::default())
        .await
        .unwrap();
    migrator.up(None).await.unwrap();
    migrator.close().await;
    let pool = pool(&url, &PoolSettings::default()).unwrap();

    writes(&url, &pool).await;
    relay(&pool, events, folder.path()).await;
}

/// A Redis that ends with the run.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn broker(folder: &Path) -> (Broker, String) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let child = Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--port",
            &port.to_string(),
        ])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let broker = Broker(child);
    let addr = format!("127.0.0.1:{port}");
    while tokio::net::TcpStream::connect(&addr).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (broker, addr)
}

async fn relay(pool: &PgPool, events: usize, folder: &Path) {
    let (_broker, addr) = broker(folder).await;
    let config = Config::load(None, &|name| (name == "REDIS_ADDR").then(|| addr.clone())).unwrap();
    let client = Redis::new(&config.data.redis).unwrap();
    let raw = redis::Client::open(format!("redis://{addr}")).unwrap();
    let mut raw = raw.get_multiplexed_async_connection().await.unwrap();

    // What the writes of the other measurement left behind goes out first.
    drain(pool, &client).await;
    let (mut by_relay, mut by_bytes) = (Duration::ZERO, Duration::ZERO);
    let (mut relay_cpu, mut bytes_cpu) = (BTreeMap::new(), BTreeMap::new());
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let ready = fill(pool, events).await;
        bytes = ready[0].0.len();
        clear(&mut raw).await;
        let (begun, before) = (Instant::now(), cpu_seconds());
        publish_bytes(&ready, &mut raw).await;
        by_bytes += begun.elapsed();
        add_since(&mut bytes_cpu, &before);

        clear(&mut raw).await;
        let (begun, before) = (Instant::now(), cpu_seconds());
        drain(pool, &client).await;
        by_relay += begun.elapsed();
        add_since(&mut relay_cpu, &before);
        let count: usize = redis::cmd("XLEN")
            .arg(TOPIC)
            .query_async(&mut raw)
            .await
            .unwrap();
        assert_eq!(count, events);
    }
    let rate = |time: Duration| (events * ROUNDS) as f64 / time.as_secs_f64();
    println!(
        "relay, outbox to Redis Streams: {:.0} events/s; XADD of ready bytes: {:.0}/s ({bytes} bytes each); ratio {:.2}",
        rate(by_relay),
        rate(by_bytes),
        by_bytes.as_secs_f64() / by_relay.as_secs_f64()
    );
    let count = events * ROUNDS;
    println!(
        "CPU of an event: {}; of ready bytes: {}",
        shown(&relay_cpu, count),
        shown(&bytes_cpu, count)
    );
}

async fn clear(raw: &mut MultiplexedConnection) {
    redis::cmd("DEL").arg(TOPIC).exec_async(raw).await.unwrap();
}

/// Puts as many events as that into the outbox, copies of one that a product's creation made; gives them as they are
/// to be in the stream.
async fn fill(pool: &PgPool, events: usize) -> Vec<(Vec<u8>, String)> {
    const PER_TRANSACTION: usize = 100;
    let numbers = vec![0_i64; PER_TRANSACTION];
    for _ in 0..events / PER_TRANSACTION {
        sqlx::query(
            "WITH one AS (SELECT * FROM outbox ORDER BY xid, seq LIMIT 1)
             INSERT INTO outbox (id, topic, event_type, product_id, product_version, product_revision, payload,
                                 created_at, listed_before, listed_after, category, warehouse_id)
             SELECT gen_random_uuid(), topic, event_type, gen_random_uuid(), 1, 1, payload, now(), false, true, category,
                    warehouse_id
               FROM one, unnest($1::bigint[])",
        )
        .bind(&numbers)
        .execute(pool)
        .await
        .unwrap();
    }
    let one: (Json<Box<RawValue>>,) =
        sqlx::query_as("SELECT payload FROM outbox ORDER BY xid, seq LIMIT 1")
            .fetch_one(pool)
            .await
            .unwrap();
    let ready = |_| {
        let event = Outgoing {
            id: id::encode("evt", SystemEnvironment.new_uuid()),
            event_type: "ProductCreated".to_owned(),
            topic: TOPIC.to_owned(),
            key: ProductId::new(SystemEnvironment.new_uuid()).to_string(),
            time: SystemEnvironment.now(),
            traceparent: None,
            payload: one.0.0.clone(),
        };
        let mut bytes = Vec::new();
        cloud_event::write(&event, "pubsub-redis", &mut bytes).unwrap();
        (bytes, format!(r#"{{"partitionKey":"{}"}}"#, event.key))
    };
    (0..events / PER_TRANSACTION * PER_TRANSACTION)
        .map(ready)
        .collect()
}

async fn publish_bytes(ready: &[(Vec<u8>, String)], raw: &mut MultiplexedConnection) {
    for batch in ready.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for (data, metadata) in batch {
            pipeline
                .cmd("XADD")
                .arg(TOPIC)
                .arg("MAXLEN")
                .arg("~")
                .arg(1_000_000)
                .arg("*");
            pipeline.arg("data").arg(data).arg("metadata").arg(metadata);
        }
        pipeline
            .query_async::<Vec<redis::Value>>(raw)
            .await
            .unwrap();
    }
}

/// Runs a relay as the service does, until nothing is left.
async fn drain(pool: &PgPool, client: &Redis) {
    let settings = Settings {
        batch: BATCH,
        ..Settings::default()
    };
    let publisher = RedisStreams::new(client, "pubsub-redis", Some(1_000_000));
    let outbox = PgOutbox::new(pool.clone());
    let relay = Relay::new(outbox.clone(), publisher, SystemEnvironment, settings);
    let (stop, stopped) = oneshot::channel();
    let bell = Bell::default();
    let running = tokio::spawn(relay.run(bell.listen(), stopped));
    while outbox.backlog().await.unwrap().oldest.is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// A store that keeps products and nothing about them, over connections of its own.
struct WithoutEvents(Vec<Mutex<PgConnection>>);

impl ProductStore for WithoutEvents {
    async fn list(&self, _: &ListQuery) -> Result<Page> {
        unreachable!("only writes are measured")
    }

    async fn find(&self, _: ProductId) -> Result<Option<Product>> {
        unreachable!("only writes are measured")
    }

    async fn find_by_sku(&self, _: &Sku) -> Result<Option<Product>> {
        unreachable!("only writes are measured")
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let Change::Created(product) = &event.change else {
            unreachable!("only creations are measured");
        };
        let number = usize::from(event.id.as_bytes()[15]) % self.0.len();
        let mut connection = self.0[number].lock().await;
        sqlx::query(
            "INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, status,
                 price_amount, currency, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING revision",
        )
        .bind(product.id.uuid())
        .bind(product.sku.as_str())
        .bind(product.name.as_str())
        .bind(product.description.as_ref().map(Description::as_str))
        .bind(product.category.as_ref().map(Category::as_str))
        .bind(product.brand.as_ref().map(Brand::as_str))
        .bind(product.attributes.as_ref().map(|it| Json(it.as_map())))
        .bind(product.warehouse.as_ref().map(Warehouse::as_str))
        .bind(product.status.as_str())
        .bind(product.price.as_ref().map(|price| price.amount.decimal()))
        .bind(product.price.as_ref().map(|price| price.currency.as_str()))
        .bind(product.version)
        .bind(product.created_at)
        .bind(product.updated_at)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        Ok(Some(Written {
            recorded: Recorded { xid: 0, seq: 0 },
            revision: 1,
            availability: None,
        }))
    }
}

async fn writes(url: &str, pool: &PgPool) {
    let with = Arc::new(Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    ));
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut connections = Vec::new();
    for _ in 0..WRITERS {
        connections.push(Mutex::new(options.connect().await.unwrap()));
    }
    let without = Arc::new(Catalog::new(WithoutEvents(connections), SystemEnvironment));
    let (mut with_time, mut without_time) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first one made everything warm.
            with_time.clear();
            without_time.clear();
        }
        create(&with, &format!("WITH{round}"), &mut with_time).await;
        create(&without, &format!("WITHOUT{round}"), &mut without_time).await;
    }
    let count = WRITES * ROUNDS;
    let sum = |times: &BTreeMap<String, f64>| times.values().sum::<f64>();
    println!(
        "a write with its event, CPU: {}; without: {}; ratio {:.2}",
        shown(&with_time, count),
        shown(&without_time, count),
        sum(&with_time) / sum(&without_time)
    );
}

/// Creates products, and adds the CPU time that took.
async fn create<S: ProductStore>(
    catalog: &Arc<Catalog<S, SystemEnvironment>>,
    prefix: &str,
    times: &mut BTreeMap<String, f64>,
) {
    let before = cpu_seconds();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (catalog, prefix) = (catalog.clone(), prefix.to_owned());
            tokio::spawn(async move {
                for number in 0..WRITES / WRITERS {
                    let sku = format!("{prefix}-{writer}-{number}");
                    catalog.create(cause(), product(&sku)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    add_since(times, &before);
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

fn product(sku: &str) -> NewProduct {
    let attributes = json!({
        "color": "Black", "storage": "512GB SSD", "memory": "32GB", "screen": {"inches": 15.6, "hertz": 144},
    });
    NewProduct {
        sku: Sku::parse(sku).unwrap(),
        name: ProductName::parse("Gaming Laptop").unwrap(),
        description: Some(Description::parse("High-performance laptop for games").unwrap()),
        category: Some(Category::parse("electronics").unwrap()),
        brand: Some(Brand::parse("TechBrand").unwrap()),
        attributes: Some(Attributes::parse(attributes.as_object().unwrap().clone()).unwrap()),
        price: Some(Money {
            amount: Amount::parse("1299.99").unwrap(),
            currency: Currency::parse("USD").unwrap(),
        }),
        warehouse: Some(Warehouse::parse("WH001").unwrap()),
        status: ProductStatus::Active,
    }
}

/// CPU seconds of this process and of all that it started and that still run, by the names of their programs.
fn cpu_seconds() -> BTreeMap<String, f64> {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name is in brackets and may hold anything.
        let (open, close) = (stat.find('(').unwrap(), stat.rfind(')').unwrap());
        let fields: Vec<&str> = stat[close + 2..].split(' ').collect();
        let number = |field: usize| fields[field].parse::<u32>().unwrap();
        // A tick is a hundredth of a second on Linux.
        let seconds = f64::from(number(11) + number(12)) / 100.0;
        processes.insert(pid, (number(1), stat[open + 1..close].to_owned(), seconds));
    }
    let mut own = HashSet::from([std::process::id()]);
    while processes
        .iter()
        .any(|(pid, (parent, ..))| own.contains(parent) && own.insert(*pid))
    {}
    let mut sums = BTreeMap::new();
    for (_, name, seconds) in own.iter().filter_map(|pid| processes.get(pid)) {
        let name = if name.starts_with("postgres") || name == "redis-server" {
            name
        } else {
            "service"
        };
        *sums.entry(name.to_owned()).or_default() += seconds;
    }
    sums
}

/// Adds what was used since then.
fn add_since(sums: &mut BTreeMap<String, f64>, before: &BTreeMap<String, f64>) {
    for (name, seconds) in cpu_seconds() {
        let before = before.get(&name).copied().unwrap_or_default();
        *sums.entry(name).or_default() += seconds - before;
    }
}

/// CPU time per piece, by program.
fn shown(sums: &BTreeMap<String, f64>, pieces: usize) -> String {
    let each = |(name, seconds): (&String, &f64)| {
        format!("{name} {:.1} µs", seconds * 1e6 / pieces as f64)
    };
    sums.iter().map(each).collect::<Vec<_>>().join(", ")
}
