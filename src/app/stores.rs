//! What requests and events read and write.

use sqlx::PgPool;

use crate::cache::{self, CachedProducts};
use crate::config::Config;
use crate::domain::Inventory;
use crate::redis::Redis;
use crate::store::{Bell, ConnectionUse, PgInventory, PgProducts};
use crate::system::SystemEnvironment;

/// What requests and events read and write.
pub(super) struct Stores {
    pub(super) products: CachedProducts<PgProducts>,
    /// Without it nothing is indexed.
    pub(super) search: Option<PgProducts>,
    pub(super) inventory: Inventory<PgInventory, SystemEnvironment>,
    pub(super) redis: Option<Redis>,
    pub(super) connections: ConnectionUse,
    /// Without it nothing is told of changes to the cache, which then keeps nothing.
    pub(super) caching: bool,
}

impl Stores {
    pub(super) fn new(config: &Config, pool: &PgPool, bell: &Bell) -> Self {
        let caching = config.features.enable_caching;
        let redis = Redis::new(&config.data.redis).filter(|_| caching);
        let settings = cache::Settings {
            local_max_bytes: config.cache.local_max_bytes,
            prefix: config.cache.prefix.clone(),
            product_ttl: config.cache.product_ttl,
            list_ttl: config.cache.list_ttl,
        };
        let products = PgProducts::new(pool.clone(), bell.clone());
        let inventory = PgInventory::new(pool.clone(), bell.clone());
        Self {
            connections: products.connection_use(),
            search: (config.features.enable_search_indexing).then(|| products.clone()),
            products: CachedProducts::new(products, redis.clone(), settings),
            inventory: Inventory::new(inventory, SystemEnvironment),
            redis,
            caching,
        }
    }

    /// The cache, which is to hear of all changes.
    pub(super) fn cache(&self) -> Option<CachedProducts<PgProducts>> {
        self.caching.then(|| self.products.clone())
    }
}
