//! Events as they come: with an envelope or without, and what of them the domain takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transcode::Violation;
use transcode::json::{Context, from_slice};
use transcode::validate::Validate as _;

use crate::domain::inventory::{Origin, StockUpdate, WarehouseStock};
use crate::domain::{Sku, Warehouse};
use crate::pb::catalog::v1::InventoryUpdatedEvent;
use crate::telemetry::trace::TraceContext;

/// Longest name of an event or of its sender, in characters.
const MAX_NAME: usize = 255;

/// What a broker knows of an event by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its name for the event, the same whenever it delivers it.
    pub id: String,
    /// When it got the event.
    pub time: OffsetDateTime,
}

/// A CloudEvent, or what may be one.
#[derive(Deserialize)]
struct Envelope<'a> {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    time: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
}

impl Envelope<'_> {
    /// The event inside.
    fn event(&self) -> Result<Vec<u8>, String> {
        if let Some(text) = &self.data_base64 {
            let bytes = STANDARD.decode(text);
            return bytes.map_err(|error| format!("data_base64: {error}"));
        }
        let data = self.data.ok_or("The envelope has no data")?.get();
        // What was published as text comes as one.
        Ok(match serde_json::from_str::<String>(data) {
            Ok(text) => text.into_bytes(),
            Err(_) => data.as_bytes().to_vec(),
        })
    }
}

/// Where in a trace the event was sent, as its envelope says.
pub(super) fn cause(bytes: &[u8]) -> Option<TraceContext> {
    #[derive(Deserialize)]
    struct Traced {
        traceparent: Option<String>,
    }
    let traced: Traced = serde_json::from_slice(bytes).ok()?;
    TraceContext::parse(&traced.traceparent?)
}

/// What an event tells of the stock, or why it can not be handled.
pub(super) fn stock_update(bytes: &[u8], arrival: Option<Arrival>) -> Result<StockUpdate, String> {
    // That an event alone has other types in fields of these names is its own affair.
    let envelope = serde_json::from_slice::<Envelope<'_>>(bytes)
        .ok()
        .filter(|envelope| envelope.specversion.is_some());
    let event = match &envelope {
        Some(envelope) => read(&envelope.event()?)?,
        None => read(bytes)?,
    };
    let data = event.data.ok_or("data: Is required")?;
    let stated = |own: &str, envelope: Option<&String>| {
        let texts = [own, envelope.map_or("", String::as_str)];
        texts
            .into_iter()
            .find(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let envelope = envelope.as_ref();
    let id = stated(&event.event_id, envelope.and_then(|it| it.id.as_ref()))
        .or_else(|| arrival.as_ref().map(|arrival| arrival.id.clone()))
        .ok_or("eventId: Is required where no CloudEvent has an id")?;
    let source = stated(&event.source, envelope.and_then(|it| it.source.as_ref()));
    let time = match (&event.timestamp, envelope.and_then(|it| it.time.as_ref())) {
        (Some(timestamp), _) => point(timestamp).ok_or("timestamp: Must be a time")?,
        (None, Some(text)) => OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|error| format!("The time of the CloudEvent: {error}"))?,
        (None, None) => {
            // Without a time nobody knows what is newer.
            let time = arrival.map(|arrival| arrival.time);
            time.ok_or("timestamp: Is required where no CloudEvent has a time")?
        }
    };
    Ok(StockUpdate {
        origin: Origin {
            source: name("source", source.unwrap_or_default())?,
            id: name("eventId", id)?,
            // As precise as the database.
            time: time.replace_microsecond(time.microsecond()).unwrap_or(time),
        },
        product: data
            .product_id
            .parse()
            .map_err(|error| format!("data.productId: {error}"))?,
        sku: Sku::parse(data.sku).map_err(|message| format!("data.sku: {message}"))?,
        stock: WarehouseStock {
            warehouse: Warehouse::parse(data.warehouse)
                .map_err(|message| format!("data.warehouse: {message}"))?,
            quantity: data.quantity,
            reserved: data.reserved,
            available: data.available,
            updated_at: time,
        },
    })
}

/// Reads the event and checks the rules of the contract. A sender may know more fields than the contract has.
fn read(json: &[u8]) -> Result<InventoryUpdatedEvent, String> {
    let mut context = Context::tolerant();
    let event: InventoryUpdatedEvent = from_slice(json, &mut context)
        .map_err(|error| format!("The event is not JSON: {error}"))?;
    let (mut violations, _) = context.finish();
    event.validate(&mut violations);
    let violations: Vec<String> = violations
        .into_vec()
        .into_iter()
        .map(|Violation { field, description }| match field.as_str() {
            "" => format!("The event: {description}"),
            field => format!("{field}: {description}"),
        })
        .collect();
    if violations.is_empty() {
        Ok(event)
    } else {
        Err(violations.join("; "))
    }
}

fn name(field: &str, text: String) -> Result<String, String> {
    if text.chars().count() > MAX_NAME || text.contains('\0') {
        return Err(format!(
            "{field}: Must be at most {MAX_NAME} characters long, none of them null"
        ));
    }
    Ok(text)
}

fn point(timestamp: &prost_types::Timestamp) -> Option<OffsetDateTime> {
    let nanos = u32::try_from(timestamp.nanos).ok()?;
    let seconds = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    seconds.replace_nanosecond(nanos).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    fn event() -> Value {
        json!({"eventType": "InventoryUpdated", "data": {
            "productId": "prod_01hm6xkqz0e8s8a3kq5w2v9t4c", "sku": "LAPTOP-001", "warehouse": "WH001",
            "quantity": 45, "reserved": 5, "available": 40}})
    }

    fn envelope(data: &Value) -> Value {
        json!({"specversion": "1.0", "id": "ce-1", "source": "warehouse", "time": "2024-01-15T10:45:00.1234567+01:00",
            "type": "com.dapr.event.sent", "data": data})
    }

    fn parse(value: &Value) -> Result<StockUpdate, String> {
        stock_update(value.to_string().as_bytes(), None)
    }

    #[test]
    fn an_event_comes_in_several_forms() {
        let update = parse(&envelope(&event())).unwrap();
        assert_eq!(
            (update.origin.source.as_str(), update.origin.id.as_str()),
            ("warehouse", "ce-1")
        );
        assert_eq!(
            update.origin.time,
            datetime!(2024-01-15 09:45:00.123456 UTC)
        );
        assert_eq!(
            (
                update.stock.quantity,
                update.stock.reserved,
                update.stock.available
            ),
            (45, 5, 40)
        );

        assert_eq!(
            parse(&envelope(&json!(event().to_string()))).as_ref(),
            Ok(&update),
            "as text"
        );
        let mut base64 = envelope(&Value::Null);
        base64["data_base64"] = json!(STANDARD.encode(event().to_string()));
        assert_eq!(parse(&base64).as_ref(), Ok(&update));

        let mut alone = event();
        alone["eventId"] = json!("evt-1");
        alone["timestamp"] = json!("2024-01-15T10:00:00Z");
        alone["newer"] = json!({"than": "the contract"});
        let update = parse(&alone).unwrap();
        assert_eq!(
            (update.origin.source.as_str(), update.origin.id.as_str()),
            ("", "evt-1")
        );
        let update = parse(&envelope(&alone)).unwrap();
        assert_eq!(
            (update.origin.source.as_str(), update.origin.id.as_str()),
            ("warehouse", "evt-1")
        );
        assert_eq!(
            update.origin.time,
            datetime!(2024-01-15 10:00 UTC),
            "the event's own"
        );
    }

    #[test]
    fn the_broker_stands_in_for_the_envelope() {
        let arrival = Arrival {
            id: "17-0".to_owned(),
            time: datetime!(2024-01-15 10:00 UTC),
        };
        let bytes = event().to_string();
        let update = stock_update(bytes.as_bytes(), Some(arrival)).unwrap();
        assert_eq!(
            (update.origin.id.as_str(), update.origin.time),
            ("17-0", datetime!(2024-01-15 10:00 UTC))
        );
    }

    #[test]
    fn reasons_say_what_is_wrong() {
        let with = |pointer: &str, value: Value| {
            let mut event = envelope(&event());
            *event.pointer_mut(pointer).unwrap() = value;
            parse(&event).unwrap_err()
        };
        for (pointer, value, reason) in [
            ("/data/data/quantity", json!(-1), "data.quantity: "),
            (
                "/data/data/productId",
                json!("prod_1"),
                "data.productId: Must be a product id",
            ),
            (
                "/data/eventType",
                json!("Other"),
                "eventType: Must be one of: InventoryUpdated",
            ),
            ("/data", json!([]), "Must be an object"),
            ("/data", Value::Null, "The envelope has no data"),
            ("/data", json!("{"), "The event is not JSON: EOF"),
            (
                "/id",
                json!("x".repeat(256)),
                "eventId: Must be at most 255",
            ),
            ("/id", json!("a\0"), "eventId: Must be at most 255"),
            ("/time", json!("yesterday"), "The time of the CloudEvent: "),
            ("/id", Value::Null, "eventId: Is required"),
            ("/time", Value::Null, "timestamp: Is required"),
        ] {
            let said = with(pointer, value);
            assert!(said.contains(reason), "{pointer}: {said}");
        }
        for bytes in [&b""[..], b"{", b"[]", b"\xff", b"null"] {
            assert!(stock_update(bytes, None).is_err());
        }
    }
}
