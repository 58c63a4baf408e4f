//! The layer in Redis, which the instances share.
//!
//! What is there says which transactions it holds; whoever reads it decides whether that is enough. So it does no harm
//! when an eviction is lost, when Redis forgets or comes back with old data, or when an instance dies at any moment.

use std::time::Duration;

use ::redis::Script;
use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::stored::{FORMAT, Stored, StoredPage, StoredProduct};
use crate::domain::{Category, ListQuery, Page, Product, ProductId, Warehouse};
use crate::redis::{Redis, RedisError};
use crate::telemetry::trace::{Kind, Part};

/// Sets a value unless a newer one is there. Something else that has the key gives way.
const PUT: &str = r#"
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'string' then
  local revision, asOf = string.match(old, '^{"revision":(%d+),"asOf":(%d+)')
  if revision then
    revision, asOf = tonumber(revision), tonumber(asOf)
    if revision > tonumber(ARGV[3]) or revision == tonumber(ARGV[3]) and asOf > tonumber(ARGV[4]) then
      return 0
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"#;

/// A value from Redis.
pub(super) struct Held<T> {
    pub value: T,
    /// It holds all transactions before this one.
    pub as_of: u64,
    /// How long its JSON is.
    pub bytes: usize,
}

/// Products and lists in Redis.
pub(super) struct Remote {
    redis: Redis,
    prefix: String,
    put: Script,
}

impl Remote {
    /// Values under `prefix`.
    pub fn new(redis: Redis, prefix: &str) -> Self {
        Self {
            redis,
            prefix: prefix.to_owned(),
            put: Script::new(PUT),
        }
    }

    /// The product of an id, if it is there.
    pub async fn product(&self, id: ProductId) -> Result<Option<Held<Product>>, RedisError> {
        let key = self.product_key(id);
        self.get(&key, |stored: StoredProduct| {
            stored
                .into_product()
                .ok()
                .filter(|product| product.id == id)
        })
        .await
    }

    /// Keeps a product that holds all transactions before `as_of`.
    pub async fn put_product(
        &self,
        product: &Product,
        as_of: u64,
        ttl: Duration,
    ) -> Result<(), RedisError> {
        let key = self.product_key(product.id);
        let revision = product.revision.into();
        self.put(&key, revision, as_of, StoredProduct::from(product), ttl)
            .await
    }

    /// Removes a product.
    pub async fn evict_product(&self, id: ProductId) -> Result<(), RedisError> {
        self.redis.del(&self.product_key(id)).await.map(drop)
    }

    /// The page of a query, if it is there.
    pub async fn page(&self, query: &ListQuery) -> Result<Option<Held<Page>>, RedisError> {
        self.get(&self.page_key(query), |page: StoredPage| {
            page.into_page().ok()
        })
        .await
    }

    /// Keeps a page that holds all transactions before `as_of`.
    pub async fn put_page(
        &self,
        query: &ListQuery,
        page: &Page,
        as_of: u64,
        ttl: Duration,
    ) -> Result<(), RedisError> {
        let key = self.page_key(query);
        self.put(&key, 0, as_of, StoredPage::from(page), ttl).await
    }

    fn product_key(&self, id: ProductId) -> String {
        format!("{}:products:{id}", self.prefix)
    }

    fn page_key(&self, query: &ListQuery) -> String {
        // A tuple in JSON, so that no two queries have the same text.
        let category = query.category().map(Category::as_str);
        let warehouse = query.warehouse().map(Warehouse::as_str);
        let after = query.after().map(|id| id.to_string());
        let text = json!([query.page(), after, query.limit(), category, warehouse]).to_string();
        let digest = digest(&SHA256, text.as_bytes());
        let hash = digest.as_ref()[..16]
            .iter()
            .fold(0, |hash, byte| hash << 8 | u128::from(*byte));
        format!("{}:products:list:{hash:032x}", self.prefix)
    }

    async fn get<S: DeserializeOwned, T>(
        &self,
        key: &str,
        take: impl FnOnce(S) -> Option<T>,
    ) -> Result<Option<Held<T>>, RedisError> {
        let part = Part::of_request("cache.get", Kind::Client);
        let found = self.redis.get(key).await;
        if let Some(part) = part {
            part.end(|span| {
                span.set("db.system.name", "redis");
                span.set("db.operation.name", "GET");
                span.set("cache.hit", matches!(found, Ok(Some(_))));
                span.error = found.as_ref().err().map(ToString::to_string);
            });
        }
        let Some(json) = found? else {
            return Ok(None);
        };
        // What is not understood will be written anew.
        let Ok(stored) = serde_json::from_slice::<Stored<S>>(&json) else {
            return Ok(None);
        };
        let value = (stored.format == FORMAT).then(|| take(stored.value));
        Ok(value.flatten().map(|value| Held {
            value,
            as_of: stored.as_of,
            bytes: json.len(),
        }))
    }

    async fn put(
        &self,
        key: &str,
        revision: i64,
        as_of: u64,
        value: impl Serialize,
        ttl: Duration,
    ) -> Result<(), RedisError> {
        let stored = Stored {
            revision,
            as_of,
            format: FORMAT,
            value,
        };
        let Ok(json) = serde_json::to_vec(&stored) else {
            // A time that RFC 3339 has no form for; it is read from the store each time.
            return Ok(());
        };
        let (ttl, revision, as_of) = (
            ttl.as_millis().max(1).to_string(),
            revision.to_string(),
            as_of.to_string(),
        );
        let args: [&[u8]; 4] = [&json, ttl.as_bytes(), revision.as_bytes(), as_of.as_bytes()];
        self.redis.script(&self.put, &[key], &args).await.map(drop)
    }
}
