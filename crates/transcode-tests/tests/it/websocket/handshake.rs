//! What is told in HTTP, before a connection is a WebSocket.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use transcode::rest::WebSockets;

use super::*;
use crate::connection::read_until;

const PROTOCOL: &str = "sec-websocket-protocol";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The answer to a handshake in HTTP's own words, where it is whole.
async fn raw(address: &str, path: &str, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let lines = lines.join("\r\n");
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{lines}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    read_until(&mut stream, "\r\n\r\n").await
}

/// The error of a handshake: its status and its body.
async fn refused(address: &str, path: &str, headers: &[(&'static str, &str)]) -> (u16, Value) {
    let Err(Error::Http(response)) = Client::connect(address, path, headers).await else {
        panic!("taken");
    };
    let body = response.body().as_deref().unwrap_or_default();
    let body = serde_json::from_slice(body).unwrap_or_default();
    (response.status().as_u16(), body)
}

#[tokio::test]
async fn the_answer_is_that_of_the_rfc() {
    let address = serve(settings(), ()).await;
    let lines = [
        "Connection: keep-alive, Upgrade",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Version: 13",
        &format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Protocol: chat, transcode.json",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ];
    let answer = raw(&address, APPRAISE, &lines).await;
    assert!(
        answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{answer}"
    );
    for line in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        // The one of RFC 6455, 1.3.
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "sec-websocket-protocol: transcode.json\r\n",
        "x-admitted: Appraise\r\n",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    assert!(!answer.contains("extensions"), "{answer}");
}

#[tokio::test]
async fn a_broken_handshake_is_told_what_is_wrong() {
    let address = serve(settings(), ()).await;
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
    let version = "Sec-WebSocket-Version: 13";
    let key = &*format!("Sec-WebSocket-Key: {KEY}");
    for (lines, status, message) in [
        (
            vec![upgrade[1], version, key],
            "400 Bad Request",
            "Connection must name upgrade",
        ),
        (
            vec![upgrade[0], upgrade[1], "Sec-WebSocket-Version: 8", key],
            "426 Upgrade Required",
            "Sec-WebSocket-Version must be 13",
        ),
        (
            vec![upgrade[0], upgrade[1], key],
            "426 Upgrade Required",
            "Sec-WebSocket-Version must be 13",
        ),
        (
            vec![upgrade[0], upgrade[1], version],
            "400 Bad Request",
            "Sec-WebSocket-Key must be 16 bytes in base64",
        ),
        (
            vec![
                upgrade[0],
                upgrade[1],
                version,
                "Sec-WebSocket-Key: dG9vIHNob3J0",
            ],
            "400 Bad Request",
            "Sec-WebSocket-Key must be 16 bytes in base64",
        ),
        (
            vec![upgrade[0], upgrade[1], version, key, key],
            "400 Bad Request",
            "Sec-WebSocket-Key must be 16 bytes in base64",
        ),
        (
            vec![upgrade[0], upgrade[1], version, key, "Content-Length: 2"],
            "400 Bad Request",
            "The handshake of a WebSocket has no body",
        ),
    ] {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let joined = lines.join("\r\n");
        let head = format!("GET {APPRAISE} HTTP/1.1\r\nhost: x\r\n{joined}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let answer = read_until(&mut stream, "\"}").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains(message), "{message} in {answer}");
        if status.starts_with("426") {
            for line in ["sec-websocket-version: 13\r\n", "upgrade: websocket\r\n"] {
                assert!(answer.contains(line), "{line} in {answer}");
            }
        }
    }
}

#[tokio::test]
async fn who_is_not_let_in_and_what_can_not_be_is_told_in_http() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watch = intake::Watch {
        seen: Some(sender),
        pace: None,
    };
    let address = serve(settings(), watch).await;
    let scope = [("authorization", "library:scan")];
    for (path, headers, status, message) in [
        (SCAN, &[][..], 401, "Who are you?"),
        (
            SCAN,
            &[("authorization", "library:lend")],
            403,
            "Not with that scope",
        ),
        (
            "/v1/shelves/1/books:add?nope=1&by=x",
            &[],
            400,
            "Invalid request parameters",
        ),
        (
            "/v1/shelves/1/books/2/scan?dpi=x",
            &scope,
            400,
            "Invalid request parameters",
        ),
        (
            "/v1/shelves/1/books:watch?nope=1",
            &[],
            400,
            "Invalid query parameters",
        ),
        (
            "/v1/shelves/1/books:watch?after=123456789012345678901",
            &[],
            400,
            "Invalid query parameters",
        ),
        (
            APPRAISE,
            &[("accept", "text/html")],
            406,
            "The answer is application/json or",
        ),
        (
            APPRAISE,
            &[(PROTOCOL, "chat")],
            400,
            "Sec-WebSocket-Protocol must name",
        ),
        ("/v1/nowhere", &[], 404, "No such resource"),
    ] {
        let (found, error) = refused(&address, path, headers).await;
        assert_eq!(found, status, "{path}");
        let text = error["message"].as_str().unwrap_or_default();
        assert!(text.contains(message), "{error}");
    }
    let (_, error) = refused(&address, "/v1/shelves/1/books:add?nope=1", &[]).await;
    assert_eq!(error["details"], json!({"nope": "Unknown parameter"}));
    assert!(seen.try_recv().is_err(), "no handler was called");
}

#[tokio::test]
async fn an_rpc_that_does_not_stream_does_not_take_the_offer_up() {
    let address = serve(settings(), ()).await;
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        &format!("Sec-WebSocket-Key: {KEY}"),
    ];
    let answer = raw(&address, "/v1/shelves/1/books/2", &lines).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // What there is for another method only is so for this one.
    let answer = raw(&address, "/v1/scans", &lines).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: OPTIONS, POST\r\n"), "{answer}");
    // As everything does where WebSockets are switched off.
    let off = Settings {
        websockets: None,
        ..settings()
    };
    let address = serve(off, watch(|| Box::pin(iter([])))).await;
    let answer = raw(&address, WATCH, &lines).await;
    assert!(
        answer.contains("content-type: text/event-stream\r\n"),
        "{answer}"
    );
    let answer = raw(&address, APPRAISE, &lines).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn without_an_offer_all_is_as_it_was() {
    let address = serve(settings(), watch(|| Box::pin(iter([])))).await;
    let answer = raw(&address, WATCH, &["Connection: close"]).await;
    assert!(
        answer.contains("content-type: text/event-stream\r\n"),
        "{answer}"
    );
    let answer = raw(&address, WATCH, &["Connection: Upgrade", "Upgrade: h2c"]).await;
    assert!(
        answer.contains("content-type: text/event-stream\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_server_that_can_not_upgrade_says_so() {
    // As one that is not hyper's would call it.
    let request = Request::get(APPRAISE)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .expect("a request");
    let response = transcode_tests::transcoder().handle(request).await;
    assert_eq!(response.status(), 501);
    let body = response.into_body().collect().await.expect("a body");
    let error: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    assert_eq!(error["reason"], "UNIMPLEMENTED");
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let settings = Settings {
        websockets: Some(WebSockets {
            origins: vec!["https://shop.example".to_owned()],
            ..WebSockets::default()
        }),
        ..settings()
    };
    let address = serve(settings, ()).await;
    let own = format!("http://{address}");
    for origin in ["https://shop.example", &own] {
        let client = Client::connect(&address, APPRAISE, &[("origin", origin)]).await;
        let mut client = client.expect("a handshake");
        client.end().await;
        assert_eq!(client.ended().await, done());
    }
    for origin in ["https://evil.example", "https://shop.example:8443", "null"] {
        let (status, error) = refused(&address, APPRAISE, &[("origin", origin)]).await;
        assert_eq!(status, 403, "{origin}");
        assert_eq!(error["reason"], "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn a_token_may_come_in_a_subprotocol() {
    let address = serve(settings(), ()).await;
    let token = URL_SAFE_NO_PAD.encode("library:scan");
    let name = format!("base64url.bearer.authorization.transcode.{token}");
    let both = format!("{name}, transcode.json");
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        &format!("Sec-WebSocket-Key: {KEY}"),
        &format!("Sec-WebSocket-Protocol: {both}"),
    ];
    let answer = raw(&address, SCAN, &lines).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("sec-websocket-protocol: transcode.json\r\n"),
        "{answer}"
    );
    assert!(!answer.contains(&token), "{answer}");
    let client = Client::connect(&address, SCAN, &[(PROTOCOL, &both)]).await;
    let mut client = client.expect("a handshake");
    client.end().await;
    assert_eq!(
        client.json().await["pieces"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );

    let other = URL_SAFE_NO_PAD.encode("library:lend");
    let other = format!("base64url.bearer.authorization.transcode.{other}, transcode.json");
    let header = ("authorization", "library:scan");
    for (headers, status) in [
        (&[(PROTOCOL, &*other)][..], 403),
        (&[(PROTOCOL, &name)], 400),
        (&[(PROTOCOL, &both), header], 400),
    ] {
        let (found, error) = refused(&address, SCAN, headers).await;
        assert_eq!(found, status, "{headers:?}");
        assert!(!error.to_string().contains(&token), "{error}");
    }
    // Under another name, or none, it is a subprotocol that nobody knows.
    for bearer_protocol in [Some("token."), None] {
        let settings = Settings {
            websockets: Some(WebSockets {
                bearer_protocol,
                ..WebSockets::default()
            }),
            ..settings()
        };
        let address = serve(settings, ()).await;
        let (status, _) = refused(&address, SCAN, &[(PROTOCOL, &both)]).await;
        assert_eq!(status, 401);
        let named = format!("transcode.json, token.{token}");
        let taken = Client::connect(&address, SCAN, &[(PROTOCOL, &named)]).await;
        assert_eq!(taken.is_ok(), bearer_protocol.is_some());
    }
}
