//! The port through which events leave, and its implementations.

mod configured;
pub mod dapr;
mod in_process;
pub mod redis_streams;

use std::future::Future;

use serde_json::value::RawValue;
use time::OffsetDateTime;

pub use configured::Configured;
pub use dapr::Dapr;
pub use in_process::InProcess;
pub use redis_streams::RedisStreams;

/// An event on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Identifier, `evt_…`: the same at every attempt.
    pub id: String,
    /// Such as `ProductCreated`.
    pub event_type: String,
    /// Such as `catalog.product.created`.
    pub topic: String,
    /// Events of the same key arrive in the order they are given: the product's id, `prod_…`.
    pub key: String,
    /// When it happened.
    pub time: OffsetDateTime,
    /// W3C trace context of the request that caused it.
    pub traceparent: Option<String>,
    /// The event, JSON.
    pub payload: Box<RawValue>,
}

/// An event that the broker did not take, while it took others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Index in the batch.
    pub index: usize,
    /// What the broker says.
    pub reason: String,
}

/// The broker took nothing that is known of: the whole batch is to be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Where events go.
pub trait Publisher: Send + Sync + 'static {
    /// Whether a batch may hold several events of one key. Where it may not, the relay sends them one after the other.
    fn keeps_order(&self) -> bool;

    /// Sends a batch and waits until the broker has it. Answers with those that it did not take.
    fn publish(
        &self,
        batch: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<Rejection>, Unavailable>> + Send;
}
