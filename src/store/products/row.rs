//! Rows of products as values of the domain.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sqlx::types::Json;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::super::error::corrupt;
use crate::domain::error::Result;
use crate::domain::{
    Amount, Attributes, Availability, Brand, Category, Currency, Description, Error, Money,
    Product, ProductId, ProductName, ProductStatus, ProductSummary, Sku, Warehouse,
};

/// All of a product.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) category: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) attributes: Option<Json<Map<String, Value>>>,
    pub(super) warehouse_id: Option<String>,
    pub(super) status: String,
    pub(super) price_amount: Option<Decimal>,
    pub(super) currency: Option<String>,
    pub(super) version: i32,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
    pub(super) stock_quantity: Option<i64>,
    pub(super) stock_reserved: Option<i64>,
    pub(super) stock_available: Option<i64>,
    pub(super) revision: i32,
}

/// What lists show of a product.
pub(super) struct SummaryRow {
    pub(super) id: Uuid,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) category: Option<String>,
    pub(super) warehouse_id: Option<String>,
    pub(super) price_amount: Option<Decimal>,
    pub(super) currency: Option<String>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
}

fn value<T>(
    column: &'static str,
    parsed: std::result::Result<T, impl std::fmt::Display>,
) -> Result<T> {
    parsed.map_err(|message| corrupt(column, message))
}

fn optional<V, T, M: std::fmt::Display>(
    column: &'static str,
    stored: Option<V>,
    parse: impl FnOnce(V) -> std::result::Result<T, M>,
) -> Result<Option<T>> {
    stored
        .map(|stored| value(column, parse(stored)))
        .transpose()
}

fn money(amount: Option<Decimal>, currency: Option<String>) -> Result<Option<Money>> {
    match (amount, currency) {
        (Some(amount), Some(currency)) => Ok(Some(Money {
            amount: value("price_amount", Amount::new(amount))?,
            currency: value("currency", Currency::parse(currency))?,
        })),
        (None, None) => Ok(None),
        _ => Err(corrupt(
            "price_amount",
            "price without currency, or the reverse",
        )),
    }
}

/// An error with the row it is of, so that whoever reads the log can mend it.
fn of_row(id: Uuid, error: Error) -> Error {
    match error {
        Error::Internal(cause) => {
            Error::Internal(format!("{}: {cause}", ProductId::new(id)).into())
        }
        error => error,
    }
}

/// The totals of a product's stock: all three are there, or none.
pub(in crate::store) fn availability(
    quantity: Option<i64>,
    reserved: Option<i64>,
    available: Option<i64>,
) -> Option<Availability> {
    Some(Availability {
        quantity: quantity?,
        reserved: reserved?,
        available: available?,
    })
}

impl Row {
    pub(super) fn into_product(self) -> Result<Product> {
        let id = self.id;
        self.parse().map_err(|error| of_row(id, error))
    }

    fn parse(self) -> Result<Product> {
        Ok(Product {
            id: ProductId::new(self.id),
            sku: value("sku", Sku::parse(self.sku))?,
            name: value("name", ProductName::parse(self.name))?,
            description: optional("description", self.description, Description::parse)?,
            category: optional("category", self.category, Category::parse)?,
            brand: optional("brand", self.brand, Brand::parse)?,
            attributes: optional("attributes", self.attributes, |Json(map)| {
                Attributes::parse(map)
            })?,
            price: money(self.price_amount, self.currency)?,
            warehouse: optional("warehouse_id", self.warehouse_id, Warehouse::parse)?,
            status: ProductStatus::parse(&self.status)
                .ok_or_else(|| corrupt("status", &self.status))?,
            created_at: self.created_at.to_offset(UtcOffset::UTC),
            updated_at: self.updated_at.to_offset(UtcOffset::UTC),
            version: self.version,
            availability: availability(
                self.stock_quantity,
                self.stock_reserved,
                self.stock_available,
            ),
            revision: self.revision,
        })
    }
}

impl SummaryRow {
    pub(super) fn into_summary(self) -> Result<ProductSummary> {
        let id = self.id;
        self.parse().map_err(|error| of_row(id, error))
    }

    fn parse(self) -> Result<ProductSummary> {
        Ok(ProductSummary {
            id: ProductId::new(self.id),
            sku: value("sku", Sku::parse(self.sku))?,
            name: value("name", ProductName::parse(self.name))?,
            category: optional("category", self.category, Category::parse)?,
            price: money(self.price_amount, self.currency)?,
            warehouse: optional("warehouse_id", self.warehouse_id, Warehouse::parse)?,
            created_at: self.created_at.to_offset(UtcOffset::UTC),
            updated_at: self.updated_at.to_offset(UtcOffset::UTC),
        })
    }
}
