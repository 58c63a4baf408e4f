//! Events into Redis Streams, as Dapr's component `pubsub.redis` writes them: its subscribers read them, and so does
//! [`crate::events::subscriber`].
//!
//! The component (1.18, `pubsub/redis/redis.go`) adds an entry with the field `data`, the CloudEvent, and the field
//! `metadata`, the metadata of the request as a JSON object of texts, to the stream that is called like the topic. The
//! reading side takes `data` as the message and hands `metadata` on with it; other fields, and the order of the two,
//! do not matter to it. Here the metadata is `partitionKey`, the name that Dapr's components have for the key.

use std::time::Duration;

use ::redis::{Cmd, Pipeline, ServerError, Value};
use futures_util::future;

use super::{Outgoing, Publisher, Rejection, Unavailable};
use crate::events::cloud_event;
use crate::redis::{Redis, RedisError};

/// How long a batch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What an envelope adds to its payload, about; an estimate for buffers.
const ENVELOPE_BYTES: usize = 640;

/// A publisher to Redis Streams.
///
/// On a server, and behind Sentinels, a batch is one transaction: all of it is taken, in the order given, but for
/// entries that the server refuses on their own, such as those for a topic whose key is no stream. In a cluster each
/// topic is a pipeline of its own, and one may fail while another does not.
#[derive(Clone, Debug)]
pub struct RedisStreams {
    redis: Redis,
    pubsub: String,
    max_len: Option<u64>,
}

impl RedisStreams {
    /// Publishes through a connection of its own to the same Redis, in the name of the component `pubsub`. Of a stream
    /// about `max_len` entries are kept, or all.
    pub fn new(redis: &Redis, pubsub: impl Into<String>, max_len: Option<u64>) -> Self {
        Self {
            redis: redis.separate(LIMIT),
            pubsub: pubsub.into(),
            max_len,
        }
    }

    /// The command that adds the event; `buffer` is for its envelope and is emptied first.
    fn command(&self, event: &Outgoing, buffer: &mut Vec<u8>) -> std::io::Result<Cmd> {
        buffer.clear();
        cloud_event::write(event, &self.pubsub, buffer)?;
        let data = buffer.len();
        buffer.extend_from_slice(br#"{"partitionKey":"#);
        serde_json::to_writer(&mut *buffer, &event.key)?;
        buffer.push(b'}');

        let mut command = Cmd::with_capacity(10, buffer.len() + event.topic.len() + 64);
        command.arg("XADD").arg(&event.topic);
        if let Some(max_len) = self.max_len {
            command.arg("MAXLEN").arg("~").arg(max_len);
        }
        command.arg("*");
        command.arg("data").arg(&buffer[..data]);
        command.arg("metadata").arg(&buffer[data..]);
        Ok(command)
    }

    /// Sends commands, each with its index in the batch.
    async fn send(&self, group: Group) -> Result<Sent, RedisError> {
        let Group {
            indices,
            mut pipeline,
        } = group;
        let values = if self.redis.is_cluster() {
            self.redis.pipeline(&pipeline).await?
        } else {
            match self.redis.pipeline(pipeline.atomic()).await {
                // One of them is not even allowed, and so none was taken. Without a transaction the others are.
                Err(RedisError::Refused(_)) => {
                    let mut plain = Pipeline::with_capacity(pipeline.len());
                    for command in pipeline.cmd_iter() {
                        plain.add_command(command.clone());
                    }
                    self.redis.pipeline(&plain).await?
                }
                values => values?,
            }
        };
        let mut sent = Sent::default();
        for (index, value) in indices.into_iter().zip(values) {
            match value {
                Value::ServerError(error) => sent.refuse(index, error),
                _ => sent.taken += 1,
            }
        }
        Ok(sent)
    }

    /// The commands, those of one slot together, and the events that cannot be written.
    fn groups(&self, batch: &[Outgoing]) -> (Vec<Group>, Vec<Rejection>) {
        let mut groups: Vec<(&str, Group)> = Vec::new();
        let mut rejections = Vec::new();
        let spread = self.redis.is_cluster();
        let mut buffer = Vec::with_capacity(ENVELOPE_BYTES);
        for (index, event) in batch.iter().enumerate() {
            let topic = if spread { event.topic.as_str() } else { "" };
            let command = match self.command(event, &mut buffer) {
                Ok(command) => command,
                Err(error) => {
                    let reason = error.to_string();
                    rejections.push(Rejection { index, reason });
                    continue;
                }
            };
            let known = groups.iter().position(|(known, _)| *known == topic);
            let at = known.unwrap_or_else(|| {
                groups.push((topic, Group::with_capacity(batch.len())));
                groups.len() - 1
            });
            let (_, group) = &mut groups[at];
            group.indices.push(index);
            group.pipeline.add_command(command);
        }
        (
            groups.into_iter().map(|(_, group)| group).collect(),
            rejections,
        )
    }
}

impl Publisher for RedisStreams {
    fn keeps_order(&self) -> bool {
        !self.redis.is_cluster()
    }

    /// Sends a batch.
    ///
    /// Where nothing was taken for reasons that pass (no connection, out of memory, a replica), the whole is to be sent
    /// again. In a cluster of which only a part is away, the events for that part are rejected.
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        let (groups, mut rejections) = self.groups(batch);
        let indices: Vec<Vec<usize>> = groups.iter().map(|group| group.indices.clone()).collect();
        let outcomes = future::join_all(groups.into_iter().map(|group| self.send(group))).await;

        let mut taken = 0;
        let mut passing = None;
        for (outcome, indices) in outcomes.into_iter().zip(indices) {
            match outcome {
                Ok(sent) => {
                    taken += sent.taken;
                    passing = passing.or(sent.passing);
                    rejections.extend(sent.rejections);
                }
                Err(error) => {
                    let reason = error.to_string();
                    let rejected = indices.into_iter().map(|index| Rejection {
                        index,
                        reason: reason.clone(),
                    });
                    rejections.extend(rejected);
                    if error.is_passing() {
                        passing = passing.or(Some(reason));
                    }
                }
            }
        }
        match passing {
            Some(reason) if taken == 0 => Err(Unavailable(reason)),
            _ => {
                rejections.sort_by_key(|rejection| rejection.index);
                Ok(rejections)
            }
        }
    }
}

/// Commands that are sent together.
struct Group {
    /// Where in the batch they come from.
    indices: Vec<usize>,
    pipeline: Pipeline,
}

impl Group {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            indices: Vec::with_capacity(capacity),
            pipeline: Pipeline::with_capacity(capacity),
        }
    }
}

/// What became of a group.
#[derive(Default)]
struct Sent {
    taken: usize,
    rejections: Vec<Rejection>,
    /// One of the reasons that pass.
    passing: Option<String>,
}

impl Sent {
    fn refuse(&mut self, index: usize, error: ServerError) {
        let error = RedisError::from(error);
        let reason = error.to_string();
        if error.is_passing() && self.passing.is_none() {
            self.passing = Some(reason.clone());
        }
        self.rejections.push(Rejection { index, reason });
    }
}
