//! Answers that are bytes as they are, over HTTP and as tonic calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{StreamExt as _, iter};
use tonic::Status;
use transcode::rest::Body;
use transcode_tests::files::Content;
use transcode_tests::pb::google::api::HttpBody;
use transcode_tests::pb::library::v1::GetFileRequest;
use transcode_tests::pb::library::v1::files_server::Files as _;
use transcode_tests::{files, transcoder};

const COVER: &str = "/v1/shelves/1/books/2/cover";
const TEXT: &str = "/v1/shelves/1/books/2/text";
const VOICE: &str = "/v1/shelves/1/books/2/voice";
const CHAPTERS: &str = "/v1/shelves/1/books/2/chapters";

fn part(content_type: &str, data: &[u8]) -> HttpBody {
    HttpBody {
        content_type: content_type.to_owned(),
        data: data.to_vec(),
        extensions: Vec::new(),
    }
}

/// Content that comes at once, an error in place of what is none.
fn content(parts: &[Option<HttpBody>]) -> Content {
    let parts = parts.to_vec();
    Content::new(move || {
        let late = || Err(Status::unavailable("Not now"));
        let parts = parts
            .clone()
            .into_iter()
            .map(move |part| part.map_or_else(late, Ok));
        Ok(Box::pin(iter(parts.collect::<Vec<_>>())))
    })
}

fn one(content_type: &str, data: &[u8]) -> Content {
    content(&[Some(part(content_type, data))])
}

fn request(uri: &str, content: Content) -> http::request::Builder {
    Request::get(uri).extension(content)
}

async fn send(request: http::request::Builder) -> Response<Body> {
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    transcoder().handle(request).await
}

async fn bytes(response: Response<Body>) -> Bytes {
    let body = response.into_body().collect().await;
    body.expect("a body").to_bytes()
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response).await).expect("JSON")
}

#[tokio::test]
async fn an_answer_is_its_bytes_without_an_envelope() {
    for (uri, cache) in [(COVER, "max-age=60"), (TEXT, "no-store")] {
        let answer = || request(uri, one("image/png", b"\x89PNG\0"));
        let response = send(answer()).await;
        assert_eq!(response.status(), StatusCode::OK, "{uri}");
        for (name, value) in [
            ("content-type", "image/png"),
            ("content-length", "5"),
            ("cache-control", cache),
        ] {
            assert_eq!(response.headers()[name], value, "{uri} {name}");
        }
        assert_eq!(&bytes(response).await[..], b"\x89PNG\0", "{uri}");
        // Whatever is asked for: what there is has one form.
        let asked = send(answer().header(header::ACCEPT, "text/html")).await;
        assert_eq!(asked.status(), StatusCode::OK);
        let head = send(answer().method(Method::HEAD)).await;
        assert_eq!(head.headers()["content-type"], "image/png", "{uri}");
        assert_eq!(head.headers()["content-length"], "5", "{uri}");
        assert!(bytes(head).await.is_empty());
    }
    let response = send(request(COVER, one("image/png", b"x"))).await;
    assert_eq!(response.headers()["content-disposition"], "attachment");
    assert_eq!(response.headers()["x-admitted"], "GetCover");
}

#[tokio::test]
async fn other_bindings_and_errors_are_what_they_are_elsewhere() {
    let described = format!("{TEXT}:described");
    let response = send(request(&described, one("text/plain", b"Once"))).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let content = json!({"contentType": "text/plain", "data": "T25jZQ==", "extensions": []});
    assert_eq!(json(response).await["data"]["content"], content);
    let missing = send(Request::get(COVER)).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let missing = json(missing).await;
    assert_eq!(missing["error"]["message"], "No such book", "{missing}");
}

#[tokio::test]
async fn bytes_have_an_entity_tag() {
    let response = send(request(TEXT, one("text/plain", b"Once"))).await;
    assert_eq!(response.headers()[header::ETAG], "\"v1\"");
    let known = request(TEXT, one("text/plain", b"Once")).header("if-none-match", "\"v1\"");
    let response = send(known).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.headers()[header::ETAG], "\"v1\"");
    assert!(bytes(response).await.is_empty());
}

#[tokio::test]
async fn what_a_handler_does_not_say_is_not_guessed() {
    let response = send(request(COVER, one("", b"x"))).await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "application/octet-stream");
    // A field that is not set is nothing.
    let nothing = send(Request::get(TEXT)).await;
    assert_eq!(nothing.status(), StatusCode::OK);
    assert_eq!(nothing.headers()["content-length"], "0");
    assert!(bytes(nothing).await.is_empty());
}

#[tokio::test]
async fn a_type_that_is_no_header_is_a_fault_that_tells_nothing() {
    for uri in [COVER, TEXT, VOICE] {
        for text in ["text/plain\r\nx-evil: 1", "secret\0", "se\u{7f}cret"] {
            let response = send(request(uri, one(text, b"data"))).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(response.headers().get("x-evil").is_none());
            assert_eq!(response.headers()["content-type"], "application/json");
            let error = json(response).await;
            let message = &error["error"]["message"];
            assert_eq!(message, "An unexpected error occurred", "{uri} {text}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_one_body_of_the_type_of_its_first_message() {
    let parts = [
        Some(part("audio/ogg", b"one ")),
        Some(part("", b"")),
        Some(part("text/plain", b"two")),
    ];
    let response = send(request(VOICE, content(&parts))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "audio/ogg");
    assert_eq!(response.headers()["x-admitted"], "ReadAloud");
    assert_eq!(response.headers()["cache-control"], "max-age=60");
    assert_eq!(&bytes(response).await[..], b"one two");
    let field = request(CHAPTERS, content(&parts)).header("authorization", "library:listen");
    let response = send(field).await;
    assert_eq!(response.headers()["content-type"], "audio/ogg");
    assert_eq!(&bytes(response).await[..], b"one two");
    let head = send(request(VOICE, content(&parts)).method(Method::HEAD)).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "audio/ogg");
    assert!(bytes(head).await.is_empty());
    let nothing = send(request(VOICE, content(&[]))).await;
    assert_eq!(nothing.status(), StatusCode::OK);
    assert!(bytes(nothing).await.is_empty());
    // Another binding of the same RPC has the messages as JSON.
    let described = request(&format!("{CHAPTERS}:described"), content(&parts))
        .header("authorization", "library:listen");
    let response = send(described).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = bytes(response).await;
    let text = std::str::from_utf8(&text).expect("text");
    assert!(text.contains(r#""contentType":"audio/ogg""#), "{text}");
}

#[tokio::test]
async fn an_error_before_the_first_message_is_a_status_however_late_it_comes() {
    let (sender, slow) = sent();
    let response = tokio::spawn(send(request(VOICE, slow)));
    tokio::task::yield_now().await;
    assert!(!response.is_finished(), "there is no header yet");
    sender
        .send(Err(Status::out_of_range("Too old")))
        .expect("a listener");
    let response = response.await.expect("an answer");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()["x-admitted"], "ReadAloud");
    assert_eq!(json(response).await["error"]["code"], "OUT_OF_RANGE");
}

#[tokio::test]
async fn a_slow_reader_slows_the_handler_down() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endless = Content::new(move || {
        let counter = counter.clone();
        let parts = std::iter::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(part("audio/ogg", b"one"))
        });
        Ok(Box::pin(iter(parts)))
    });
    let mut body = send(request(VOICE, endless)).await.into_body();
    for read in 1..100 {
        let frame = body.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "one");
        assert_eq!(asked.load(Ordering::Relaxed), read);
    }
}

/// Content that comes when a test sends it.
fn sent() -> (mpsc::UnboundedSender<Result<HttpBody, Status>>, Content) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let content = Content::new(move || {
        let receiver = receiver.lock().expect("a lock").take();
        let messages = UnboundedReceiverStream::new(receiver.expect("one call"));
        Ok(Box::pin(messages))
    });
    (sender, content)
}

/// A connection on which a GET was sent to a server.
async fn get_over_tcp(uri: &str, content: Content) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new()
        .fallback_service(transcoder())
        .layer(axum::Extension(content));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET {uri} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection
}

/// Reads until a text comes, or the connection ends.
async fn read_until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(end) {
        // A connection that is cut may be reset.
        let read = connection.read(&mut buffer).await.unwrap_or_default();
        if read == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buffer[..read]).expect("text"));
    }
    text
}

const NEVER: &str = "this is nowhere";

#[tokio::test]
async fn a_reader_sees_whether_an_answer_is_whole() {
    for whole in [true, false] {
        let (sender, content) = sent();
        let mut connection = get_over_tcp(VOICE, content).await;
        sender.send(Ok(part("audio/ogg", b"one"))).expect("a call");
        let begun = read_until(&mut connection, "3\r\none\r\n").await;
        assert!(begun.starts_with("HTTP/1.1 200 OK\r\n"), "{begun}");
        assert!(begun.contains("transfer-encoding: chunked"), "{begun}");
        if !whole {
            let late = Err(Status::unavailable("Not now"));
            sender.send(late).expect("a call");
        }
        drop(sender);
        let rest = read_until(&mut connection, NEVER).await;
        assert_eq!(rest, if whole { "0\r\n\r\n" } else { "" });
    }
}

#[tokio::test]
async fn a_reader_who_goes_ends_the_handlers_stream() {
    let (sender, content) = sent();
    let mut connection = get_over_tcp(VOICE, content).await;
    sender.send(Ok(part("audio/ogg", b"one"))).expect("a call");
    read_until(&mut connection, "one").await;
    drop(connection);
    sender.closed().await;
}

#[tokio::test]
async fn tonic_has_messages_like_any_other() {
    let mut request = tonic::Request::new(GetFileRequest::default());
    request
        .extensions_mut()
        .insert(one("not\na header", b"data"));
    let answer = files().read_aloud(request).await.expect("a stream");
    let messages: Vec<_> = answer.into_inner().collect().await;
    let message = messages[0].as_ref().expect("a message");
    assert_eq!(message.content_type, "not\na header");
}

#[test]
fn the_description_shows_bytes() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let answer = |path: &str| &description["paths"][path]["get"]["responses"];
    for rest in ["cover", "text", "voice", "chapters"] {
        let path = format!("/v1/shelves/{{name}}/books/{{name2}}/{rest}");
        let responses = answer(&path);
        let content = &responses["200"]["content"];
        let schema = json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
        assert_eq!(*content, schema, "{rest}");
        assert!(responses.get("406").is_none(), "{rest}");
    }
    let described = answer("/v1/shelves/{name}/books/{name2}/text:described");
    assert!(described["200"]["content"]["application/json"].is_object());
}
