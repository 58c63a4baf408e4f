//! Events through a Dapr sidecar, over its HTTP API.
//!
//! Each event goes out as a whole CloudEvent that is text to the sidecar (`rawPayload`), for what it reads as JSON it
//! changes: the numbers of a bulk request go through doubles, and the id would be its own. A subscriber's sidecar reads
//! the envelope as if another one had written it. `partitionKey` keeps the events of a product in one partition of a
//! Kafka topic. (Seen with daprd 1.18.)

use std::collections::HashMap;
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

/// Most events of one request: what a Kafka broker takes by default is a megabyte.
const MOST: usize = 200;

/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

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
        Self { client, settings }
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
        let count = entries.len();
        let body = serde_json::to_vec(&entries).map_err(|error| Unavailable(error.to_string()))?;
        let path = format!(
            "/v1.0/publish/bulk/{}/{topic}?metadata.rawPayload=true",
            self.settings.pubsub
        );
        let (mut status, mut answer) = self.post(&path, body.clone()).await?;
        if status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED {
            // Before 1.17 it was not stable yet.
            let path = path.replacen("/v1.0/", "/v1.0-alpha1/", 1);
            (status, answer) = self.post(&path, body).await?;
        }
        if status.is_success() {
            return Ok(rejections);
        }
        let failure: Failure = serde_json::from_slice(&answer).unwrap_or_default();
        // Without a word on single ones, or when none was taken, it is not the fault of an event.
        if failure.failed_entries.is_empty() || failure.failed_entries.len() == count && count > 1 {
            let first = failure
                .failed_entries
                .first()
                .map(|entry| entry.error.as_str());
            return Err(Unavailable(format!(
                "{status} {} {}",
                failure.error_code,
                first.unwrap_or(&failure.message)
            )));
        }
        let rejection = |entry: FailedEntry| {
            let index = entry
                .entry_id
                .parse()
                .ok()
                .filter(|index| indices.contains(index))?;
            let reason = entry.error;
            Some(Rejection { index, reason })
        };
        rejections.extend(failure.failed_entries.into_iter().filter_map(rejection));
        Ok(rejections)
    }
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
            for indices in indices.chunks(MOST) {
                rejections.extend(self.publish_topic(topic, batch, indices).await?);
            }
        }
        Ok(rejections)
    }
}
