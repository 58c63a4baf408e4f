//! The events of the contract: their topics, and their JSON, which subscribers in other services read.

use catalog_service::pb::catalog::v1::{
    AttributesChange, DecimalChange, EVENTS, EventMetadata, InventoryUpdatedEvent, ProductChanges,
    ProductCreated, ProductCreatedEvent, ProductStatus, ProductUpdated, ProductUpdatedEvent,
    StatusChange, StringChange,
};
use prost_types::{Struct, Timestamp, Value, value::Kind};
use serde_json::json;
use transcode::json::{Context, from_slice};
use transcode::validate::Validate as _;
use transcode::{Direction, Event as _};

fn change(old: &str, new: &str) -> Option<StringChange> {
    Some(StringChange {
        old: Some(old.to_owned()),
        new: Some(new.to_owned()),
    })
}

/// 2024-01-15T10:35:00Z
fn at() -> Option<Timestamp> {
    Some(Timestamp {
        seconds: 1_705_314_900,
        nanos: 0,
    })
}

#[test]
fn topics_and_versions_stay() {
    // Subscribers and deployments name them; `buf breaking` does not look at options.
    let events: Vec<_> = EVENTS
        .iter()
        .map(|event| {
            (
                event.message,
                event.event_type,
                event.version,
                event.topic,
                event.direction,
                event.dead_letter_topic,
            )
        })
        .collect();
    assert_eq!(
        events,
        [
            (
                "catalog.v1.ProductCreatedEvent",
                "ProductCreated",
                "1.0",
                "catalog.product.created",
                Direction::Published,
                None
            ),
            (
                "catalog.v1.ProductDeletedEvent",
                "ProductDeleted",
                "1.0",
                "catalog.product.deleted",
                Direction::Published,
                None
            ),
            (
                "catalog.v1.ProductUpdatedEvent",
                "ProductUpdated",
                "1.0",
                "catalog.product.updated",
                Direction::Published,
                None
            ),
            (
                "catalog.v1.InventoryUpdatedEvent",
                "InventoryUpdated",
                "1.0",
                "inventory.stock.updated",
                Direction::Subscribed,
                Some("inventory.stock.updated.dead")
            ),
        ]
    );
    assert_eq!(ProductUpdatedEvent::TOPIC, "catalog.product.updated");
    assert_eq!(ProductUpdatedEvent::TYPE, "ProductUpdated");
    assert_eq!(ProductUpdatedEvent::VERSION, "1.0");
}

#[test]
fn a_creation_is_written_as_specified() {
    let event = ProductCreatedEvent {
        event_id: "evt_123".to_owned(),
        event_type: ProductCreatedEvent::TYPE.to_owned(),
        version: ProductCreatedEvent::VERSION.to_owned(),
        timestamp: at(),
        source: "catalog-service".to_owned(),
        data: Some(ProductCreated {
            product_id: "prod_123".to_owned(),
            sku: "LAPTOP-001".to_owned(),
            name: "Gaming Laptop".to_owned(),
            category: Some("electronics".to_owned()),
            warehouse: None,
            created_by: "user_456".to_owned(),
            product_version: 1,
        }),
        metadata: Some(EventMetadata {
            correlation_id: "corr_789".to_owned(),
            causation_id: "cause_101".to_owned(),
        }),
    };
    assert_eq!(
        serde_json::to_string(&event).expect("JSON"),
        concat!(
            r#"{"eventId":"evt_123","eventType":"ProductCreated","version":"1.0","timestamp":"2024-01-15T10:35:00Z","#,
            r#""source":"catalog-service","data":{"productId":"prod_123","sku":"LAPTOP-001","name":"Gaming Laptop","#,
            r#""category":"electronics","createdBy":"user_456","productVersion":1},"#,
            r#""metadata":{"correlationId":"corr_789","causationId":"cause_101"}}"#,
        )
    );
}

#[test]
fn an_update_is_written_as_specified() {
    let event = ProductUpdatedEvent {
        event_id: "evt_124".to_owned(),
        event_type: ProductUpdatedEvent::TYPE.to_owned(),
        version: ProductUpdatedEvent::VERSION.to_owned(),
        timestamp: at(),
        source: "catalog-service".to_owned(),
        data: Some(ProductUpdated {
            product_id: "prod_123".to_owned(),
            sku: "LAPTOP-001".to_owned(),
            changes: Some(ProductChanges {
                name: change("Gaming Laptop", "Gaming Laptop Pro"),
                // Nothing before: not set.
                brand: Some(StringChange {
                    old: None,
                    new: Some("TechBrand".to_owned()),
                }),
                attributes: Some(AttributesChange {
                    old: Some(Struct {
                        fields: [(
                            "color".to_owned(),
                            Value {
                                kind: Some(Kind::StringValue("Silver".to_owned())),
                            },
                        )]
                        .into(),
                    }),
                    new: None,
                }),
                price: Some(DecimalChange {
                    old: Some("1199.99".to_owned()),
                    new: Some("123456789012345.6789".to_owned()),
                }),
                status: Some(StatusChange {
                    old: ProductStatus::Active.into(),
                    new: ProductStatus::Discontinued.into(),
                }),
                ..ProductChanges::default()
            }),
            updated_by: "user_456".to_owned(),
            product_version: 2,
        }),
        metadata: None,
    };
    let text = serde_json::to_string(&event).expect("JSON");
    assert_eq!(
        text,
        concat!(
            r#"{"eventId":"evt_124","eventType":"ProductUpdated","version":"1.0","timestamp":"2024-01-15T10:35:00Z","#,
            r#""source":"catalog-service","data":{"productId":"prod_123","sku":"LAPTOP-001","changes":{"#,
            r#""name":{"old":"Gaming Laptop","new":"Gaming Laptop Pro"},"brand":{"new":"TechBrand"},"#,
            r#""attributes":{"old":{"color":"Silver"}},"price":{"old":1199.99,"new":123456789012345.6789},"#,
            r#""status":{"old":"active","new":"discontinued"}},"updatedBy":"user_456","productVersion":2}}"#,
        )
    );
    let mut context = Context::new();
    let back: ProductUpdatedEvent = from_slice(text.as_bytes(), &mut context).expect("JSON");
    assert!(context.finish().0.is_empty());
    assert_eq!(back, event);
}

/// What is wrong with an event that came.
fn violations(event: &serde_json::Value) -> Vec<String> {
    let mut context = Context::new();
    let event: InventoryUpdatedEvent =
        from_slice(event.to_string().as_bytes(), &mut context).expect("JSON");
    let (mut violations, _) = context.finish();
    event.validate(&mut violations);
    let violations = violations.into_vec().into_iter();
    violations.map(|violation| violation.field).collect()
}

#[test]
fn a_stock_change_needs_its_type_and_its_data() {
    let data = json!({"productId": "prod_01hm6xkqz0e8s8a3kq5w2v9t4c", "sku": "LAPTOP-001", "warehouse": "WH001",
        "quantity": 45, "reserved": 5, "available": 40});
    let event = json!({"eventType": "InventoryUpdated", "data": data});
    assert_eq!(violations(&event), [""; 0]);
    assert_eq!(violations(&json!({})), ["eventType", "data"]);

    let with = |key: &str, value: serde_json::Value| {
        let mut event = event.clone();
        event["data"][key] = value;
        violations(&event)
    };
    assert_eq!(with("productId", json!("prod_123")), ["data.productId"]);
    assert_eq!(with("sku", json!("-")), ["data.sku"]);
    assert_eq!(with("warehouse", json!("W".repeat(51))), ["data.warehouse"]);
    assert_eq!(with("quantity", json!(-1)), ["data.quantity"]);
    assert_eq!(with("reserved", json!(-1)), ["data.reserved"]);
    assert_eq!(with("available", json!(-1)), [""; 0]);
    let mut other = event.clone();
    other["eventType"] = json!("InventoryCounted");
    assert_eq!(violations(&other), ["eventType"]);
}
