//! The publisher that the configuration asks for.

use super::{Dapr, InProcess, Outgoing, Publisher, RedisStreams, Rejection, Unavailable};

/// One of the publishers, chosen at the start.
#[derive(Clone, Debug)]
pub enum Configured {
    /// Through a Dapr sidecar.
    Dapr(Box<Dapr>),
    /// Into Redis Streams.
    RedisStreams(RedisStreams),
    /// Within the process.
    InProcess(InProcess),
}

impl Publisher for Configured {
    fn keeps_order(&self) -> bool {
        match self {
            Self::Dapr(publisher) => publisher.keeps_order(),
            Self::RedisStreams(publisher) => publisher.keeps_order(),
            Self::InProcess(publisher) => publisher.keeps_order(),
        }
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        match self {
            Self::Dapr(publisher) => publisher.publish(batch).await,
            Self::RedisStreams(publisher) => publisher.publish(batch).await,
            Self::InProcess(publisher) => publisher.publish(batch).await,
        }
    }
}
