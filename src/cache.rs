//! Products and pages that are read again and again, kept in the process and in Redis.
//!
//! The layer in the process ([`local`]) is coherent: the [`Feed`](crate::events::feed::Feed) of changes ends what it
//! holds within a fraction of a second after a change on any instance, and a change of this instance at once. While
//! changes can't be followed nothing is taken from a cache. The layer in Redis ([`remote`]) needs no coherence: its
//! values say what they hold, and [`freshness`] knows what they have to.

mod freshness;
mod local;
mod remote;
mod statistics;
mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Notify;

use freshness::{Freshness, Place};
use local::{Loaded, Local};
use remote::Remote;
pub use statistics::{Counts, Layer, Statistics};

use crate::domain::error::Result;
use crate::domain::{
    Attributes, Event, ListQuery, Page, Product, ProductId, ProductStore, Recorded, Shared, Sku,
    Written,
};
use crate::events::feed::Listener;
use crate::redis::{Redis, RedisError};
use crate::store::PgOutbox;
use crate::store::outbox::{Batch, Listed};

/// How long it is kept that a product is not there.
const ABSENT_TTL: Duration = Duration::from_mins(1);

/// What a product and a page take, about, beside their texts and together with what is made of them.
const PRODUCT_BYTES: usize = 1280;
const SUMMARY_BYTES: usize = 640;

/// How many ids are known by their SKU.
const SKUS: usize = 100_000;

/// By how much clocks may differ, and how long a read may take between its look at the changes and its place in Redis.
const SLACK: Duration = Duration::from_mins(5);

/// Most changed products that are looked for when the service starts.
const MOST_CHANGED: i64 = 200_000;

/// The pause before the changes of the last hour are looked for again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// What is kept, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes that are kept in the process, about.
    pub local_max_bytes: usize,
    /// What keys in Redis begin with.
    pub prefix: String,
    /// How long a product is kept.
    pub product_ttl: Duration,
    /// How long a page of a list is kept.
    pub list_ttl: Duration,
}

/// A store of products whose reads are kept. Clones share what is kept.
///
/// It is [told](Listener) of changes; before that, it keeps nothing.
pub struct CachedProducts<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    settings: Settings,
    freshness: Freshness,
    products: Local<ProductId, Option<Shared<Product>>>,
    lists: Local<ListQuery, Shared<Page>>,
    /// An id has one SKU for ever, so that this is never wrong; whether the product is still there is looked up.
    ids: Cache<Sku, ProductId>,
    remote: Option<Remote>,
    /// Whether it is known what changed since the oldest product in Redis was put there.
    knows_remote: AtomicBool,
    statistics: Arc<Statistics>,
    /// Told once changes are followed for the first time.
    followed: Notify,
}

impl<S> Clone for CachedProducts<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: ProductStore> CachedProducts<S> {
    /// Keeps what is read from a store, in the process and, where there is one, in Redis.
    pub fn new(store: S, redis: Option<Redis>, settings: Settings) -> Self {
        let remote = redis.map(|redis| Remote::new(redis, &settings.prefix));
        let half = settings.local_max_bytes / 2;
        Self(Arc::new(Inner {
            store,
            freshness: Freshness::default(),
            products: Local::new(half, PRODUCT_BYTES),
            lists: Local::new(half, 20 * SUMMARY_BYTES),
            ids: Cache::new(SKUS),
            remote,
            knows_remote: AtomicBool::new(false),
            statistics: Arc::default(),
            followed: Notify::new(),
            settings,
        }))
    }

    /// How often what was asked for was there.
    pub fn statistics(&self) -> Arc<Statistics> {
        self.0.statistics.clone()
    }

    /// Learns which products changed lately, so that those which did not may be taken from Redis. Ends when that is
    /// known.
    pub async fn learn(&self, outbox: &PgOutbox) {
        // First, so that what changes meanwhile is heard of.
        self.0.followed.notified().await;
        let age = self.0.settings.product_ttl + SLACK;
        loop {
            match outbox.changed_products(age, MOST_CHANGED).await {
                Ok(changes) => {
                    let freshness = &self.0.freshness;
                    match changes.products {
                        Some(products) => {
                            for (id, xid) in products {
                                freshness.require(Freshness::product(id), xid);
                            }
                        }
                        // Too many; what was put into Redis before is not looked at.
                        None => freshness.require_of_products(changes.now),
                    }
                    freshness.require_of_lists(changes.now);
                    self.0.knows_remote.store(true, Ordering::Release);
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "it is not known yet what changed lately");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn load_product(self, id: ProductId) -> Result<Loaded<Option<Shared<Product>>>> {
        let Inner {
            freshness,
            remote,
            settings,
            statistics,
            ..
        } = &*self.0;
        let place = Freshness::product(id);
        // Before the read, which then holds all of it.
        let horizon = freshness.horizon();
        let counts = &statistics.redis.products;
        if let Some(remote) = self.remote() {
            let held = or_none(remote.product(id).await)
                .filter(|held| freshness.is_complete(place, held.as_of));
            count(counts, held.is_some());
            if let Some(held) = held {
                return Ok(Loaded {
                    bytes: PRODUCT_BYTES + 3 * held.bytes,
                    value: Some(Shared::new(held.value)),
                    ttl: settings.product_ttl,
                });
            }
        }
        let Some(product) = self.0.store.find(id).await?.map(Shared::new) else {
            return Ok(Loaded {
                value: None,
                ttl: ABSENT_TTL.min(settings.product_ttl),
                bytes: PRODUCT_BYTES,
            });
        };
        if remote.is_some() && freshness.is_complete(place, horizon) {
            let (cache, product) = (self.clone(), product.clone());
            tokio::spawn(async move {
                if let Some(remote) = &cache.0.remote {
                    let ttl = cache.0.settings.product_ttl;
                    let put = remote.put_product(&product, horizon, ttl).await;
                    or_none(put.map(Some));
                }
            });
        }
        Ok(Loaded {
            bytes: PRODUCT_BYTES + product_bytes(&product),
            value: Some(product),
            ttl: settings.product_ttl,
        })
    }

    async fn load_page(self, query: ListQuery) -> Result<Loaded<Shared<Page>>> {
        let Inner {
            freshness,
            remote,
            settings,
            statistics,
            ..
        } = &*self.0;
        let place = freshness.list(query.category(), query.warehouse());
        let horizon = freshness.horizon();
        let loaded = |page: Shared<Page>| Loaded {
            bytes: SUMMARY_BYTES * (page.items.len() + 1),
            value: page,
            ttl: settings.list_ttl,
        };
        let counts = &statistics.redis.lists;
        if let Some(remote) = self.remote() {
            let held = or_none(remote.page(&query).await)
                .filter(|held| freshness.is_complete(place, held.as_of));
            count(counts, held.is_some());
            if let Some(held) = held {
                return Ok(loaded(Shared::new(held.value)));
            }
        }
        let page = Shared::new(self.0.store.list(&query).await?);
        if remote.is_some() && freshness.is_complete(place, horizon) {
            let (cache, page) = (self.clone(), page.clone());
            tokio::spawn(async move {
                if let Some(remote) = &cache.0.remote {
                    let ttl = cache.0.settings.list_ttl;
                    let put = remote.put_page(&query, &page, horizon, ttl).await;
                    or_none(put.map(Some));
                }
            });
        }
        Ok(loaded(page))
    }

    /// Redis, where it may be read from.
    fn remote(&self) -> Option<&Remote> {
        let knows = self.0.knows_remote.load(Ordering::Acquire);
        self.0.remote.as_ref().filter(|_| knows)
    }

    /// The places of what a change touches.
    fn places(&self, id: ProductId, before: Option<&Listed>, after: Option<&Listed>) -> Vec<Place> {
        let freshness = &self.0.freshness;
        let mut places = vec![Freshness::product(id)];
        let listed = after.filter(|after| before != Some(after));
        for listed in before.into_iter().chain(listed) {
            let (category, warehouse) = (listed.category.as_ref(), listed.warehouse.as_ref());
            places.push(freshness.list(None, None));
            if category.is_some() {
                places.push(freshness.list(category, None));
            }
            if warehouse.is_some() {
                places.push(freshness.list(None, warehouse));
                if category.is_some() {
                    places.push(freshness.list(category, warehouse));
                }
            }
        }
        places
    }
}

/// Without Redis things are slower, and nothing else.
fn or_none<T>(result: std::result::Result<Option<T>, RedisError>) -> Option<T> {
    result.unwrap_or_else(|error| {
        tracing::debug!(%error, "the cache in Redis was not used");
        None
    })
}

fn count(counts: &Counts, hit: bool) {
    if hit {
        counts.hit();
    } else {
        counts.miss();
    }
}

/// What the texts of a product take, with what is made of them: a message, its JSON and its bytes.
fn product_bytes(product: &Product) -> usize {
    let description = product.description.as_ref();
    let attributes = product.attributes.as_ref();
    4 * description.map_or(0, |text| text.as_str().len())
        + 4 * attributes.map_or(0, Attributes::bytes)
}

impl<S: ProductStore> ProductStore for CachedProducts<S> {
    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.store.list(query).await
    }

    async fn find(&self, id: ProductId) -> Result<Option<Product>> {
        self.0.store.find(id).await
    }

    async fn find_by_sku(&self, sku: &Sku) -> Result<Option<Product>> {
        self.0.store.find_by_sku(sku).await
    }

    async fn write(&self, event: &Event) -> Result<Option<Written>> {
        let listed = |product: &Product| Listed {
            category: product.category.clone(),
            warehouse: product.warehouse.clone(),
        };
        let change = &event.change;
        let (before, after) = (change.before().map(listed), change.after().map(listed));
        let mut ends = Ends {
            cache: self,
            places: self.places(change.product_id(), before.as_ref(), after.as_ref()),
            recorded: None,
        };
        let written = self.0.store.write(event).await?;
        ends.recorded = written.map(|written| written.recorded);
        drop(ends);
        if written.is_some() && before.is_some() && self.0.remote.is_some() {
            let (cache, id) = (self.clone(), change.product_id());
            tokio::spawn(async move {
                if let Some(remote) = &cache.0.remote {
                    or_none(remote.evict_product(id).await.map(Some));
                }
            });
        }
        Ok(written)
    }

    async fn read_list(&self, query: &ListQuery) -> Result<Shared<Page>> {
        let Inner {
            freshness, lists, ..
        } = &*self.0;
        let counts = &self.0.statistics.local.lists;
        let place = freshness.list(query.category(), query.warehouse());
        let Some(stamp) = freshness.stamp(place) else {
            counts.miss();
            // Apart, as is all that reaches the store: a future that could do it by itself is large to move about.
            return Box::pin(self.list(query)).await.map(Shared::new);
        };
        let load = || self.clone().load_page(query.clone());
        if let Some(page) = lists.get(query, stamp, load) {
            counts.hit();
            return Ok(page);
        }
        counts.miss();
        lists.load(query, stamp, load).await
    }

    async fn read(&self, id: ProductId) -> Result<Option<Shared<Product>>> {
        let Inner {
            freshness,
            products,
            ..
        } = &*self.0;
        let counts = &self.0.statistics.local.products;
        let Some(stamp) = freshness.stamp(Freshness::product(id)) else {
            counts.miss();
            return Ok(Box::pin(self.find(id)).await?.map(Shared::new));
        };
        let load = || self.clone().load_product(id);
        if let Some(product) = products.get(&id, stamp, load) {
            counts.hit();
            return Ok(product);
        }
        counts.miss();
        products.load(&id, stamp, load).await
    }

    async fn read_by_sku(&self, sku: &Sku) -> Result<Option<Shared<Product>>> {
        if let Some(id) = self.0.ids.get(sku)
            && let Some(product) = self.read(id).await?
        {
            return Ok(Some(product));
        }
        // Not known, or deleted, so that another product may have the SKU.
        let product = Box::pin(self.find_by_sku(sku)).await?.map(Shared::new);
        if let Some(product) = &product {
            self.0.ids.insert(sku.clone(), product.id);
        }
        Ok(product)
    }
}

/// A change that is about to be made. When it is over, well or not or because its caller went away, what was kept ends.
struct Ends<'a, S> {
    cache: &'a CachedProducts<S>,
    places: Vec<Place>,
    recorded: Option<Recorded>,
}

impl<S> Drop for Ends<'_, S> {
    fn drop(&mut self) {
        let places = std::mem::take(&mut self.places);
        self.cache.0.freshness.change(places, self.recorded);
    }
}

impl<S: ProductStore> Listener for CachedProducts<S> {
    fn changed(&self, batch: &Batch) {
        for event in &batch.events {
            // A change of the stock has no message: lists do not show it.
            let shown = event.message.is_some();
            let (before, after) = (event.before.as_ref(), event.after.as_ref());
            let places = self.places(
                event.product_id,
                before.filter(|_| shown),
                after.filter(|_| shown),
            );
            self.0.freshness.hear(places, event.recorded);
        }
        self.0.freshness.reach(batch.end().horizon());
    }

    fn lost(&self) {
        self.0.freshness.lose();
    }

    fn found(&self) {
        self.0.freshness.find();
        self.0.followed.notify_one();
    }
}
