//! The cache on a real PostgreSQL and a real Redis: never stale, whatever happens to Redis or to an instance.

mod chaos;
mod service;

use std::sync::Arc;
use std::time::Duration;

use catalog_service::cache::{CachedProducts, Settings, Statistics};
use catalog_service::domain::*;
use catalog_service::events::feed::Feed;
use catalog_service::store::{Bell, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::store::{cause, new};
use crate::support::postgres::migrated;
use crate::support::redis::{Cluster, Server, client, eventually, installed};

/// The time within which a change is to be seen everywhere; much longer than it takes, for busy machines.
const SOON: Duration = Duration::from_secs(10);

type Products = CachedProducts<PgProducts>;

/// An instance of the service, as far as reads and writes of products go.
struct Instance {
    catalog: Arc<Catalog<Products, SystemEnvironment>>,
    statistics: Arc<Statistics>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Instance {
    /// Starts one that follows the changes of `pool`; `redis` is an address.
    fn start(pool: &PgPool, redis: Option<&str>) -> Self {
        let bell = Bell::default();
        let outbox = PgOutbox::new(pool.clone());
        let settings = Settings {
            local_max_bytes: 1 << 24,
            prefix: "catalog".to_owned(),
            product_ttl: Duration::from_hours(1),
            list_ttl: Duration::from_mins(5),
        };
        let store = PgProducts::new(pool.clone(), bell.clone());
        let products = CachedProducts::new(store, redis.map(client), settings);
        let feed = Feed::new(outbox.clone());
        let learns = products.clone();
        Self {
            tasks: vec![
                tokio::spawn(bell.clone().connect(pool.clone())),
                tokio::spawn(feed.run(bell.listen(), products.clone())),
                tokio::spawn(async move { learns.learn(&outbox).await }),
            ],
            statistics: products.statistics(),
            catalog: Arc::new(Catalog::new(products, SystemEnvironment)),
        }
    }

    async fn read(&self, id: ProductId) -> Option<Product> {
        match self.catalog.get(&ProductKey::Id(id)).await {
            Ok(product) => Some(product.into_inner()),
            Err(Error::NotFound { .. }) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn list(&self, query: &ListQuery) -> Page {
        self.catalog.list(query).await.unwrap().into_inner()
    }

    async fn rename(&self, id: ProductId, name: &str) -> Product {
        let patch = ProductPatch {
            name: Some(ProductName::parse(name).unwrap()),
            ..Default::default()
        };
        self.catalog.update(cause(), id, patch).await.unwrap()
    }

    /// Reads until the product is in the process.
    async fn warm(&self, id: ProductId) {
        let hits = self.statistics.local.products.hits();
        eventually("reads are kept", async || {
            self.read(id).await;
            self.statistics.local.products.hits() > hits
        })
        .await;
    }

    /// Waits until Redis is looked at, by changing and reading a product.
    async fn learned(&self, id: ProductId) {
        let redis = &self.statistics.redis.products;
        let asked = || redis.hits() + redis.misses();
        let before = asked();
        eventually("Redis is asked", async || {
            self.rename(id, &format!("name {}", SystemEnvironment.new_uuid()))
                .await;
            self.read(id).await;
            asked() > before
        })
        .await;
    }
}

fn query(category: Option<&str>) -> ListQuery {
    ListQuery::parse(ListQuery::MAX_LIMIT, None, None, category, None, None).unwrap()
}

#[tokio::test]
async fn reads_are_kept_until_something_changes() {
    let (_database, pool) = migrated().await;
    let (a, b) = (Instance::start(&pool, None), Instance::start(&pool, None));
    let product = a.catalog.create(cause(), new("A")).await.unwrap();
    a.warm(product.id).await;
    b.warm(product.id).await;
    let found = a.catalog.get(&ProductKey::Sku(product.sku.clone())).await;
    assert_eq!(found.unwrap(), product);

    // One's own change at once, that of another soon.
    a.rename(product.id, "New").await;
    assert_eq!(a.read(product.id).await.unwrap().name.as_str(), "New");
    eventually("the other one sees it", async || {
        b.read(product.id).await.unwrap().name.as_str() == "New"
    })
    .await;
    a.catalog.delete(cause(), product.id).await.unwrap();
    assert_eq!(a.read(product.id).await, None);
    let by_sku = a.catalog.get(&ProductKey::Sku(product.sku.clone())).await;
    assert!(matches!(by_sku, Err(Error::NotFound { .. })));
    eventually("the other one sees it", async || {
        b.read(product.id).await.is_none()
    })
    .await;

    // The SKU of another product now.
    let next = b.catalog.create(cause(), new("A")).await.unwrap();
    let by_sku = b.catalog.get(&ProductKey::Sku(next.sku.clone())).await;
    assert_eq!(by_sku.unwrap().id, next.id);
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_until_there_is() {
    let (_database, pool) = migrated().await;
    let instance = Instance::start(&pool, None);
    let product = instance.catalog.create(cause(), new("A")).await.unwrap();
    let absent = ProductId::new(uuid::Uuid::from_u128(7));
    instance.warm(product.id).await;
    assert_eq!(instance.read(absent).await, None);
    let misses = instance.statistics.local.products.misses();
    assert_eq!(instance.read(absent).await, None);
    assert_eq!(instance.statistics.local.products.misses(), misses, "kept");
    sqlx::query("INSERT INTO products (id, sku, name) VALUES ($1, 'B', 'by hand')")
        .bind(absent.uuid())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        instance.read(absent).await,
        None,
        "nobody was told of the change"
    );
}

#[tokio::test]
async fn lists_show_every_change() {
    let (_database, pool) = migrated().await;
    let redis = installed().then(|| Server::start(&[]));
    let addr = redis.as_ref().map(Server::addr);
    let a = Instance::start(&pool, addr.as_deref());
    let b = Instance::start(&pool, addr.as_deref());
    let product = a.catalog.create(cause(), new("A")).await.unwrap();
    a.warm(product.id).await;
    b.warm(product.id).await;
    let queries = [
        query(None),
        query(Some("electronics")),
        query(Some("other")),
    ];
    let totals = async |instance: &Instance| {
        let mut totals = Vec::new();
        for query in &queries {
            let page = instance.list(query).await;
            assert_eq!(i64::try_from(page.items.len()).unwrap(), page.total);
            totals.push(page.total);
        }
        totals
    };
    let steps: [(&[i64], _); 3] = [
        (&[1, 1, 0], None),
        (&[1, 0, 1], Some(Some(Category::parse("other").unwrap()))),
        (&[1, 0, 0], Some(None)),
    ];
    for (expected, category) in steps {
        if let Some(category) = category {
            let patch = ProductPatch {
                category: Some(category),
                ..Default::default()
            };
            a.catalog.update(cause(), product.id, patch).await.unwrap();
        }
        assert_eq!(totals(&a).await, expected, "at once");
        eventually("the other one sees it", async || {
            totals(&b).await == expected
        })
        .await;
        let hits = b.statistics.local.lists.hits();
        eventually("lists are kept", async || {
            assert_eq!(totals(&b).await, expected);
            b.statistics.local.lists.hits() > hits
        })
        .await;
    }
    a.catalog.delete(cause(), product.id).await.unwrap();
    assert_eq!(totals(&a).await, [0, 0, 0]);
    eventually("the other one sees it", async || {
        totals(&b).await == [0, 0, 0]
    })
    .await;
}

#[tokio::test]
async fn a_new_instance_takes_from_redis_what_did_not_change() {
    if !installed() {
        return;
    }
    let (_database, pool) = migrated().await;
    let redis = Server::start(&[]);
    let a = Instance::start(&pool, Some(&redis.addr()));
    let (kept, changed) = (
        a.catalog.create(cause(), new("A")).await.unwrap(),
        a.catalog.create(cause(), new("B")).await.unwrap(),
    );
    let key = |id: ProductId| format!("catalog:products:{id}");
    for id in [kept.id, changed.id] {
        // Nothing is put there until all transactions up to the change are over, those of other tests too.
        let mut pause = Duration::from_millis(60);
        eventually("it is in Redis", async || {
            a.rename(id, &format!("after {pause:?}")).await;
            tokio::time::sleep(pause).await;
            pause = pause * 3 / 2;
            a.read(id).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            redis.ask::<bool>(&["EXISTS", &key(id)]).await
        })
        .await;
    }
    let ttl: i64 = redis.ask(&["TTL", &key(kept.id)]).await;
    assert!((3500..=3600).contains(&ttl), "{ttl}");
    drop(a);

    // Another process changes a product and dies before it can evict it.
    let bare = Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    );
    let patch = ProductPatch {
        name: Some(ProductName::parse("changed").unwrap()),
        ..Default::default()
    };
    bare.update(cause(), changed.id, patch).await.unwrap();
    assert!(redis.ask::<bool>(&["EXISTS", &key(changed.id)]).await);

    let b = Instance::start(&pool, Some(&redis.addr()));
    let other = b.catalog.create(cause(), new("C")).await.unwrap();
    b.warm(other.id).await;
    b.learned(other.id).await;
    let hits = || b.statistics.redis.products.hits();
    let before = hits();
    let read = b.read(kept.id).await.unwrap();
    assert_eq!(hits(), before + 1, "from Redis");
    let stored = bare.get(&ProductKey::Id(kept.id)).await.unwrap();
    assert_eq!(stored, read);
    assert_eq!(b.read(changed.id).await.unwrap().name.as_str(), "changed");
    assert_eq!(hits(), before + 1, "from the database");
}

#[tokio::test]
async fn nonsense_in_redis_is_written_over() {
    if !installed() {
        return;
    }
    let (_database, pool) = migrated().await;
    let redis = Server::start(&[]);
    let a = Instance::start(&pool, Some(&redis.addr()));
    let product = a.catalog.create(cause(), new("A")).await.unwrap();
    a.warm(product.id).await;
    a.learned(product.id).await;
    let key = format!("catalog:products:{}", product.id);
    let strange: [&[&str]; 3] = [
        &["SET", &key, "nonsense"],
        &[
            "SET",
            &key,
            r#"{"revision":99,"asOf":1,"format":0,"value":null}"#,
        ],
        &["LPUSH", &key, "a list"],
    ];
    for (number, command) in strange.into_iter().enumerate() {
        let name = format!("name {number}");
        a.rename(product.id, &name).await;
        redis.ask::<()>(&["DEL", &key]).await;
        redis.ask::<()>(command).await;
        assert_eq!(a.read(product.id).await.unwrap().name.as_str(), name);
    }
}

/// Reads of something new for the process, while Redis is as it is.
async fn reads_go_on(instance: &Instance, pool: &PgPool, count: usize) {
    let bare = Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    );
    for _ in 0..count {
        let sku = SystemEnvironment.new_uuid().to_string();
        let product = bare.create(cause(), new(&sku)).await.unwrap();
        assert_eq!(instance.read(product.id).await, Some(product));
    }
}

#[tokio::test]
async fn a_redis_that_is_full_or_slow_or_refuses_is_done_without() {
    if !installed() {
        return;
    }
    let (_database, pool) = migrated().await;
    let redis = Server::start(&[]);
    let a = Instance::start(&pool, Some(&redis.addr()));
    let product = a.catalog.create(cause(), new("A")).await.unwrap();
    a.warm(product.id).await;
    a.learned(product.id).await;

    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    reads_go_on(&a, &pool, 20).await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;

    redis
        .ask::<()>(&["ACL", "SETUSER", "default", "-get", "-set", "-evalsha"])
        .await;
    reads_go_on(&a, &pool, 20).await;
    redis
        .ask::<()>(&["ACL", "SETUSER", "default", "+@all"])
        .await;

    // A read waits for the 0.2 s that Redis has, and only the first: then it is known.
    redis.pause();
    let begun = std::time::Instant::now();
    reads_go_on(&a, &pool, 100).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    redis.resume();
    let key = format!("catalog:products:{}", product.id);
    let mut pause = Duration::from_millis(60);
    eventually("it is used again", async || {
        a.rename(product.id, &format!("after {pause:?}")).await;
        tokio::time::sleep(pause).await;
        pause = pause * 3 / 2;
        a.read(product.id).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        redis.ask::<bool>(&["EXISTS", &key]).await
    })
    .await;
}

#[tokio::test]
async fn a_cluster_is_a_cache_like_any_other() {
    if !installed() {
        return;
    }
    let (_database, pool) = migrated().await;
    let cluster = Cluster::start().await;
    let (a, b) = (
        Instance::start(&pool, Some(&cluster.addr())),
        Instance::start(&pool, Some(&cluster.addr())),
    );
    let mut products = Vec::new();
    for number in 0..12 {
        let new = new(&format!("P{number}"));
        products.push(a.catalog.create(cause(), new).await.unwrap());
    }
    for instance in [&a, &b] {
        instance.warm(products[0].id).await;
        instance.learned(products[0].id).await;
    }
    let mut pause = Duration::from_millis(60);
    eventually("what one puts there the other one takes", async || {
        for product in &products {
            a.rename(product.id, &format!("after {pause:?}")).await;
        }
        tokio::time::sleep(pause).await;
        pause = pause * 3 / 2;
        for product in &products {
            a.read(product.id).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let hits = b.statistics.redis.products.hits();
        for product in &products {
            assert_eq!(b.read(product.id).await, a.read(product.id).await);
        }
        // Of some nodes at least.
        b.statistics.redis.products.hits() > hits + 6
    })
    .await;
}
