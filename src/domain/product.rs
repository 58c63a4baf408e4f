//! A product, how it begins and how it changes.

use time::OffsetDateTime;

use super::error::{Error, Result};
use super::etag::Precondition;
use super::id::ProductId;
use super::inventory::Availability;
use super::value::{Attributes, Brand, Category, Description, Money, ProductName, Sku, Warehouse};

/// Where a product stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProductStatus {
    /// For sale.
    #[default]
    Active,
    /// Not for sale at present.
    Inactive,
    /// No longer made.
    Discontinued,
}

impl ProductStatus {
    /// The name of the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Discontinued => "discontinued",
        }
    }

    /// The status of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Discontinued]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A product of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Identifier.
    pub id: ProductId,
    /// Stock Keeping Unit: unique among the products that are not deleted, and never changed.
    pub sku: Sku,
    /// Display name.
    pub name: ProductName,
    /// What the product is, for people.
    pub description: Option<Description>,
    /// Category the product is listed under.
    pub category: Option<Category>,
    /// Brand name.
    pub brand: Option<Brand>,
    /// Properties particular to the product.
    pub attributes: Option<Attributes>,
    /// Price; absent while none is set.
    pub price: Option<Money>,
    /// Code of the warehouse that stocks the product.
    pub warehouse: Option<Warehouse>,
    /// Where the product stands in its life.
    pub status: ProductStatus,
    /// When the product was created, in UTC and to the microsecond.
    pub created_at: OffsetDateTime,
    /// When the product last changed, in UTC and to the microsecond.
    pub updated_at: OffsetDateTime,
    /// Counts the changes of the product, from 1; those of its stock do not count.
    pub version: i32,
    /// What is in stock; absent until a warehouse has told.
    pub availability: Option<Availability>,
    /// Counts all that readers can see change, the stock too. Not shown: of two copies the greater is newer.
    pub revision: i32,
}

/// What a list shows of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductSummary {
    /// Identifier.
    pub id: ProductId,
    /// Stock Keeping Unit.
    pub sku: Sku,
    /// Display name.
    pub name: ProductName,
    /// Category the product is listed under.
    pub category: Option<Category>,
    /// Price; absent while none is set.
    pub price: Option<Money>,
    /// Code of the warehouse that stocks the product.
    pub warehouse: Option<Warehouse>,
    /// When the product was created.
    pub created_at: OffsetDateTime,
    /// When the product last changed.
    pub updated_at: OffsetDateTime,
}

/// What a caller gives to make a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// Stock Keeping Unit.
    pub sku: Sku,
    /// Display name.
    pub name: ProductName,
    /// What the product is, for people.
    pub description: Option<Description>,
    /// Category the product is listed under.
    pub category: Option<Category>,
    /// Brand name.
    pub brand: Option<Brand>,
    /// Properties particular to the product.
    pub attributes: Option<Attributes>,
    /// Price.
    pub price: Option<Money>,
    /// Code of the warehouse that stocks the product.
    pub warehouse: Option<Warehouse>,
    /// Where the product stands in its life.
    pub status: ProductStatus,
}

impl NewProduct {
    /// The first version of the product.
    pub fn into_product(self, id: ProductId, now: OffsetDateTime) -> Product {
        Product {
            id,
            sku: self.sku,
            name: self.name,
            description: self.description,
            category: self.category,
            brand: self.brand,
            attributes: self.attributes,
            price: self.price,
            warehouse: self.warehouse,
            status: self.status,
            created_at: now,
            updated_at: now,
            version: 1,
            availability: None,
            revision: 1,
        }
    }
}

/// A change of a product: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductPatch {
    /// What the product must be.
    pub expected: Precondition,
    /// The SKU the caller believes the product has; any other is refused.
    pub sku: Option<Sku>,
    /// New display name.
    pub name: Option<ProductName>,
    /// New description.
    pub description: Option<Option<Description>>,
    /// New category.
    pub category: Option<Option<Category>>,
    /// New brand.
    pub brand: Option<Option<Brand>>,
    /// New attributes, in place of all the old ones.
    pub attributes: Option<Option<Attributes>>,
    /// New price.
    pub price: Option<Option<Money>>,
    /// New warehouse.
    pub warehouse: Option<Option<Warehouse>>,
    /// New status.
    pub status: Option<ProductStatus>,
}

impl ProductPatch {
    /// The next version of `product`, or `None` when nothing changes.
    pub fn apply(self, product: &Product, now: OffsetDateTime) -> Result<Option<Product>> {
        if !self.expected.holds(product) {
            return Err(Error::PreconditionFailed);
        }
        if self.sku.is_some_and(|sku| sku != product.sku) {
            return Err(Error::invalid("sku", "Cannot be changed"));
        }
        let mut next = product.clone();
        set(&mut next.name, self.name);
        set(&mut next.description, self.description);
        set(&mut next.category, self.category);
        set(&mut next.brand, self.brand);
        set(&mut next.attributes, self.attributes);
        set(&mut next.price, self.price);
        set(&mut next.warehouse, self.warehouse);
        set(&mut next.status, self.status);
        if next == *product {
            return Ok(None);
        }
        // Clocks of several instances differ: a product never gets older by a change.
        next.updated_at = now.max(product.updated_at);
        next.version = product
            .version
            .checked_add(1)
            .ok_or_else(|| Error::Internal("the version of the product is used up".into()))?;
        // More when the stock changes meanwhile, which the store tells.
        next.revision = product.revision.saturating_add(1);
        Ok(Some(next))
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
