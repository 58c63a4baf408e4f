//! The use cases of the catalog.

use super::error::{Error, Result};
use super::id::ProductId;
use super::ports::{Environment, ListQuery, Page, ProductStore};
use super::product::{NewProduct, Product, ProductPatch};
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
#[derive(Clone, Debug)]
pub struct Catalog<S, E> {
    store: S,
    environment: E,
}

impl<S: ProductStore, E: Environment> Catalog<S, E> {
    /// A catalog that keeps its products in `store`.
    pub const fn new(store: S, environment: E) -> Self {
        Self { store, environment }
    }

    /// A page of the products, the newest first.
    pub async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.store.list(query).await
    }

    /// The product a caller named.
    pub async fn get(&self, key: &ProductKey) -> Result<Product> {
        match key {
            ProductKey::Id(id) => self.store.find(*id).await?.ok_or_else(|| missing(*id)),
            ProductKey::Sku(sku) => self
                .store
                .find_by_sku(sku)
                .await?
                .ok_or_else(|| Error::product_not_found(sku.as_str())),
        }
    }

    /// Makes a product; [`Error::AlreadyExists`] when its SKU is in use.
    pub async fn create(&self, new: NewProduct) -> Result<Product> {
        let id = ProductId::new(self.environment.new_uuid());
        let product = new.into_product(id, self.environment.now());
        self.store.insert(&product).await?;
        Ok(product)
    }

    /// Changes a product and gives its new version, the same as before when nothing changes.
    pub async fn update(&self, id: ProductId, patch: ProductPatch) -> Result<Product> {
        // The time is read under the lock of the product, so that it follows the last change.
        let change = |product: &Product| patch.apply(product, self.environment.now());
        let change = self.store.update(id, change).await?;
        change.map(|change| change.after).ok_or_else(|| missing(id))
    }

    /// Deletes a product.
    pub async fn delete(&self, id: ProductId) -> Result<()> {
        if self.store.delete(id, self.environment.now()).await? {
            return Ok(());
        }
        Err(missing(id))
    }
}

fn missing(id: ProductId) -> Error {
    Error::product_not_found(id.to_string())
}

#[cfg(test)]
mod tests;
