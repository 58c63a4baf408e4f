//! Answers for callers who are still sending.

use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::connection::read_until;

/// Begins a request with a body of so many bytes.
async fn begin(server: &Server, length: usize, more: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let head = format!(
        "POST {PROOF} HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: {length}\r\n{more}\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection
}

#[tokio::test]
async fn who_is_still_sending_gets_the_answer_and_the_connection_is_kept() {
    let server = Server::start(Version::HTTP_11).await;
    let mut connection = begin(&server, 500_000, "").await;
    let answer = read_until(&mut connection, "resource_exhausted").await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    // Now for the rest of it, which nobody reads.
    for _ in 0..500 {
        connection.write_all(&[b' '; 1000]).await.expect("sent");
    }
    let next = format!("GET {PROOF}?encoding=json&message=%7B%7D HTTP/1.1\r\nhost: x\r\n\r\n");
    connection.write_all(next.as_bytes()).await.expect("sent");
    let answer = read_until(&mut connection, "COVER_UNSPECIFIED").await;
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn not_for_ever() {
    let server = Server::start(Version::HTTP_11).await;
    // One who sends nothing more, and one who has not begun.
    for more in ["", "expect: 100-continue\r\n"] {
        let mut connection = begin(&server, 500_000, more).await;
        let began = std::time::Instant::now();
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, connection.read_to_end(&mut rest)).await;
        read.expect("in time").expect("an end");
        let answer = String::from_utf8(rest).expect("text");
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("resource_exhausted"), "{answer}");
        assert_eq!(
            began.elapsed() > Duration::from_millis(500),
            more.is_empty(),
            "{more}"
        );
    }
    // One who never ends.
    let mut connection = begin(&server, 100_000_000, "").await;
    read_until(&mut connection, "resource_exhausted").await;
    let much = vec![b' '; 65_536];
    let endless = async { while connection.write_all(&much).await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("cut off");
}

#[tokio::test]
async fn what_is_read_ends_at_once() {
    let server = Server::start(Version::HTTP_11).await;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        let answer = server
            .send(post(PROOF, JSON), json!({"title": "a"}).to_string())
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().contains_key("content-length"));
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_that_says_its_length_waits_as_well() {
    use http::HeaderValue;
    use tower::service_fn;
    // As a router does that sets the header for what is empty.
    let empty = service_fn(|request: Request<transcode::Unread<Incoming>>| {
        drop(request);
        let mut response = Response::new(Full::<Bytes>::default());
        let length = HeaderValue::from_static("0");
        response.headers_mut().insert("content-length", length);
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let builder = Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(Lingering(empty));
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    for _ in 0..2 {
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
        connection.write_all(head.as_bytes()).await.expect("sent");
        let answer = read_until(&mut connection, "\r\n\r\n").await;
        assert!(answer.contains("200 OK"), "{answer}");
        for _ in 0..100 {
            connection.write_all(&[b' '; 1000]).await.expect("sent");
        }
        read_until(&mut connection, "0\r\n\r\n").await;
    }
}
