//! What generated code says about events.

/// Everything the contract says about how one event travels.
///
/// Beside the messages of a package stands the list of all of its events, `EVENTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSpec {
    /// Full name of the message, such as `catalog.v1.ProductCreatedEvent`.
    pub message: &'static str,
    /// Type of the event: the name of the message without `Event` at the end, such as `ProductCreated`.
    pub event_type: &'static str,
    /// Version of the event's schema, such as `1.0`.
    pub version: &'static str,
    /// Topic.
    pub topic: &'static str,
    /// Which way it goes.
    pub direction: Direction,
    /// Topic for what could not be handled; only an event that is subscribed to can have one.
    pub dead_letter_topic: Option<&'static str>,
}

/// Which way an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The service publishes it.
    Published,
    /// The service subscribes to it.
    Subscribed,
}

/// A message that is an event. Implemented by generated code, for each message with `(transcode.v1.event)`.
///
/// The bounds are those of every generated message: its JSON, which is what stands on the topic, is that of
/// [`serde::Serialize`] and [`crate::json::from_slice`].
pub trait Event: prost::Message + crate::json::Message + serde::Serialize {
    /// What the contract says about it.
    const SPEC: EventSpec;
    /// Its topic.
    const TOPIC: &'static str = Self::SPEC.topic;
    /// Its type, such as `ProductCreated`.
    const TYPE: &'static str = Self::SPEC.event_type;
    /// Version of its schema.
    const VERSION: &'static str = Self::SPEC.version;
}
