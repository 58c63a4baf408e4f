//! Callers that ask again as soon as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use catalog_service::pb::catalog::v1::{GetProductRequest, get_product_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Request;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::reference::{ECHO, Payload};

/// What was done in a time.
pub(crate) struct Done {
    requests: usize,
    time: Duration,
}

impl Done {
    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
    pub(crate) fn count(&self) -> f64 {
        self.requests as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.count() / self.time.as_secs_f64()
    }
}

/// HTTP/1.1 requests, ready made, so that the callers take little of the machine.
pub(crate) struct Rest {
    addr: String,
    requests: Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>,
}

fn head(method: &str, path: &str, token: &str) -> String {
    let authorization = if token.is_empty() {
        String::new()
    } else {
        format!("authorization: Bearer {token}\r\n")
    };
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}")
}

impl Rest {
    /// The same again and again.
    pub(crate) fn get(addr: &str, path: &str, token: &str) -> Self {
        Self::gets(addr, [path.to_owned()], token)
    }

    /// Several, one after the other.
    pub(crate) fn gets(addr: &str, paths: impl IntoIterator<Item = String>, token: &str) -> Self {
        let requests: Vec<Vec<u8>> = paths
            .into_iter()
            .map(|path| format!("{}\r\n", head("GET", &path, token)).into_bytes())
            .collect();
        Self {
            addr: addr.to_owned(),
            requests: Arc::new(move |n| requests[n * 7919 % requests.len()].clone()),
        }
    }

    /// A new product each time.
    pub(crate) fn creates(addr: &str, token: &str) -> Self {
        let head = head("POST", "/v1/catalog/products", token);
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self {
            addr: addr.to_owned(),
            requests: Arc::new(move |_| {
                let n = NEXT.fetch_add(1, Ordering::Relaxed);
                let body = format!(
                    r#"{{"sku":"BENCH-{n}","name":"Product {n}","description":"{:0>200}","category":"category-{}",
                        "brand":"brand","attributes":{{"color":"Silver","storage":"512GB SSD","ram":16}},
                        "price":{{"amount":12.5,"currency":"USD"}},"warehouse":"WH001"}}"#,
                    n,
                    n % 20,
                );
                let length = body.len();
                format!(
                    "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                )
                .into_bytes()
            }),
        }
    }

    /// Sends them over some connections for a time.
    pub(crate) async fn run(&self, connections: usize, time: Duration) -> Done {
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let callers: Vec<_> = (0..connections)
            .map(|_| {
                let (next, requests) = (next.clone(), self.requests.clone());
                let addr = self.addr.clone();
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(&addr).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = Vec::with_capacity(64 * 1024);
                    while started.elapsed() < time {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        stream.write_all(&requests(n)).await.unwrap();
                        answer(&mut stream, &mut buffer).await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        Done {
            requests: next.load(Ordering::Relaxed),
            time: started.elapsed(),
        }
    }
}

/// Reads an answer, which has to be a good one with a length.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    let end = loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "closed");
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = std::str::from_utf8(&buffer[..end]).unwrap();
    assert!(head.starts_with("HTTP/1.1 2"), "{head}");
    let length: usize = head
        .split("\r\n")
        .find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse().unwrap())
        })
        .unwrap();
    while buffer.len() < end + length {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "closed");
    }
}

/// gRPC calls over one connection.
pub(crate) struct Grpc {
    channel: Channel,
    /// The product that is asked for with a token, or none for the echo.
    product: Option<(String, String)>,
}

impl Grpc {
    /// The same product again and again.
    pub(crate) async fn get(addr: &str, id: &str, token: &str) -> Self {
        Self {
            channel: channel(addr).await,
            product: Some((id.to_owned(), format!("Bearer {token}"))),
        }
    }

    /// An echo of 600 bytes.
    pub(crate) async fn echo(addr: &str) -> Self {
        Self {
            channel: channel(addr).await,
            product: None,
        }
    }

    /// Makes some calls at a time, for a time.
    pub(crate) async fn run(&self, concurrency: usize, time: Duration) -> Done {
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let callers: Vec<_> = (0..concurrency)
            .map(|_| {
                let (next, channel, product) =
                    (next.clone(), self.channel.clone(), self.product.clone());
                tokio::spawn(async move {
                    while started.elapsed() < time {
                        next.fetch_add(1, Ordering::Relaxed);
                        match &product {
                            Some((id, token)) => get(channel.clone(), id, token).await,
                            None => echo(channel.clone()).await,
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        Done {
            requests: next.load(Ordering::Relaxed),
            time: started.elapsed(),
        }
    }
}

async fn channel(addr: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{addr}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn get(channel: Channel, id: &str, token: &str) {
    let mut request = Request::new(GetProductRequest {
        key: Some(get_product_request::Key::Id(id.to_owned())),
    });
    let token = token.parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let mut client = CatalogServiceClient::new(channel);
    let answer = client.get_product(request).await.unwrap();
    assert!(answer.into_inner().product.is_some());
}

async fn echo(channel: Channel) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let payload = Payload {
        content: bytes::Bytes::from_static(&[b'x'; 600]),
    };
    let codec = ProstCodec::<Payload, Payload>::default();
    let path = PathAndQuery::from_static(ECHO);
    let answer = client.unary(Request::new(payload), path, codec).await;
    assert_eq!(answer.unwrap().into_inner().content.len(), 600);
}
