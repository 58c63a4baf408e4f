//! A client of another's making.

use futures_util::SinkExt as _;
use http::Request;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async};
use transcode_tests::settings;

use super::{End, PATIENCE, serve};

/// A client.
pub(super) struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// A client of a server of its own.
    pub(super) async fn of<T: Clone + Send + Sync + 'static>(path: &str, extension: T) -> Self {
        let address = serve(settings(), extension).await;
        Self::connect(&address, path, &[])
            .await
            .expect("a handshake")
    }

    pub(super) async fn new(path: &str) -> Self {
        Self::of(path, ()).await
    }

    pub(super) async fn connect(
        address: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let request = format!("ws://{address}{path}").into_client_request();
        let mut request: Request<()> = request.expect("a request");
        for (name, value) in headers {
            let value = value.parse().expect("a header");
            request.headers_mut().append(*name, value);
        }
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (socket, _) = timeout(PATIENCE, client_async(request, stream))
            .await
            .expect("in time")?;
        Ok(Self(socket))
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("sent");
    }

    pub(super) async fn text(&mut self, text: impl Into<Utf8Bytes>) {
        self.send(Message::Text(text.into())).await;
    }

    /// Says that there are no more requests.
    pub(super) async fn end(&mut self) {
        self.text("").await;
    }

    pub(super) async fn message(&mut self) -> Message {
        let next = timeout(PATIENCE, self.0.next()).await.expect("in time");
        next.expect("a message").expect("no error")
    }

    pub(super) async fn json(&mut self) -> Value {
        let Message::Text(text) = self.message().await else {
            panic!("no text");
        };
        serde_json::from_str(&text).expect("JSON")
    }

    pub(super) async fn bytes(&mut self) -> Vec<u8> {
        let Message::Binary(bytes) = self.message().await else {
            panic!("no bytes");
        };
        bytes.to_vec()
    }

    /// The end, with nothing before it but an error.
    pub(super) async fn ended(mut self) -> End {
        let mut last = None;
        loop {
            match self.message().await {
                Message::Text(text) if last.is_none() => {
                    let error: Value = serde_json::from_str(&text).expect("JSON");
                    last = Some(error["error"].clone());
                }
                Message::Close(Some(frame)) => {
                    assert!(
                        timeout(PATIENCE, self.0.next())
                            .await
                            .expect("in time")
                            .is_none()
                    );
                    return (last, frame.code.into(), frame.reason.to_string());
                }
                other => panic!("{other}"),
            }
        }
    }
}
