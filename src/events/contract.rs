//! Events of the domain in the words of the contract: their topics and their JSON.

use serde_json::value::RawValue;
use transcode::Event as _;

use super::cloud_event::SOURCE;
use crate::domain::event::{Change, Event};
use crate::domain::id;
use crate::domain::product::Product;
use crate::domain::value::{Brand, Category, Description, Warehouse};
use crate::pb::catalog::v1 as pb;
use crate::service::convert;

/// What the text of an event's id begins with.
pub const EVENT_PREFIX: &str = "evt";

/// An event as it is published.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Where it is published.
    pub topic: &'static str,
    /// Its name.
    pub event_type: &'static str,
    /// The event, JSON.
    pub payload: Box<RawValue>,
}

/// An event in the form of the contract.
///
/// # Errors
/// When a value has no JSON form, such as a time before the year 1.
pub fn encode(event: &Event) -> serde_json::Result<Encoded> {
    let metadata = Some(pb::EventMetadata {
        correlation_id: event.cause.correlation_id.clone(),
        causation_id: event.cause.causation_id.clone(),
    });
    let event_id = id::encode(EVENT_PREFIX, event.id);
    let timestamp = Some(convert::timestamp(event.time));
    let actor = event.cause.actor.clone();
    let product_version = event.change.version();
    macro_rules! encoded {
        ($message:ident, $data:expr) => {
            Ok(Encoded {
                topic: pb::$message::TOPIC,
                event_type: pb::$message::TYPE,
                payload: serde_json::value::to_raw_value(&pb::$message {
                    event_id,
                    event_type: pb::$message::TYPE.to_owned(),
                    version: pb::$message::VERSION.to_owned(),
                    timestamp,
                    source: SOURCE.to_owned(),
                    data: Some($data),
                    metadata,
                })?,
            })
        };
    }
    match &event.change {
        Change::Created(product) => encoded!(
            ProductCreatedEvent,
            pb::ProductCreated {
                product_id: product.id.to_string(),
                sku: product.sku.as_str().to_owned(),
                name: product.name.as_str().to_owned(),
                category: product.category.clone().map(Category::into_string),
                warehouse: product.warehouse.clone().map(Warehouse::into_string),
                created_by: actor,
                product_version,
            }
        ),
        Change::Updated { before, after } => encoded!(
            ProductUpdatedEvent,
            pb::ProductUpdated {
                product_id: after.id.to_string(),
                sku: after.sku.as_str().to_owned(),
                changes: Some(changes(before, after)),
                updated_by: actor,
                product_version,
            }
        ),
        Change::Deleted(product) => encoded!(
            ProductDeletedEvent,
            pb::ProductDeleted {
                product_id: product.id.to_string(),
                sku: product.sku.as_str().to_owned(),
                deleted_by: actor,
                product_version,
            }
        ),
    }
}

/// The fields in which two versions of a product differ.
fn changes(before: &Product, after: &Product) -> pb::ProductChanges {
    fn text<'a>(old: Option<&'a str>, new: Option<&'a str>) -> Option<pb::StringChange> {
        (old != new).then(|| pb::StringChange {
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        })
    }
    let amount = |product: &Product| product.price.as_ref().map(|price| price.amount.to_string());
    let currency = |product: &'_ Product| {
        product
            .price
            .as_ref()
            .map(|price| price.currency.as_str().to_owned())
    };
    let attributes = |product: &Product| {
        let attributes = product.attributes.as_ref()?;
        Some(convert::proto_object(attributes.as_map()))
    };
    pb::ProductChanges {
        name: text(Some(before.name.as_str()), Some(after.name.as_str())),
        description: text(
            before.description.as_ref().map(Description::as_str),
            after.description.as_ref().map(Description::as_str),
        ),
        category: text(
            before.category.as_ref().map(Category::as_str),
            after.category.as_ref().map(Category::as_str),
        ),
        brand: text(
            before.brand.as_ref().map(Brand::as_str),
            after.brand.as_ref().map(Brand::as_str),
        ),
        attributes: (before.attributes != after.attributes).then(|| pb::AttributesChange {
            old: attributes(before),
            new: attributes(after),
        }),
        price: (amount(before) != amount(after)).then(|| pb::DecimalChange {
            old: amount(before),
            new: amount(after),
        }),
        currency: text(currency(before).as_deref(), currency(after).as_deref()),
        warehouse: text(
            before.warehouse.as_ref().map(Warehouse::as_str),
            after.warehouse.as_ref().map(Warehouse::as_str),
        ),
        status: (before.status != after.status).then(|| pb::StatusChange {
            old: convert::proto_status(before.status).into(),
            new: convert::proto_status(after.status).into(),
        }),
    }
}
