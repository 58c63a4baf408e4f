//! The CloudEvents 1.0 JSON that an event is wrapped in: what Dapr's runtime writes when it wraps data itself, so that
//! subscribers cannot tell who published.
//!
//! What the runtime does, as its sources say (`pubsub/envelope.go` of components-contrib 1.18):
//! - the envelope is a Go map, so that its keys are in alphabetical order;
//! - `traceid`, `traceparent` and `tracestate` are always there, empty where there is no trace, and `traceid` is the
//!   whole `traceparent`; `subject` is there only when it is set;
//! - `time` is RFC 3339; `specversion` is `1.0`; `pubsubname` is the component and `source` the app id;
//! - JSON data is put in as it is, under `data`. (Go sorts the keys of `data` too and writes `<`, `>` and `&` as
//!   escapes. That is the same JSON; here the bytes of the payload stay as they are.)
//!
//! A subscribing runtime takes an entry for a CloudEvent as it is, and drops it after an `expiration`, which is not
//! written here.

use std::io::{self, Write};

use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use super::publisher::Outgoing;

/// The app id of this service.
pub const SOURCE: &str = "catalog-service";

/// Appends the CloudEvent of `event` for the pubsub component `pubsub`. Its `subject` is the key.
///
/// # Errors
/// When the time is out of the years 0 to 9999.
pub fn write(event: &Outgoing, pubsub: &str, into: &mut Vec<u8>) -> io::Result<()> {
    let traceparent = event.traceparent.as_deref().unwrap_or_default();
    into.extend_from_slice(br#"{"data":"#);
    into.extend_from_slice(event.payload.get().as_bytes());
    into.extend_from_slice(br#","datacontenttype":"application/json""#);
    member(into, "id", &event.id)?;
    member(into, "pubsubname", pubsub)?;
    member(into, "source", SOURCE)?;
    member(into, "specversion", "1.0")?;
    if !event.key.is_empty() {
        member(into, "subject", &event.key)?;
    }
    into.extend_from_slice(br#","time":""#);
    (event.time.to_offset(UtcOffset::UTC))
        .format_into(into, &Rfc3339)
        .map_err(io::Error::other)?;
    into.push(b'"');
    member(into, "topic", &event.topic)?;
    member(into, "traceid", traceparent)?;
    member(into, "traceparent", traceparent)?;
    member(into, "tracestate", "")?;
    member(into, "type", &event.event_type)?;
    into.push(b'}');
    Ok(())
}

/// A further member, whose name needs no escapes.
fn member(into: &mut Vec<u8>, name: &str, value: &str) -> io::Result<()> {
    write!(into, r#","{name}":"#)?;
    serde_json::to_writer(into, value).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use time::macros::datetime;

    use super::*;

    fn event() -> Outgoing {
        Outgoing {
            id: "evt_1".to_owned(),
            event_type: "ProductCreated".to_owned(),
            topic: "catalog.product.created".to_owned(),
            key: "prod_1".to_owned(),
            time: datetime!(2025-01-02 03:04:05.678 +02:00),
            traceparent: Some("00-a-b-01".to_owned()),
            payload: RawValue::from_string(r#"{"z":1.10,"a":"<é>"}"#.to_owned()).unwrap(),
        }
    }

    fn written(event: &Outgoing) -> String {
        let mut bytes = Vec::new();
        write(event, "pubsub-redis", &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn it_is_what_the_runtime_writes() {
        assert_eq!(
            written(&event()),
            concat!(
                r#"{"data":{"z":1.10,"a":"<é>"},"datacontenttype":"application/json","id":"evt_1","#,
                r#""pubsubname":"pubsub-redis","source":"catalog-service","specversion":"1.0","#,
                r#""subject":"prod_1","time":"2025-01-02T01:04:05.678Z","topic":"catalog.product.created","#,
                r#""traceid":"00-a-b-01","traceparent":"00-a-b-01","tracestate":"","type":"ProductCreated"}"#,
            )
        );
    }

    #[test]
    fn text_is_escaped_and_traces_may_be_absent() {
        let odd = Outgoing {
            id: "a\"b\\c\n".to_owned(),
            key: String::new(),
            traceparent: None,
            ..event()
        };
        let value: serde_json::Value = serde_json::from_str(&written(&odd)).unwrap();
        assert_eq!(value["id"], odd.id);
        assert_eq!(value["traceparent"], "");
        assert_eq!(value["traceid"], "");
        assert_eq!(value.get("subject"), None);
        let keys: Vec<_> = value.as_object().unwrap().keys().collect();
        assert!(keys.is_sorted());
    }
}
