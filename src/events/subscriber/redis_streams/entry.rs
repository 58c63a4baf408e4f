//! What Redis answers about streams.

use std::time::Duration;

use ::redis::{FromRedisValue, Value, from_redis_value};
use time::OffsetDateTime;

use super::super::Arrival;

/// An entry of a stream, in hand.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// All of its fields, as they stand there.
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The one that is the event.
    pub(super) data: Option<Vec<u8>>,
    /// How often it was taken, this time included.
    pub(super) deliveries: u32,
    /// How often handling it has failed since.
    pub(super) failures: u32,
}

impl Entry {
    fn new(id: String, values: Vec<Vec<u8>>) -> Self {
        let mut fields = Vec::with_capacity(values.len() / 2);
        let mut values = values.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            fields.push((name, value));
        }
        let data = fields.iter().find(|(name, _)| name == b"data");
        Self {
            data: data.map(|(_, value)| value.clone()),
            id,
            fields,
            deliveries: 1,
            failures: 0,
        }
    }

    /// How often it was tried.
    pub(super) fn attempts(&self) -> u32 {
        self.deliveries.saturating_sub(1) + self.failures.max(1)
    }

    /// What the id says: it is the time in milliseconds and a number.
    pub(super) fn arrival(&self, stream: &str) -> Option<Arrival> {
        let millis: i128 = self.id.split('-').next()?.parse().ok()?;
        let time = OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()?;
        let id = format!("{stream}/{}", self.id);
        Some(Arrival { id, time })
    }
}

/// An entry that someone has in hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) deliveries: u32,
}

/// A consumer of a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) pending: u64,
    pub(super) idle: Duration,
}

/// Reads an answer; one of another form, which no server gives, counts as empty.
fn read<T: FromRedisValue + Default>(value: Value) -> T {
    from_redis_value(value).unwrap_or_default()
}

/// What XREADGROUP found in one stream.
pub(super) fn read_entries(found: Value) -> Vec<Entry> {
    type Streams = Option<Vec<(String, Value)>>;
    let streams: Streams = read(found);
    let streams = streams.unwrap_or_default().into_iter();
    streams
        .flat_map(|(_, entries)| read_claimed(entries))
        .collect()
}

/// What XCLAIM gives; an entry that is no longer there has no fields.
pub(super) fn read_claimed(claimed: Value) -> Vec<Entry> {
    type Entries = Vec<Option<(String, Option<Vec<Vec<u8>>>)>>;
    let entries: Entries = read(claimed);
    let entries = entries.into_iter().flatten();
    entries
        .map(|(id, fields)| Entry::new(id, fields.unwrap_or_default()))
        .collect()
}

/// What XPENDING gives.
pub(super) fn read_pending(pending: Value) -> Vec<Pending> {
    let pending: Vec<(String, String, u64, u32)> = read(pending);
    let pending = pending.into_iter();
    pending
        .map(|(id, _, _, deliveries)| Pending { id, deliveries })
        .collect()
}

/// What XINFO CONSUMERS gives.
pub(super) fn read_consumers(consumers: Value) -> Vec<Member> {
    let consumers: Vec<Vec<(String, Value)>> = read(consumers);
    let member = |fields: Vec<(String, Value)>| {
        let (mut name, mut pending, mut idle) = (None, None, None);
        for (field, value) in fields {
            match field.as_str() {
                "name" => name = from_redis_value(value).ok(),
                "pending" => pending = from_redis_value(value).ok(),
                "idle" => idle = from_redis_value(value).ok(),
                _ => {}
            }
        }
        let idle = Duration::from_millis(idle?);
        Some(Member {
            name: name?,
            pending: pending?,
            idle,
        })
    };
    consumers.into_iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entries_are_read() {
        let fields = ["data", "{}", "metadata", "m"].map(text).to_vec();
        let entry = Value::Array(vec![text("1705314900123-4"), Value::Array(fields)]);
        let gone = Value::Array(vec![text("2-0"), Value::Nil]);
        let stream = Value::Array(vec![text("topic"), Value::Array(vec![entry, gone])]);
        let entries = read_entries(Value::Array(vec![stream]));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].data.as_deref(), Some(&b"{}"[..]));
        assert_eq!(entries[0].fields[1], (b"metadata".to_vec(), b"m".to_vec()));
        let arrival = entries[0].arrival("topic").unwrap();
        assert_eq!(arrival.id, "topic/1705314900123-4");
        assert_eq!(
            arrival.time.unix_timestamp_nanos(),
            1_705_314_900_123_000_000
        );
        assert_eq!(entries[1].data, None);
        assert!(read_entries(Value::Nil).is_empty());
    }

    #[test]
    fn consumers_are_read() {
        let fields = vec![
            text("name"),
            text("a"),
            text("pending"),
            Value::Int(2),
            text("idle"),
            Value::Int(1500),
        ];
        let consumers = read_consumers(Value::Array(vec![Value::Array(fields)]));
        let idle = Duration::from_millis(1500);
        assert_eq!(
            consumers,
            [Member {
                name: "a".to_owned(),
                pending: 2,
                idle
            }]
        );
    }
}
