//! What the audit log says of a call: who asked for what, and from where. A change carries it to where it is kept, so
//! that neither is kept without the other.

use std::net::IpAddr;
use std::sync::OnceLock;

use time::OffsetDateTime;

use super::event::Change;
use super::product::Product;

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it came.
    pub time: OffsetDateTime,
    /// Its id.
    pub request_id: String,
    /// Its trace.
    pub trace_id: Option<String>,
    /// Who calls; nobody when that is not known.
    pub actor: Option<String>,
    /// What the caller may do.
    pub scopes: Vec<String>,
    /// Where the call came from.
    pub peer: Option<IpAddr>,
    /// What the caller's program says it is.
    pub user_agent: Option<String>,
    /// What was called, such as `catalog.v1.CatalogService/GetProduct`.
    pub rpc: &'static str,
    /// What it is about, as the caller names it.
    pub resource: OnceLock<String>,
    /// Set once it is in the audit log, together with the change that it made.
    pub kept: OnceLock<()>,
}

impl Change {
    /// The names of the fields that are not what they were, sorted.
    pub fn fields(&self) -> Vec<&'static str> {
        match self {
            Self::Created(product) => different(None, product),
            Self::Updated { before, after } => different(Some(before), after),
            Self::Deleted(_) => Vec::new(),
        }
    }
}

/// The fields a caller can set that are not in `after` what they are in `before`; without it, those that are set.
fn different(before: Option<&Product>, after: &Product) -> Vec<&'static str> {
    let changed = |same: fn(&Product, &Product) -> bool, set: bool| match before {
        Some(before) => !same(before, after),
        None => set,
    };
    let fields = [
        (
            "attributes",
            changed(
                |a, b| a.attributes == b.attributes,
                after.attributes.is_some(),
            ),
        ),
        (
            "brand",
            changed(|a, b| a.brand == b.brand, after.brand.is_some()),
        ),
        (
            "category",
            changed(|a, b| a.category == b.category, after.category.is_some()),
        ),
        (
            "description",
            changed(
                |a, b| a.description == b.description,
                after.description.is_some(),
            ),
        ),
        ("name", changed(|a, b| a.name == b.name, true)),
        (
            "price",
            changed(|a, b| a.price == b.price, after.price.is_some()),
        ),
        ("sku", changed(|a, b| a.sku == b.sku, true)),
        ("status", changed(|a, b| a.status == b.status, true)),
        (
            "warehouse",
            changed(|a, b| a.warehouse == b.warehouse, after.warehouse.is_some()),
        ),
    ];
    let changed = fields.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::id::ProductId;
    use super::super::product::{NewProduct, ProductStatus};
    use super::super::value::{Brand, ProductName, Sku};
    use super::*;

    fn product() -> Product {
        let new = NewProduct {
            sku: Sku::parse("A").unwrap(),
            name: ProductName::parse("x").unwrap(),
            description: None,
            category: None,
            brand: Some(Brand::parse("Émile").unwrap()),
            attributes: None,
            price: None,
            warehouse: None,
            status: ProductStatus::Active,
        };
        let id = ProductId::new(uuid::Uuid::from_u128(1));
        new.into_product(id, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn fields_are_named_when_they_change() {
        let created = Change::Created(Box::new(product()));
        assert_eq!(created.fields(), ["brand", "name", "sku", "status"]);
        let updated = Change::Updated {
            before: Box::new(product()),
            after: Box::new(Product {
                brand: None,
                name: ProductName::parse("y").unwrap(),
                version: 2,
                ..product()
            }),
        };
        assert_eq!(updated.fields(), ["brand", "name"]);
        let deleted = Change::Deleted(Box::new(product()));
        assert_eq!(deleted.fields(), Vec::<&str>::new());
    }
}
