//! Sends finished spans to a collector, many at a time, by OTLP over HTTP. Nothing waits for it: what a collector does
//! not take is gone, and counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use super::otlp::{self, Resource};
use super::{Span, Spans};
use crate::lifecycle::{NAME, VERSION};

/// Most spans of a request.
const BATCH: usize = 512;

/// How long a span waits for others.
const WAIT: Duration = Duration::from_secs(1);

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where spans go for the URL of a collector.
///
/// One without a path is that of an OTLP receiver. The old one of Jaeger, which takes Thrift and which Jaeger no longer
/// has, stands for the OTLP receiver of the same host.
pub fn collector(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    match endpoint.path() {
        "/api/traces" => {
            url.set_path("/v1/traces");
            url.set_query(None);
            // Only a URL without a host has no port.
            let _ = url.set_port(Some(4318));
        }
        "/" | "" => url.set_path("/v1/traces"),
        _ => {}
    }
    url
}

/// Sends spans until no more can come.
#[derive(Debug)]
pub struct Exporter {
    spans: Spans,
    url: Url,
    client: Client<HttpConnector, Full<Bytes>>,
    resource: Resource,
    fails: bool,
}

impl Exporter {
    /// An exporter to an OTLP receiver, of the spans of this instance.
    pub fn new(spans: Spans, url: Url, instance: &str) -> Self {
        let resource = otlp::resource(&[
            ("service.name", NAME.to_owned()),
            ("service.version", VERSION.to_owned()),
            ("service.instance.id", instance.to_owned()),
        ]);
        Self {
            spans,
            url,
            client: Client::builder(TokioExecutor::new()).build_http(),
            resource,
            fails: false,
        }
    }

    /// Sends what comes until `stop`, and then what is there.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut batch = Vec::with_capacity(BATCH);
        let mut due: Option<Instant> = None;
        let mut stopping = false;
        loop {
            let room = BATCH - batch.len();
            tokio::select! {
                count = self.spans.receiver.recv_many(&mut batch, room) => {
                    if count == 0 {
                        break;
                    }
                    due = due.or_else(|| Some(Instant::now() + WAIT));
                }
                () = at(due) => {}
                () = &mut stop, if !stopping => {
                    self.spans.receiver.close();
                    stopping = true;
                }
            }
            let late = due.is_some_and(|due| due <= Instant::now());
            if batch.len() == BATCH || late {
                self.send(&mut batch).await;
                due = None;
            }
        }
        self.send(&mut batch).await;
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let counts = &self.spans.counts;
        match self.post(batch.drain(..)).await {
            Ok(()) => {
                counts.exported.fetch_add(count, Ordering::Relaxed);
                if std::mem::take(&mut self.fails) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(reason) => {
                counts.failed.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(reason, url = %self.url, "the collector takes no spans");
                }
            }
        }
    }

    async fn post(&self, spans: impl IntoIterator<Item = Span>) -> Result<(), String> {
        let body = otlp::request(&self.resource, (NAME, VERSION), spans).encode_to_vec();
        let request = Request::post(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::from(body))
            .map_err(|error| error.to_string())?;
        let answer = timeout(TIMEOUT, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?;
        let status = answer.map_err(|error| describe(&error))?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("it answers {status}"))
        }
    }
}

fn describe(error: &hyper_util::client::legacy::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Waits for a time, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_spans_go() {
        for (endpoint, url) in [
            (
                "http://localhost:14268/api/traces",
                "http://localhost:4318/v1/traces",
            ),
            ("http://tempo:4318", "http://tempo:4318/v1/traces"),
            ("http://tempo:4318/", "http://tempo:4318/v1/traces"),
            ("http://tempo/otlp/v1/traces", "http://tempo/otlp/v1/traces"),
        ] {
            let endpoint = endpoint.parse().unwrap();
            assert_eq!(collector(&endpoint).as_str(), url);
        }
    }
}
