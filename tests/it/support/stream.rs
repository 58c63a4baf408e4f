//! Answers that are streams, read as they come.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tonic::Code;

use super::grpc::trailer_code;

/// Longest wait for the next piece.
const PATIENCE: Duration = Duration::from_secs(20);

/// A body, in pieces that end where its protocol says.
struct Pieces {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Pieces {
    /// Reads until `end` finds the end of a piece; none at the end of the body.
    async fn next(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = end(&self.buffer) {
                let rest = self.buffer.split_off(end);
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("in time")?.expect("a connection");
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

/// A server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) data: Value,
}

/// Server-sent events, as a browser reads them.
pub(crate) struct Events(Pieces);

impl Events {
    pub(crate) fn new(body: Incoming) -> Self {
        let buffer = Vec::new();
        Self(Pieces { body, buffer })
    }

    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let end = |text: &[u8]| Some(text.windows(2).position(|two| two == b"\n\n")? + 2);
            let text = String::from_utf8(self.0.next(end).await?).expect("text");
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            if let Some(data) = field("data: ") {
                return Some(Event {
                    id: field("id: ").map(str::to_owned),
                    name: field("event: ").map(str::to_owned),
                    data: serde_json::from_str(data).expect("JSON"),
                });
            }
        }
    }
}

/// The messages of a gRPC-Web answer.
pub(crate) struct WebMessages(Pieces);

impl WebMessages {
    pub(crate) fn new(body: Incoming) -> Self {
        let buffer = Vec::new();
        Self(Pieces { body, buffer })
    }

    /// The next message, or the status that ends them.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, Code> {
        let end = |bytes: &[u8]| {
            let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
            let end = 5 + length as usize;
            (bytes.len() >= end).then_some(end)
        };
        let frame = self.0.next(end).await.expect("a last frame");
        if frame[0] & 0x80 == 0 {
            Ok(frame[5..].to_vec())
        } else {
            Err(trailer_code(&frame[5..]))
        }
    }
}
