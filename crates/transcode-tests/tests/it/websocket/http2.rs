//! WebSockets in streams of HTTP/2 (RFC 8441).

use bytes::Bytes;
use futures_util::SinkExt as _;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// A connection of HTTP/2.
async fn connect(address: &str) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let builder = Builder::new(TokioExecutor::new());
    let connected = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = connected.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// Asks for a WebSocket.
async fn open(
    sender: &mut SendRequest<Empty<Bytes>>,
    address: &str,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Response<Incoming> {
    loop {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri(format!("http://{address}{path}"))
            .extension(Protocol::from_static("websocket"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.ready().await.expect("a connection");
        let request = request.body(Empty::new()).expect("a request");
        match sender.send_request(request).await {
            Ok(response) => return response,
            // The server has not said yet that it takes such requests.
            Err(error) if error.is_user() => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn client(response: Response<Incoming>) -> WebSocketStream<TokioIo<Upgraded>> {
    assert_eq!(response.status(), StatusCode::OK);
    let upgraded = hyper::upgrade::on(response).await.expect("a stream");
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn next(socket: &mut WebSocketStream<TokioIo<Upgraded>>) -> Message {
    let next = timeout(PATIENCE, socket.next()).await.expect("in time");
    next.expect("a message").expect("no error")
}

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

#[tokio::test]
async fn several_in_one_connection() {
    let address = serve(settings(), ()).await;
    let mut sender = connect(&address).await;
    let protocol = ("sec-websocket-protocol", "transcode.json");
    let response = open(&mut sender, &address, APPRAISE, &[VERSION, protocol]).await;
    assert_eq!(
        response.headers()["sec-websocket-protocol"],
        "transcode.json"
    );
    assert_eq!(response.headers()["x-admitted"], "Appraise");
    for absent in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    let mut first = client(response).await;
    let response = open(&mut sender, &address, CAPITALIZE, &[VERSION]).await;
    let mut second = client(response).await;
    let book = r#"{"book": {"title": "a"}}"#;
    first.send(Message::Text(book.into())).await.expect("sent");
    second
        .send(Message::Binary("once".into()))
        .await
        .expect("sent");
    assert_eq!(next(&mut second).await, Message::Binary("ONCE".into()));
    let answer = next(&mut first).await.into_text().expect("text");
    assert_eq!(answer, r#"{"title":"a","worth":0}"#);
    first.send(Message::Text("".into())).await.expect("sent");
    let Message::Close(Some(frame)) = next(&mut first).await else {
        panic!("no end");
    };
    assert_eq!(u16::from(frame.code), 1000);
    assert!(
        timeout(PATIENCE, first.next())
            .await
            .expect("in time")
            .is_none()
    );
    // The other one goes on.
    second
        .send(Message::Binary("upon".into()))
        .await
        .expect("sent");
    assert_eq!(next(&mut second).await, Message::Binary("UPON".into()));
    // An error is told as everywhere.
    second
        .send(Message::Text("a time".into()))
        .await
        .expect("sent");
    let error = next(&mut second).await.into_text().expect("text");
    assert!(error.contains("Message 3 must be binary"), "{error}");
    let Message::Close(Some(frame)) = next(&mut second).await else {
        panic!("no end");
    };
    assert_eq!(u16::from(frame.code), 1003);
}

#[tokio::test]
async fn the_end_of_a_stream_ends_the_handler() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watch = intake::Watch {
        seen: Some(sender),
        pace: None,
    };
    let address = serve(settings(), watch).await;
    let mut connection = connect(&address).await;
    let response = open(&mut connection, &address, ADD, &[VERSION]).await;
    let socket = client(response).await;
    assert_eq!(seen.recv().await.as_deref(), Some("called"));
    drop(socket);
    let gone = timeout(PATIENCE, seen.recv()).await.expect("in time");
    assert_eq!(gone.as_deref(), Some("gone"));
}

#[tokio::test]
async fn what_is_refused_is_refused_as_in_http_1() {
    let address = serve(settings(), ()).await;
    let mut sender = connect(&address).await;
    let own = format!("http://{address}");
    for (path, headers, status) in [
        (APPRAISE, &[][..], 400),
        (APPRAISE, &[("sec-websocket-version", "8")], 400),
        (
            APPRAISE,
            &[VERSION, ("origin", "https://evil.example")],
            403,
        ),
        (APPRAISE, &[VERSION, ("origin", &own)], 200),
        (SCAN, &[VERSION], 401),
        ("/v1/shelves/1/books:add?nope=1", &[VERSION], 400),
        // There is no such method.
        ("/v1/shelves/1/books/2", &[VERSION], 405),
        ("/v1/nowhere", &[VERSION], 404),
    ] {
        let response = open(&mut sender, &address, path, headers).await;
        assert_eq!(response.status(), status, "{path} {headers:?}");
    }
}
