//! Watching over WebSocket.

use std::process::Command;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use http_body_util::Empty;
use hyper::client::conn::http2::Builder;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

/// Longest wait for the next message.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a watch as a page in a browser does, which can't set headers of its own.
async fn open(
    service: &Service,
    token: &str,
    query: &str,
    origin: &str,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let authority = service.http.strip_prefix("http://").expect("a URL");
    let request = format!("ws://{authority}{WATCH}{query}").into_client_request();
    let mut request = request.expect("a request");
    let token = URL_SAFE_NO_PAD.encode(token);
    let protocols = format!("transcode.json, base64url.bearer.authorization.transcode.{token}");
    let headers = request.headers_mut();
    headers.insert(
        "sec-websocket-protocol",
        protocols.parse().expect("a header"),
    );
    headers.insert("origin", origin.parse().expect("a header"));
    let stream = TcpStream::connect(authority).await.expect("a connection");
    let (socket, response) = client_async(request, stream).await?;
    let headers = response.headers();
    assert_eq!(headers["sec-websocket-protocol"], "transcode.json");
    assert!(headers.contains_key("x-request-id"));
    assert!(headers.contains_key("ratelimit-remaining"));
    Ok(socket)
}

/// Opens a watch in a stream of HTTP/2 (RFC 8441).
async fn open_in_http2(service: &Service, token: &str) -> WebSocketStream<TokioIo<Upgraded>> {
    let authority = service.http.strip_prefix("http://").expect("a URL");
    let stream = TcpStream::connect(authority).await.expect("a connection");
    let builder = Builder::new(TokioExecutor::new());
    let connected = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.expect("HTTP/2");
    tokio::spawn(connection);
    let response = loop {
        let request = authorized(Method::CONNECT, &format!("{}{WATCH}", service.http), token)
            .version(http::Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"))
            .body(Empty::<Bytes>::new())
            .expect("a request");
        sender.ready().await.expect("a connection");
        match sender.send_request(request).await {
            Ok(response) => break response,
            // The service has not said yet that it takes such requests.
            Err(error) if error.is_user() => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(response.status(), StatusCode::OK);
    let upgraded = hyper::upgrade::on(response).await.expect("a stream");
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn next<I: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<I>) -> Message {
    let next = tokio::time::timeout(PATIENCE, socket.next()).await;
    next.expect("in time")
        .expect("a message")
        .expect("no error")
}

async fn json<I: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<I>) -> Value {
    let text = next(socket).await.into_text().expect("text");
    serde_json::from_str(&text).expect("JSON")
}

/// Reads the end of a watch whose service ends.
async fn told_to_go_on_elsewhere<I: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<I>,
) {
    assert_eq!(
        json(&mut socket).await,
        json!({"error": {
            "code": 14, "reason": "SERVICE_UNAVAILABLE", "message": "Service temporarily unavailable",
        }})
    );
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("no end");
    };
    assert_eq!(u16::from(frame.code), 4014);
    // The socket has answered, and the service has closed the connection.
    let end = tokio::time::timeout(PATIENCE, socket.next()).await;
    assert!(end.expect("in time").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_watches_until_the_service_ends() {
    let cors = "server: {http: {cors: {allowed_origins: ['https://shop.example']}}}";
    let mut service = Service::start_configured(cors).await;
    let token = service.token("catalog:read catalog:write");
    let page = "https://shop.example";
    for (token, query, origin, status) in [
        (&*token, "", "https://evil.example", StatusCode::FORBIDDEN),
        ("nobody", "", page, StatusCode::UNAUTHORIZED),
        (
            &token,
            "?resumeToken=x",
            page,
            StatusCode::SWITCHING_PROTOCOLS,
        ),
        (&token, "?nope=x", page, StatusCode::BAD_REQUEST),
    ] {
        let found = match open(&service, token, query, origin).await {
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let error: Value = serde_json::from_slice(body).expect("JSON");
                assert_eq!(error["success"], false, "{error}");
                response.status()
            }
            Ok(mut socket) => {
                // Its handler alone knows what a token is.
                let error = &json(&mut socket).await["error"];
                assert_eq!(error["reason"], "INVALID_PARAMETERS", "{error}");
                let Message::Close(Some(frame)) = next(&mut socket).await else {
                    panic!("no end");
                };
                assert_eq!(u16::from(frame.code), 4003);
                StatusCode::SWITCHING_PROTOCOLS
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, status, "{query} {origin}");
    }

    let mut socket = open(&service, &token, "", page).await.expect("open");
    assert_eq!(said(&json(&mut socket).await), json!({}));
    let id = create(&service, &token, json!({"sku": "W", "name": "x"})).await;
    let created = json(&mut socket).await;
    assert_eq!(created["effect"], "entered");
    assert_eq!(created["created"]["data"]["productId"], id);
    let mut in_http2 = open_in_http2(&service, &token).await;
    assert_eq!(said(&json(&mut in_http2).await), json!({}));
    let mut given_up = open(&service, &token, "", page).await.expect("open");
    assert_eq!(said(&json(&mut given_up).await), json!({}));
    given_up.close(None).await.expect("closed");
    while let Some(Ok(_)) = given_up.next().await {}

    let pid = service.pid().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.expect("kill").success());
    let begun = Instant::now();
    told_to_go_on_elsewhere(socket).await;
    told_to_go_on_elsewhere(in_http2).await;
    assert!(service.wait().success());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let log = service.log.lock().expect("the log");
    assert!(!log.contains(&URL_SAFE_NO_PAD.encode(&token)) && !log.contains(&*token));
    // How each came to its end.
    let ends: Vec<_> = (log
        .lines()
        .filter(|line| line.contains("a WebSocket ended")))
    .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"].clone())
    .collect();
    let of = |outcome: &str| ends.iter().filter(|end| end["outcome"] == outcome).count();
    let counts = ["INVALID_ARGUMENT", "CANCELLED", "UNAVAILABLE"].map(of);
    assert_eq!(counts, [1, 1, 2], "{ends:?}");
    assert!(ends.iter().all(|end| end["operation"] == "watch_products"));
}
