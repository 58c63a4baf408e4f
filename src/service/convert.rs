//! Messages of the contract as values of the domain, and back.

use prost_types::value::Kind;
use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use crate::domain::catalog::ProductKey;
use crate::domain::error::{Error, FieldViolation, Result};
use crate::domain::etag::{Etag, Precondition};
use crate::domain::id::ProductId;
use crate::domain::inventory::{Availability, ProductStock};
use crate::domain::list::{ListQuery, Page};
use crate::domain::product::{NewProduct, Product, ProductPatch, ProductStatus, ProductSummary};
use crate::domain::search::SearchQuery;
use crate::domain::value::{
    Amount, Attributes, Brand, Category, Currency, Description, Money, ProductName, Sku, Warehouse,
};
use crate::pb::catalog::v1 as pb;

/// Parses fields and keeps all that is wrong with them.
pub(super) struct Parser {
    prefix: &'static str,
    violations: Vec<FieldViolation>,
}

impl Parser {
    pub(super) const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            violations: Vec::new(),
        }
    }

    /// Takes what was parsed, or notes what is wrong with the field.
    pub(super) fn take<T, M: Into<String>>(
        &mut self,
        field: &str,
        parsed: std::result::Result<T, M>,
    ) -> Option<T> {
        parsed
            .map_err(|message| {
                self.violations.push(FieldViolation::new(
                    format!("{}{field}", self.prefix),
                    message,
                ));
            })
            .ok()
    }

    /// As [`Self::take`], for a field that may be absent.
    pub(super) fn take_opt<I, T>(
        &mut self,
        field: &str,
        value: Option<I>,
        parse: impl FnOnce(I) -> std::result::Result<T, String>,
    ) -> Option<T> {
        value.and_then(|value| self.take(field, parse(value)))
    }

    fn money(&mut self, money: Option<pb::Money>) -> Option<Money> {
        let money = money?;
        let amount = self.take("price.amount", Amount::parse(&money.amount));
        let currency = self.take("price.currency", Currency::parse(money.currency));
        Some(Money {
            amount: amount?,
            currency: currency?,
        })
    }

    /// Whether an update mask names the price as a whole, or all that it has: an amount means nothing without its
    /// currency, so that a part alone is refused.
    fn names_whole_price(&mut self, paths: &[String], given: bool) -> bool {
        let named = |name: &str| paths.iter().any(|path| path == name);
        if paths.is_empty() || named("*") || named("price") {
            return true;
        }
        let missing = ["price.amount", "price.currency"]
            .into_iter()
            .filter(|part| !given || !named(part));
        let count = self.violations.len();
        for part in missing {
            let field = format!("{}{part}", self.prefix);
            let message = "Is required: a price changes as a whole";
            self.violations.push(FieldViolation::new(field, message));
        }
        self.violations.len() == count
    }

    fn attributes(&mut self, attributes: Option<prost_types::Struct>) -> Option<Attributes> {
        let parsed = attributes.map(|object| {
            json_object(object).map_or_else(
                || Err("Must not hold numbers that are not finite".to_owned()),
                Attributes::parse,
            )
        })?;
        self.take("attributes", parsed)
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            _ => Err(Error::InvalidParameters(self.violations)),
        }
    }
}

pub(super) fn list_query(request: &pb::ListProductsRequest, most: i32) -> Result<ListQuery> {
    ListQuery::parse(
        most,
        request.page,
        request.limit,
        request.category.as_deref(),
        request.warehouse.as_deref(),
        request.page_token.as_deref(),
    )
}

pub(super) fn search_query(request: &pb::SearchProductsRequest, most: i32) -> Result<SearchQuery> {
    SearchQuery::parse(
        most,
        &request.q,
        request.page,
        request.limit,
        request.category.as_deref(),
        request.warehouse.as_deref(),
    )
}

pub(super) fn product_id(field: &str, text: &str) -> Result<ProductId> {
    text.parse()
        .map_err(|error: crate::domain::id::InvalidProductId| {
            Error::invalid(field, error.to_string())
        })
}

pub(super) fn product_key(request: &pb::GetProductRequest) -> Result<ProductKey> {
    use pb::get_product_request::Key;
    match &request.key {
        Some(Key::Id(id)) => Ok(ProductKey::Id(product_id("id", id)?)),
        Some(Key::Sku(sku)) => Sku::parse(sku.as_str())
            .map(ProductKey::Sku)
            .map_err(|message| Error::invalid("sku", message)),
        None => Err(Error::invalid("key", "One of id, sku is required")),
    }
}

pub(super) fn new_product(request: pb::CreateProductRequest) -> Result<NewProduct> {
    let mut parser = Parser::new("");
    let status = status(request.status());
    let sku = parser.take("sku", Sku::parse(request.sku));
    let name = parser.take("name", ProductName::parse(request.name));
    let description = parser.take_opt("description", request.description, Description::parse);
    let category = parser.take_opt("category", request.category, Category::parse);
    let brand = parser.take_opt("brand", request.brand, Brand::parse);
    let attributes = parser.attributes(request.attributes);
    let price = parser.money(request.price);
    let warehouse = parser.take_opt("warehouse", request.warehouse, Warehouse::parse);
    let new = sku.zip(name).map(|(sku, name)| NewProduct {
        sku,
        name,
        description,
        category,
        brand,
        attributes,
        price,
        warehouse,
        status,
    });
    parser.finish(new)
}

/// Which product changes, and how. Without a mask the fields that are set change.
pub(super) fn patch(request: pb::UpdateProductRequest) -> Result<(ProductId, ProductPatch)> {
    let product = request.product.unwrap_or_default();
    let mut parser = Parser::new("product.");
    let mask = request.update_mask.filter(|mask| !mask.paths.is_empty());
    let names = |field: &str, set: bool| match &mask {
        None => set,
        Some(mask) => mask
            .paths
            .iter()
            .any(|path| path == "*" || path.split('.').next() == Some(field)),
    };
    let id = parser.take(
        "id",
        product
            .id
            .parse::<ProductId>()
            .map_err(|error| error.to_string()),
    );
    let mut patch = ProductPatch {
        expected: Precondition::of(&request.etag),
        ..ProductPatch::default()
    };
    if names("name", !product.name.is_empty()) {
        patch.name = parser.take("name", ProductName::parse(product.name.as_str()));
    }
    if names("description", product.description.is_some()) {
        patch.description = Some(parser.take_opt(
            "description",
            product.description.clone(),
            Description::parse,
        ));
    }
    if names("category", product.category.is_some()) {
        patch.category =
            Some(parser.take_opt("category", product.category.clone(), Category::parse));
    }
    if names("brand", product.brand.is_some()) {
        patch.brand = Some(parser.take_opt("brand", product.brand.clone(), Brand::parse));
    }
    if names("attributes", product.attributes.is_some()) {
        patch.attributes = Some(parser.attributes(product.attributes.clone()));
    }
    if names("price", product.price.is_some()) {
        let paths = mask.as_ref().map_or(&[][..], |mask| &mask.paths);
        if parser.names_whole_price(paths, product.price.is_some()) {
            patch.price = Some(parser.money(product.price.clone()));
        }
    }
    // Not what a mask can name, but a caller without one may believe to change it.
    if mask.is_none() && !product.sku.is_empty() {
        patch.sku = parser.take("sku", Sku::parse(product.sku.as_str()));
    }
    if names("warehouse", product.warehouse.is_some()) {
        patch.warehouse =
            Some(parser.take_opt("warehouse", product.warehouse.clone(), Warehouse::parse));
    }
    if names("status", product.status() != pb::ProductStatus::Unspecified) {
        patch.status = Some(status(product.status()));
    }
    parser.finish(id.map(|id| (id, patch)))
}

const fn status(status: pb::ProductStatus) -> ProductStatus {
    match status {
        pb::ProductStatus::Unspecified | pb::ProductStatus::Active => ProductStatus::Active,
        pb::ProductStatus::Inactive => ProductStatus::Inactive,
        pb::ProductStatus::Discontinued => ProductStatus::Discontinued,
    }
}

pub(super) fn page(query: &ListQuery, page: &Page) -> pb::ListProductsResponse {
    pb::ListProductsResponse {
        pagination: Some(pagination(query, page)),
        products: page.items.iter().map(summary).collect(),
    }
}

pub(super) fn matches(query: &SearchQuery, page: &Page) -> pb::SearchProductsResponse {
    pb::SearchProductsResponse {
        pagination: Some(pagination(query.list(), page)),
        products: page.items.iter().map(summary).collect(),
    }
}

fn pagination(query: &ListQuery, page: &Page) -> pb::Pagination {
    pb::Pagination {
        page: query.page(),
        limit: query.limit(),
        total: clamp(page.total),
        total_pages: clamp(page.pages(query.limit())),
        next_page_token: page.next.clone(),
    }
}

fn summary(product: &ProductSummary) -> pb::ProductSummary {
    pb::ProductSummary {
        id: product.id.to_string(),
        sku: product.sku.as_str().to_owned(),
        name: product.name.as_str().to_owned(),
        category: product
            .category
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        price: product.price.as_ref().map(money),
        warehouse: product
            .warehouse
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        created_at: Some(timestamp(product.created_at)),
        updated_at: Some(timestamp(product.updated_at)),
    }
}

pub(super) fn product(product: &Product) -> pb::Product {
    let attributes = product.attributes.as_ref();
    pb::Product {
        etag: Etag::of(product).to_string(),
        id: product.id.to_string(),
        sku: product.sku.as_str().to_owned(),
        name: product.name.as_str().to_owned(),
        description: product
            .description
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        category: product
            .category
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        brand: product.brand.as_ref().map(|text| text.as_str().to_owned()),
        attributes: attributes.map(|attributes| proto_object(attributes.as_map())),
        price: product.price.as_ref().map(money),
        warehouse: product
            .warehouse
            .as_ref()
            .map(|text| text.as_str().to_owned()),
        status: proto_status(product.status).into(),
        created_at: Some(timestamp(product.created_at)),
        updated_at: Some(timestamp(product.updated_at)),
        version: product.version,
        availability: product.availability.map(availability),
    }
}

pub(super) fn product_stock(stock: ProductStock) -> pb::ListInventoryResponse {
    let warehouses = stock
        .warehouses
        .into_iter()
        .map(|stock| pb::WarehouseStock {
            warehouse: stock.warehouse.into_string(),
            quantity: stock.quantity,
            reserved: stock.reserved,
            available: stock.available,
            updated_at: Some(timestamp(stock.updated_at)),
        });
    pb::ListInventoryResponse {
        warehouses: warehouses.collect(),
        totals: stock.totals.map(availability),
    }
}

fn availability(availability: Availability) -> pb::Availability {
    pb::Availability {
        quantity: clamp(availability.quantity),
        reserved: clamp(availability.reserved),
        available: clamp(availability.available),
    }
}

/// A count of the contract, which has 32 bits: one beyond them is shown as the last within.
fn clamp(count: i64) -> i32 {
    let nearest = if count < 0 { i32::MIN } else { i32::MAX };
    i32::try_from(count).unwrap_or(nearest)
}

pub(crate) const fn proto_status(status: ProductStatus) -> pb::ProductStatus {
    match status {
        ProductStatus::Active => pb::ProductStatus::Active,
        ProductStatus::Inactive => pb::ProductStatus::Inactive,
        ProductStatus::Discontinued => pb::ProductStatus::Discontinued,
    }
}

fn money(money: &Money) -> pb::Money {
    pb::Money {
        amount: money.amount.to_string(),
        currency: money.currency.as_str().to_owned(),
    }
}

pub(crate) fn timestamp(time: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.unix_timestamp(),
        nanos: i32::try_from(time.nanosecond()).unwrap_or_default(),
    }
}

/// An object as JSON; none when it holds a number JSON has no form for.
fn json_object(object: prost_types::Struct) -> Option<Map<String, Value>> {
    object
        .fields
        .into_iter()
        .map(|(name, value)| Some((name, json(value)?)))
        .collect()
}

fn json(value: prost_types::Value) -> Option<Value> {
    Some(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => Value::Number(Number::from_f64(number)?),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::StructValue(object)) => Value::Object(json_object(object)?),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(json).collect::<Option<_>>()?)
        }
    })
}

pub(crate) fn proto_object(object: &Map<String, Value>) -> prost_types::Struct {
    let fields = object.iter();
    prost_types::Struct {
        fields: fields
            .map(|(name, value)| (name.clone(), proto(value)))
            .collect(),
    }
}

fn proto(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        // Without serde_json's arbitrary precision every number is within a double's range.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.iter().map(proto).collect(),
        }),
        Value::Object(object) => Kind::StructValue(proto_object(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(product: pb::Product, paths: Option<&[&str]>) -> Result<(ProductId, ProductPatch)> {
        let update_mask = paths.map(|paths| prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        });
        let id = "prod_01hm6xkqz0e8s8a3kq5w2v9t4c".to_owned();
        patch(pb::UpdateProductRequest {
            product: Some(pb::Product { id, ..product }),
            update_mask,
            etag: Vec::new(),
        })
    }

    #[test]
    fn a_mask_says_what_changes() {
        let product = pb::Product {
            name: "New".into(),
            brand: Some("Brand".into()),
            ..Default::default()
        };
        let (_, patch) = update(product.clone(), Some(&["name", "category"])).expect("a patch");
        assert!(patch.name.is_some());
        assert_eq!(patch.category, Some(None), "named and not set: cleared");
        assert_eq!(patch.brand, None, "set and not named: left alone");
        let (_, patch) = update(product, None).expect("a patch");
        assert!(patch.name.is_some() && patch.brand.is_some() && patch.category.is_none());
    }

    #[test]
    fn a_price_changes_as_a_whole() {
        let price = Some(pb::Money {
            amount: "5".into(),
            currency: String::new(),
        });
        let error = update(
            pb::Product {
                price,
                ..Default::default()
            },
            Some(&["price.amount"]),
        )
        .expect_err("half a price");
        let Error::InvalidParameters(violations) = error else {
            panic!("{error:?}")
        };
        assert_eq!(violations[0].field, "product.price.currency");
        // Nothing given at all is no price either; clearing one is said by its own name.
        for (paths, refused) in [
            (&["price.amount"][..], 2),
            (&["price.amount", "price.currency"], 2),
        ] {
            let error = update(pb::Product::default(), Some(paths)).expect_err("no price");
            assert!(
                matches!(error, Error::InvalidParameters(violations) if violations.len() == refused)
            );
        }
        let (_, patch) = update(pb::Product::default(), Some(&["price"])).expect("a patch");
        assert_eq!(patch.price, Some(None));
    }

    #[test]
    fn a_sku_is_never_ignored() {
        let product = pb::Product {
            sku: "OTHER".into(),
            ..Default::default()
        };
        let (_, patch) = update(product, None).expect("a patch");
        assert!(patch.sku.is_some(), "for the domain to compare");
    }

    #[test]
    fn a_required_field_can_not_be_cleared() {
        let error = update(pb::Product::default(), Some(&["name"])).expect_err("no name");
        assert!(
            matches!(error, Error::InvalidParameters(violations) if violations[0].field == "product.name")
        );
    }

    #[test]
    fn attributes_come_back_as_they_went() {
        let text = r#"{"a":null,"b":[1,2.5,{"c":true}],"d":"x"}"#;
        let Value::Object(object) = serde_json::from_str(text).expect("JSON") else {
            panic!()
        };
        let proto = proto_object(&object);
        let attributes =
            Attributes::parse(json_object(proto).expect("finite")).expect("attributes");
        assert_eq!(attributes.as_map(), &object);
    }
}
