//! Products and pages as JSON, for a cache outside the process.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::domain::{
    Amount, Attributes, Availability, Brand, Category, Currency, Description, Money, Page, Product,
    ProductName, ProductStatus, ProductSummary, Sku, Warehouse,
};

/// What is kept, with what is needed to know whether it may be given. The order of the fields is part of the format: a
/// script in Redis looks at the first one.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored<T> {
    /// Of two values, the one of the greater revision is newer.
    pub revision: i64,
    /// The value holds all transactions before this one.
    pub as_of: u64,
    /// [`FORMAT`] of who wrote it; others are not read.
    pub format: u32,
    pub value: T,
}

/// Changes with the fields below.
pub(super) const FORMAT: u32 = 1;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredProduct {
    id: String,
    sku: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<StoredMoney>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warehouse: Option<String>,
    status: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<StoredAvailability>,
    revision: i32,
}

#[derive(Deserialize, Serialize)]
struct StoredAvailability {
    quantity: i64,
    reserved: i64,
    available: i64,
}

/// An amount is text: a number would go through a double.
#[derive(Deserialize, Serialize)]
struct StoredMoney {
    amount: String,
    currency: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredSummary {
    id: String,
    sku: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<StoredMoney>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warehouse: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

#[derive(Deserialize, Serialize)]
pub(super) struct StoredPage {
    products: Vec<StoredSummary>,
    total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<&Money> for StoredMoney {
    fn from(money: &Money) -> Self {
        Self {
            amount: money.amount.to_string(),
            currency: money.currency.as_str().to_owned(),
        }
    }
}

impl StoredMoney {
    fn into_money(self) -> Result<Money, Broken> {
        let amount: Decimal = self.amount.parse().map_err(|_| Broken)?;
        Ok(Money {
            amount: Amount::new(amount).map_err(|_| Broken)?,
            currency: Currency::parse(self.currency).map_err(|_| Broken)?,
        })
    }
}

impl From<&Product> for StoredProduct {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id.to_string(),
            sku: product.sku.as_str().to_owned(),
            name: product.name.as_str().to_owned(),
            description: text(product.description.as_ref(), Description::as_str),
            category: text(product.category.as_ref(), Category::as_str),
            brand: text(product.brand.as_ref(), Brand::as_str),
            attributes: product.attributes.as_ref().map(|a| a.as_map().clone()),
            price: product.price.as_ref().map(StoredMoney::from),
            warehouse: text(product.warehouse.as_ref(), Warehouse::as_str),
            status: product.status.as_str().to_owned(),
            created_at: product.created_at,
            updated_at: product.updated_at,
            version: product.version,
            availability: product.availability.map(|stock| StoredAvailability {
                quantity: stock.quantity,
                reserved: stock.reserved,
                available: stock.available,
            }),
            revision: product.revision,
        }
    }
}

impl StoredProduct {
    /// The product.
    pub fn into_product(self) -> Result<Product, Broken> {
        Ok(Product {
            id: self.id.parse().map_err(|_| Broken)?,
            sku: Sku::parse(self.sku).map_err(|_| Broken)?,
            name: ProductName::parse(self.name).map_err(|_| Broken)?,
            description: optional(self.description, Description::parse)?,
            category: optional(self.category, Category::parse)?,
            brand: optional(self.brand, Brand::parse)?,
            attributes: optional(self.attributes, Attributes::parse)?,
            price: optional(self.price, StoredMoney::into_money)?,
            warehouse: optional(self.warehouse, Warehouse::parse)?,
            status: ProductStatus::parse(&self.status).ok_or(Broken)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
            availability: self.availability.map(|stock| Availability {
                quantity: stock.quantity,
                reserved: stock.reserved,
                available: stock.available,
            }),
            revision: self.revision,
        })
    }
}

impl From<&ProductSummary> for StoredSummary {
    fn from(product: &ProductSummary) -> Self {
        Self {
            id: product.id.to_string(),
            sku: product.sku.as_str().to_owned(),
            name: product.name.as_str().to_owned(),
            category: text(product.category.as_ref(), Category::as_str),
            price: product.price.as_ref().map(StoredMoney::from),
            warehouse: text(product.warehouse.as_ref(), Warehouse::as_str),
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}

impl StoredSummary {
    fn into_summary(self) -> Result<ProductSummary, Broken> {
        Ok(ProductSummary {
            id: self.id.parse().map_err(|_| Broken)?,
            sku: Sku::parse(self.sku).map_err(|_| Broken)?,
            name: ProductName::parse(self.name).map_err(|_| Broken)?,
            category: optional(self.category, Category::parse)?,
            price: optional(self.price, StoredMoney::into_money)?,
            warehouse: optional(self.warehouse, Warehouse::parse)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl From<&Page> for StoredPage {
    fn from(page: &Page) -> Self {
        Self {
            products: page.items.iter().map(StoredSummary::from).collect(),
            total: page.total,
            next: page.next.clone(),
        }
    }
}

impl StoredPage {
    /// The page.
    pub fn into_page(self) -> Result<Page, Broken> {
        let items = self.products.into_iter().map(StoredSummary::into_summary);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            total: self.total,
            next: self.next,
        })
    }
}

fn text<T>(value: Option<&T>, as_str: fn(&T) -> &str) -> Option<String> {
    value.map(|value| as_str(value).to_owned())
}

/// What was absent is absent; what is there has to keep the rules.
fn optional<V, T, M>(
    stored: Option<V>,
    parse: impl FnOnce(V) -> Result<T, M>,
) -> Result<Option<T>, Broken> {
    let parsed = stored.map(|stored| parse(stored).map_err(|_| Broken));
    parsed.transpose()
}

/// A value that does not keep the rules, so that it was written by another hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ProductId;

    fn product() -> Product {
        let Value::Object(attributes) = json!({"ram": 16, "weight": 1.5, "of": [null, "é"]})
        else {
            panic!("not an object")
        };
        Product {
            id: ProductId::new(Uuid::from_u128(7)),
            sku: Sku::parse("A-1").unwrap(),
            name: ProductName::parse("<Näme> \"1\"").unwrap(),
            description: Some(Description::parse("").unwrap()),
            category: Some(Category::parse("c").unwrap()),
            brand: None,
            attributes: Some(Attributes::parse(attributes).unwrap()),
            price: Some(Money {
                amount: Amount::parse("999999999999999.9999").unwrap(),
                currency: Currency::parse("USD").unwrap(),
            }),
            warehouse: None,
            status: ProductStatus::Discontinued,
            created_at: datetime!(2025-01-02 03:04:05.678901 UTC),
            updated_at: datetime!(2025-01-02 03:04:05 UTC),
            version: 3,
            availability: Some(Availability {
                quantity: 45,
                reserved: 50,
                available: -5,
            }),
            revision: 8,
        }
    }

    #[test]
    fn products_come_back_as_they_went() {
        let product = product();
        let json = serde_json::to_vec(&StoredProduct::from(&product)).unwrap();
        let stored: StoredProduct = serde_json::from_slice(&json).unwrap();
        assert_eq!(stored.into_product(), Ok(product));
    }

    #[test]
    fn pages_come_back_as_they_went() {
        let product = product();
        let page = Page {
            items: vec![ProductSummary {
                id: product.id,
                sku: product.sku,
                name: product.name,
                category: product.category,
                price: product.price,
                warehouse: product.warehouse,
                created_at: product.created_at,
                updated_at: product.updated_at,
            }],
            total: 41,
            next: Some("token".to_owned()),
        };
        let json = serde_json::to_vec(&StoredPage::from(&page)).unwrap();
        let stored: StoredPage = serde_json::from_slice(&json).unwrap();
        assert_eq!(stored.into_page(), Ok(page));
    }

    #[test]
    fn what_breaks_the_rules_is_not_taken() {
        let mut stored = StoredProduct::from(&product());
        stored.sku = "not a sku".to_owned();
        assert_eq!(stored.into_product(), Err(Broken));
    }
}
