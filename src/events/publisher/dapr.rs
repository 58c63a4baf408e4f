//! Events through a Dapr sidecar, over its HTTP API.
//!
//! Each event goes out as a whole CloudEvent that is text to the sidecar (`rawPayload`), for what it reads as JSON it
//! changes: the numbers of a bulk request go through doubles, and the id would be its own. A subscriber's sidecar reads
//! the envelope as if another one had written it. `partitionKey` keeps the events of a product in one partition of a
//! Kafka topic. (Seen with daprd 1.14, on Redis and on Kafka.)
//!
//! The sidecar answers for each entry with what its broker said, also when there is no broker to say anything. So a
//! failure tells of the event only where other entries were taken, or where the words are those of a broker that will
//! never take this one; all else is a broker that is away.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

use super::{Outgoing, Publisher, Rejection, Unavailable};
use crate::events::cloud_event;

/// How long the sidecar may take for a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Most events of one request, and about how many bytes of them: a sidecar reads four megabytes.
const MOST: usize = 200;
const MOST_BYTES: usize = 1 << 20;

/// Longest answer that is read, and longest one that is no JSON which is told on.
const MAX_ANSWER: usize = 1 << 20;
const MAX_TEXT: usize = 200;

/// Where bulks are published, and where they were before Dapr 1.17.
const STABLE: &str = "v1.0";
const ALPHA: &str = "v1.0-alpha1";

/// What brokers say of an event, or of a topic, that they will not take however often it comes: Redis of a key that is
/// no stream and of a user without permission, Kafka of a record that is too long (two spellings: the producer's, and
/// the broker's) and of a client without permission.
const NEVER: &[&str] = &[
    "WRONGTYPE",
    "NOPERM",
    "larger than configured",
    "too large",
    "not authorized",
];

/// The header that carries the sidecar's API token.
const API_TOKEN: &str = "dapr-api-token";

/// Where the sidecar is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its HTTP port on this host.
    pub http_port: u16,
    /// The name of the component.
    pub pubsub: String,
    /// The token it asks for, when it asks for one.
    pub api_token: Option<String>,
}

/// Publishes through the sidecar.
#[derive(Clone, Debug)]
pub struct Dapr {
    client: Client<HttpConnector, Full<Bytes>>,
    settings: Settings,
    /// Whether the sidecar was last found to be one from before 1.17.
    before_stable: Arc<AtomicBool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
struct Entry<'a> {
    entry_id: String,
    event: String,
    content_type: &'static str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    partition_key: &'a str,
}

/// What Dapr answers when it did not take all.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    failed_entries: Vec<FailedEntry>,
    error_code: String,
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FailedEntry {
    entry_id: String,
    error: String,
}

impl Dapr {
    /// A publisher through the sidecar; it is looked for when there is something to publish.
    pub fn new(settings: Settings) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            client,
            settings,
            before_stable: Arc::default(),
        }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), Unavailable> {
        let mut request = Request::post(format!(
            "http://127.0.0.1:{}{path}",
            self.settings.http_port
        ))
        .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.settings.api_token {
            request = request.header(API_TOKEN, token);
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| Unavailable(error.to_string()))?;
        let call = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| describe(&error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body
                .map_err(|error| Unavailable(error.to_string()))?
                .to_bytes();
            Ok((parts.status, body))
        };
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(answer) => answer,
            Err(_) => Err(Unavailable(format!(
                "no answer within {} s",
                TIMEOUT.as_secs()
            ))),
        }
    }

    /// Posts a bulk the way this sidecar has it.
    async fn post_bulk(
        &self,
        topic: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Unavailable> {
        let pubsub = &self.settings.pubsub;
        let before_stable = self.before_stable.load(Ordering::Relaxed);
        let path = |before_stable| {
            let version = if before_stable { ALPHA } else { STABLE };
            format!("/{version}/publish/bulk/{pubsub}/{topic}?metadata.rawPayload=true")
        };
        let answer = self.post(&path(before_stable), body.clone()).await?;
        // An older one takes `bulk` for the name of a component that is not there.
        if answer.0 != StatusCode::NOT_FOUND && answer.0 != StatusCode::METHOD_NOT_ALLOWED {
            return Ok(answer);
        }
        let other = self.post(&path(!before_stable), body).await?;
        if other.0.is_success() {
            self.before_stable.store(!before_stable, Ordering::Relaxed);
        }
        Ok(other)
    }

    /// Publishes events of one topic; `indices` says where they stand in the batch.
    async fn publish_topic(
        &self,
        topic: &str,
        batch: &[Outgoing],
        indices: &[usize],
    ) -> Result<Vec<Rejection>, Unavailable> {
        let mut rejections = Vec::new();
        let mut entries = Vec::with_capacity(indices.len());
        for &index in indices {
            match entry(index, &batch[index], &self.settings.pubsub) {
                Ok(entry) => entries.push(entry),
                Err(error) => rejections.push(Rejection {
                    index,
                    reason: error.to_string(),
                }),
            }
        }
        for range in requests(&entries) {
            let entries = &entries[range];
            let body =
                serde_json::to_vec(entries).map_err(|error| Unavailable(error.to_string()))?;
            let (status, answer) = self.post_bulk(topic, body).await?;
            if !status.is_success() {
                rejections.extend(judge(status, &answer, entries)?);
            }
        }
        Ok(rejections)
    }
}

/// The entries of each request.
fn requests(entries: &[Entry<'_>]) -> Vec<Range<usize>> {
    let mut requests = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        let full = index - start == MOST || bytes + entry.event.len() > MOST_BYTES;
        if full && index > start {
            requests.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += entry.event.len();
    }
    if start < entries.len() {
        requests.push(start..entries.len());
    }
    requests
}

/// Which entries were refused, or that none was taken for a reason that is not theirs.
fn judge(
    status: StatusCode,
    answer: &[u8],
    entries: &[Entry<'_>],
) -> Result<Vec<Rejection>, Unavailable> {
    let Failure {
        failed_entries: failed,
        error_code: code,
        message,
    } = serde_json::from_slice(answer).unwrap_or_else(|_| Failure {
        message: String::from_utf8_lossy(&answer[..answer.len().min(MAX_TEXT)]).into_owned(),
        ..Failure::default()
    });
    let unavailable = |message: &str| {
        let said = format!("{code} {message}");
        Unavailable(format!("{status}: {}", said.trim()))
    };
    if failed.is_empty() {
        return Err(unavailable(&message));
    }
    let passes = |entry: &&FailedEntry| !NEVER.iter().any(|never| entry.error.contains(never));
    if let Some(passing) = failed.iter().find(passes)
        && failed.len() >= entries.len()
    {
        return Err(unavailable(&passing.error));
    }
    let rejection = |failed: FailedEntry| {
        let ours = entries
            .iter()
            .any(|entry| entry.entry_id == failed.entry_id);
        let index = failed.entry_id.parse().ok().filter(|_| ours)?;
        let reason = failed.error;
        Some(Rejection { index, reason })
    };
    Ok(failed.into_iter().filter_map(rejection).collect())
}

fn entry<'a>(index: usize, event: &'a Outgoing, pubsub: &str) -> std::io::Result<Entry<'a>> {
    let mut envelope = Vec::with_capacity(event.payload.get().len() + 512);
    cloud_event::write(event, pubsub, &mut envelope)?;
    Ok(Entry {
        entry_id: index.to_string(),
        event: String::from_utf8(envelope).map_err(std::io::Error::other)?,
        content_type: "text/plain",
        metadata: Metadata {
            partition_key: &event.key,
        },
    })
}

fn describe(error: &hyper_util::client::legacy::Error) -> Unavailable {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    Unavailable(cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")))
}

impl Publisher for Dapr {
    /// Entries fail one by one.
    fn keeps_order(&self) -> bool {
        false
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        let mut topics: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, event) in batch.iter().enumerate() {
            topics.entry(&event.topic).or_default().push(index);
        }
        let mut rejections = Vec::new();
        for (topic, indices) in topics {
            rejections.extend(self.publish_topic(topic, batch, &indices).await?);
        }
        Ok(rejections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lengths: &[usize]) -> Vec<Entry<'static>> {
        let entry = |(index, length): (usize, &usize)| Entry {
            entry_id: (index + 10).to_string(),
            event: "x".repeat(*length),
            content_type: "text/plain",
            metadata: Metadata { partition_key: "" },
        };
        lengths.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn requests_are_bounded_in_events_and_in_bytes() {
        let ranges = |lengths: &[usize]| requests(&entries(lengths));
        assert!(ranges(&[]).is_empty());
        assert_eq!(ranges(&[1; 200]).len(), 1);
        assert_eq!(ranges(&[1; 401]), [0..200, 200..400, 400..401]);
        let half = MOST_BYTES / 2;
        assert_eq!(ranges(&[half, half, 1, half]), [0..2, 2..4]);
        // One that is too long for the broker has a request of its own.
        let long = MOST_BYTES + 1;
        assert_eq!(ranges(&[1, long, 1]), [0..1, 1..2, 2..3]);
        assert_eq!(ranges(&[long]).len(), 1);
    }

    /// What sidecars answered.
    #[test]
    fn failures_are_of_the_event_or_of_the_broker() {
        let away = "redis streams: error from publish: dial tcp 127.0.0.1:6379: connect: connection refused";
        let full = "redis streams: error from publish: OOM command not allowed when used memory > 'maxmemory'.";
        let type_ = "redis streams: error from publish: WRONGTYPE Operation against a key holding the wrong kind of value";
        let long = "kafka: invalid configuration (Attempt to produce message larger than configured Producer.MaxMessageBytes: 1500084 > 1048576)";
        let judged = |failed: &[(&str, &str)], count: usize| {
            let failed: Vec<_> = failed
                .iter()
                .map(|(id, error)| serde_json::json!({"entryId": id, "error": error}))
                .collect();
            let answer = serde_json::json!({"failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE"});
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            judge(
                status,
                answer.to_string().as_bytes(),
                &entries(&vec![1; count]),
            )
            .map(|rejections| {
                rejections
                    .into_iter()
                    .map(|it| it.index)
                    .collect::<Vec<_>>()
            })
            .map_err(|Unavailable(reason)| reason)
        };
        for error in [away, full] {
            let reason = format!("500 Internal Server Error: ERR_PUBSUB_PUBLISH_MESSAGE {error}");
            assert_eq!(judged(&[("10", error)], 1), Err(reason.clone()), "alone");
            assert_eq!(judged(&[("11", error), ("10", error)], 2), Err(reason));
            assert_eq!(judged(&[("11", error)], 2), Ok(vec![11]));
        }
        for error in [type_, long] {
            assert_eq!(judged(&[("10", error)], 1), Ok(vec![10]), "alone");
            assert_eq!(judged(&[("11", error), ("10", error)], 2), Ok(vec![11, 10]));
        }
        assert!(judged(&[("10", type_), ("11", away)], 2).is_err());
        assert_eq!(judged(&[("7", type_)], 2), Ok(vec![]), "not ours");

        for (status, text, reason) in [
            (
                401,
                "invalid api token\n",
                "401 Unauthorized: invalid api token",
            ),
            (
                404,
                r#"{"errorCode":"ERR_PUBSUB_NOT_FOUND","message":"pubsub a is not found"}"#,
                "404 Not Found: ERR_PUBSUB_NOT_FOUND pubsub a is not found",
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let judged = judge(status, text.as_bytes(), &entries(&[1]));
            assert_eq!(judged.unwrap_err().0, reason);
        }
    }
}
