//! The use cases of the catalog.

use futures_util::lock::Mutex;
use time::OffsetDateTime;

use super::error::{Error, Result};
use super::etag::Precondition;
use super::event::{Cause, Change, Event};
use super::id::ProductId;
use super::list::{ListQuery, Page};
use super::ports::{Environment, ProductStore};
use super::product::{NewProduct, Product, ProductPatch};
use super::shared::Shared;
use super::value::Sku;

/// How a caller names a product.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProductKey {
    /// By its id.
    Id(ProductId),
    /// By its SKU.
    Sku(Sku),
}

/// The catalog, over a store of products and an environment.
#[derive(Debug)]
pub struct Catalog<S, E> {
    store: S,
    environment: E,
    turns: Turns,
}

/// How often a change is tried while other instances of the service change the same product.
const ATTEMPTS: u32 = 30;

impl<S: ProductStore, E: Environment> Catalog<S, E> {
    /// A catalog that keeps its products in `store`.
    pub fn new(store: S, environment: E) -> Self {
        Self {
            store,
            environment,
            turns: Turns::new(),
        }
    }

    /// A page of the products, the newest first.
    pub async fn list(&self, query: &ListQuery) -> Result<Shared<Page>> {
        self.store.read_list(query).await
    }

    /// The product a caller named.
    pub async fn get(&self, key: &ProductKey) -> Result<Shared<Product>> {
        match key {
            ProductKey::Id(id) => self.store.read(*id).await?.ok_or_else(|| missing(*id)),
            ProductKey::Sku(sku) => self
                .store
                .read_by_sku(sku)
                .await?
                .ok_or_else(|| Error::product_not_found(sku.as_str())),
        }
    }

    /// Makes a product; [`Error::AlreadyExists`] when its SKU is in use.
    pub async fn create(&self, cause: Cause, new: NewProduct) -> Result<Product> {
        let id = ProductId::new(self.environment.new_uuid());
        let mut product = new.into_product(id, self.environment.now());
        let event = self.event(
            cause,
            product.created_at,
            Change::Created(Box::new(product.clone())),
        );
        match self.store.write(&event).await? {
            Some(written) => {
                product.revision = written.revision;
                Ok(product)
            }
            None => Err(Error::Internal("a new product was not written".into())),
        }
    }

    /// Changes a product and gives its new version, the same as before when nothing changes.
    pub async fn update(
        &self,
        cause: Cause,
        id: ProductId,
        patch: ProductPatch,
    ) -> Result<Product> {
        self.change(cause, id, |product, now| {
            let after = patch.clone().apply(product, now)?;
            Ok(after.map(|after| Change::Updated {
                before: Box::new(product.clone()),
                after: Box::new(after),
            }))
        })
        .await
    }

    /// Deletes a product, whatever it is.
    pub async fn delete(&self, cause: Cause, id: ProductId) -> Result<()> {
        self.delete_if(cause, id, &Precondition::None).await
    }

    /// Deletes a product that is as the caller expects.
    pub async fn delete_if(
        &self,
        cause: Cause,
        id: ProductId,
        expected: &Precondition,
    ) -> Result<()> {
        let delete = |product: &Product, _| {
            if expected.holds(product) {
                Ok(Some(Change::Deleted(Box::new(product.clone()))))
            } else {
                Err(Error::PreconditionFailed)
            }
        };
        self.change(cause, id, delete).await.map(|_| ())
    }

    /// Reads a product and writes what `change` makes of it, again and again until nobody came in between. Gives the
    /// product after, or that before when `change` makes nothing of it or deletes it.
    async fn change(
        &self,
        cause: Cause,
        id: ProductId,
        change: impl Fn(&Product, OffsetDateTime) -> Result<Option<Change>>,
    ) -> Result<Product> {
        // One after the other in this process, or all but one of many would have come for nothing every time.
        let _turn = self.turns.of(id).lock().await;
        for _ in 0..ATTEMPTS {
            let product = self.store.find(id).await?.ok_or_else(|| missing(id))?;
            let now = self.environment.now();
            let Some(change) = change(&product, now)? else {
                return Ok(product);
            };
            let event = self.event(cause.clone(), now.max(product.updated_at), change);
            if let Some(written) = self.store.write(&event).await? {
                let product = match event.change {
                    Change::Created(after) | Change::Updated { after, .. } => *after,
                    Change::Deleted(before) => *before,
                };
                // What a receipt says was made before the change, and is what every caller is told.
                if event.cause.receipt.is_some() {
                    return Ok(product);
                }
                return Ok(Product {
                    revision: written.revision,
                    availability: written.availability,
                    ..product
                });
            }
        }
        Err(Error::Conflict)
    }

    fn event(&self, cause: Cause, time: OffsetDateTime, change: Change) -> Event {
        let id = self.environment.new_uuid();
        Event {
            id,
            time,
            cause,
            change,
        }
    }
}

/// Lets the changes of one product come one after the other; products that share a number wait for each other too.
#[derive(Debug)]
struct Turns(Box<[Mutex<()>]>);

impl Turns {
    fn new() -> Self {
        Self((0..256).map(|_| Mutex::new(())).collect())
    }

    fn of(&self, id: ProductId) -> &Mutex<()> {
        // The last bits of a UUIDv7 are random.
        let [.., last] = *id.uuid().as_bytes();
        &self.0[usize::from(last)]
    }
}

fn missing(id: ProductId) -> Error {
    Error::product_not_found(id.to_string())
}

#[cfg(test)]
mod tests;
