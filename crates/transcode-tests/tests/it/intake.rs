//! Requests that are streams.

mod policy;
mod wire;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use transcode::rest::Body;
use transcode_tests::intake::Watch;
use transcode_tests::transcoder;

const ADD: &str = "/v1/shelves/1/books:add?by=Ursula";
const SCAN: &str = "/v1/shelves/1/books/2/scan?dpi=300";
const APPRAISE: &str = "/v1/books:appraise";
const LINES: &str = "application/x-ndjson";

fn post(uri: &str, content_type: &str) -> http::request::Builder {
    Request::post(uri).header(header::CONTENT_TYPE, content_type)
}

async fn send(request: http::request::Builder, body: impl Into<Bytes>) -> Response<Body> {
    let request = request.body(Full::new(body.into())).expect("a request");
    transcoder().handle(request).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a body");
    String::from_utf8(bytes.to_bytes().to_vec()).expect("text")
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

/// What is added by a body that is lines.
async fn added(body: &'static str) -> Value {
    let response = send(post(ADD, LINES), body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    json(response).await["added"].clone()
}

#[tokio::test]
async fn each_line_is_a_message_with_path_and_query() {
    let body = "{\"title\":\"a\",\"pages\":1}\n{\"title\":\"b\"}\n";
    let response = send(post(ADD, LINES), body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(
        response.headers()[header::LOCATION],
        "/v1/shelves%2F1/books"
    );
    assert_eq!(response.headers()["x-admitted"], "AddBooks");
    assert_eq!(
        json(response).await,
        json!({"shelf": "shelves/1", "added": ["a (1) Ursula", "b (0) Ursula"]})
    );
    let whole = post("/v1/books:add", "Application/X-NDJSON; charset=UTF-8");
    let line = r#"{"shelf": "x", "book": {"title": "a"}, "by": "y"}"#;
    let response = send(whole, line).await;
    assert_eq!(
        json(response).await,
        json!({"shelf": "x", "added": ["a (0) y"]})
    );
}

#[tokio::test]
async fn lines_end_in_many_ways() {
    let both = json!(["a (0) Ursula", "b (0) Ursula"]);
    for body in [
        "{\"title\":\"a\"}\n{\"title\":\"b\"}",
        "{\"title\":\"a\"}\r\n{\"title\":\"b\"}\r\n",
        "\n\n{\"title\":\"a\"}\n \r\n{\"title\":\"b\"}\n\n",
    ] {
        assert_eq!(added(body).await, both, "{body}");
    }
    for body in ["", "\n", "\r\n\n  "] {
        assert_eq!(added(body).await, json!([]), "{body:?}");
    }
}

#[tokio::test]
async fn an_error_names_its_line() {
    for (body, message, details) in [
        (
            "\n{\"title\":\"a\"}\n{\"title\":}\n",
            "Malformed JSON in line 3",
            json!({"body": "expected value at line 3 column 10"}),
        ),
        (
            "{\"title\":\"a\"}\n{\"title\":\"\",\"pages\":\"x\",\"nope\":1}\n{",
            "Invalid request parameters in line 2",
            json!({
                "pages": "Must be an integer", "nope": "Unknown field",
                "title": "Must not be empty",
            }),
        ),
        (
            "[]",
            "Invalid request parameters in line 1",
            json!({"body": "Must be an object"}),
        ),
    ] {
        let response = send(post(ADD, LINES), body).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(response.headers()["x-admitted"], "AddBooks");
        let error = json(response).await;
        assert_eq!(error["message"], message);
        assert_eq!(error["reason"], "INVALID_ARGUMENT");
        assert_eq!(error["details"], details, "{body}");
    }
    let forbidden = "{\"title\":\"forbidden\"}\n{";
    let error = json(send(post(ADD, LINES), forbidden).await).await;
    assert_eq!(error["message"], "Not that one", "it read no further");
}

#[tokio::test]
async fn a_line_has_a_longest_length_and_a_body_has_none() {
    let line = |length: usize| {
        let around = r#"{"title":""}"#.len();
        format!(r#"{{"title":"{}"}}"#, "x".repeat(length - around))
    };
    let fits = [line(4096), line(4096), line(4096)].join("\r\n");
    let response = send(post(ADD, LINES), fits).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    for end in ["\n", "", "\n{}"] {
        let long = format!("{}\n{}{end}", line(100), line(4097));
        let response = send(post(ADD, LINES), long).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let message = &json(response).await["message"];
        assert_eq!(message, "Line 2 must not be longer than 4096 bytes");
    }
}

#[tokio::test]
async fn what_can_not_be_is_told_before_the_handler_is_called() {
    let (watch, mut seen) = watch(None);
    for (request, status) in [
        (post(ADD, "application/json"), 415),
        (Request::post(ADD), 415),
        (post(ADD, LINES).header("content-encoding", "gzip"), 415),
        (post("/v1/shelves/1/books:add?nope=1", LINES), 400),
        (post("/v1/shelves/1/books:add?book.title=x", LINES), 400),
        (post("/v1/books:add?by=x", LINES), 400),
        (post(APPRAISE, LINES).header("accept", "text/html"), 406),
        (Request::put(SCAN), 401),
    ] {
        let response = send(request.extension(watch.clone()), "").await;
        assert_eq!(response.status().as_u16(), status);
    }
    drop(watch);
    assert_eq!(seen.recv().await, None);
}

/// What a handler tells of itself.
fn watch(pace: Option<Arc<Semaphore>>) -> (Watch, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let seen = Some(sender);
    (Watch { seen, pace }, receiver)
}

type Sent = Result<Frame<Bytes>, std::io::Error>;

/// A body that comes as a test sends it.
fn sent() -> (
    mpsc::UnboundedSender<Sent>,
    StreamBody<UnboundedReceiverStream<Sent>>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let body = StreamBody::new(UnboundedReceiverStream::new(receiver));
    (sender, body)
}

fn feed(sender: &mpsc::UnboundedSender<Sent>, text: &'static str) {
    let frame = Frame::data(Bytes::from_static(text.as_bytes()));
    sender.send(Ok(frame)).expect("a reader");
}

#[tokio::test]
async fn messages_come_as_they_are_sent() {
    let (watch, mut seen) = watch(None);
    let (sender, body) = sent();
    let request = post(ADD, LINES).extension(watch).body(body);
    let call = tokio::spawn(async move { transcoder().handle(request.expect("a request")).await });
    assert_eq!(seen.recv().await.as_deref(), Some("called"));
    feed(&sender, "{\"title\":");
    feed(&sender, "\"a\"}\n{\"title\":\"b\"}\n{\"ti");
    assert_eq!(seen.recv().await.as_deref(), Some("a"));
    assert_eq!(seen.recv().await.as_deref(), Some("b"));
    feed(&sender, "tle\":\"c\"}");
    drop(sender);
    assert_eq!(seen.recv().await.as_deref(), Some("c"));
    let response = call.await.expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_handler_may_answer_before_the_end() {
    let (sender, body) = sent();
    feed(&sender, "{\"title\":\"a\"}\n{\"title\":\"enough\"}\n");
    let request = post(ADD, LINES).body(body).expect("a request");
    let response = transcoder().handle(request).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(sender.is_closed(), "nobody reads on");
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_taken_for_whole() {
    for uri in [ADD, SCAN] {
        let (sender, body) = sent();
        feed(&sender, "{\"title\":\"a\"}\n");
        let cut = std::io::Error::other("cut");
        sender.send(Err(cut)).expect("a reader");
        let method = if uri == ADD { "POST" } else { "PUT" };
        let request = post(uri, LINES)
            .method(method)
            .header("authorization", "library:scan")
            .body(body)
            .expect("a request");
        let response = transcoder().handle(request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json(response).await["message"], "The body ended early");
    }
}

/// A body without end that counts how often it is asked.
struct Endless(Arc<AtomicUsize>, &'static [u8]);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.1)))))
    }
}

#[tokio::test]
async fn nothing_is_read_that_the_handler_does_not_ask_for() {
    for (uri, method, body) in [
        (ADD, "POST", &b"{\"title\":\"a\"}\n"[..]),
        (SCAN, "PUT", b"some bytes"),
    ] {
        let (asked, pace) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (watch, mut seen) = watch(Some(pace.clone()));
        let request = post(uri, LINES)
            .method(method)
            .header("authorization", "library:scan")
            .extension(watch)
            .body(Endless(asked.clone(), body))
            .expect("a request");
        let call = tokio::spawn(async move { transcoder().handle(request).await });
        assert_eq!(seen.recv().await.as_deref(), Some("called"));
        for read in 0..100 {
            tokio::task::yield_now().await;
            assert_eq!(asked.load(Ordering::Relaxed), read, "{uri}");
            pace.add_permits(1);
            seen.recv().await.expect("a message");
        }
        call.abort();
    }
    // Who is not let in is not read from either.
    let asked = Arc::new(AtomicUsize::new(0));
    let request = Request::put(SCAN).body(Endless(asked.clone(), b"x"));
    let response = transcoder().handle(request.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

async fn upload(content_type: Option<&str>, body: Bytes) -> Value {
    let mut request = Request::put(SCAN).header("authorization", "library:scan");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let response = send(request, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    json(response).await["pieces"].clone()
}

#[tokio::test]
async fn bytes_come_in_pieces() {
    let piece = |rest: &str| format!("shelves/1/books/2 {rest} 300");
    assert_eq!(
        upload(Some("image/png"), vec![1; 100_000].into()).await,
        json!([piece("image/png 65536"), piece(" 34464")])
    );
    // What stands in the path is told of an empty body too.
    assert_eq!(
        upload(Some("image/png"), Bytes::new()).await,
        json!([piece("image/png 0")])
    );
    assert_eq!(upload(None, Bytes::new()).await, json!([piece(" 0")]));
    let broken =
        Request::put("/v1/shelves/1/books/2/scan?dpi=1000").header("authorization", "library:scan");
    let response = send(broken, "x").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let details = &json(response).await["details"];
    assert_eq!(*details, json!({"dpi": "Must be less than 1000"}));
}

/// The next frame of a body as text.
async fn next(body: &mut Body) -> String {
    let frame = body.frame().await.expect("a frame").expect("no error");
    let bytes = frame.into_data().expect("data");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn both_ways_at_once() {
    let (sender, body) = sent();
    let request = post(APPRAISE, LINES)
        .header(header::ACCEPT, LINES)
        .body(body)
        .expect("a request");
    feed(&sender, "{\"book\":{\"title\":\"a\",\"pages\":1}}\n");
    let response = transcoder().handle(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], LINES);
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await, "{\"title\":\"a\",\"worth\":1}\n");
    feed(&sender, "{\"book\":{\"title\":\"b\",\"pages\":2}}\n");
    assert_eq!(next(&mut body).await, "{\"title\":\"b\",\"worth\":2}\n");
    feed(&sender, "{\"book\":{}}\n");
    assert_eq!(
        serde_json::from_str::<Value>(&next(&mut body).await).expect("JSON"),
        json!({"error": {
            "code": 3, "reason": "INVALID_ARGUMENT", "message": "Invalid request parameters in line 3",
            "details": {"book.title": "Must not be empty"},
        }})
    );
    assert!(body.frame().await.is_none());
    // Whatever of it is read, the answer has a form of its own.
    let events = send(
        post(APPRAISE, LINES),
        "{\"book\":{\"title\":\"a\"}}\n{\"book\":{\"title\":\"b\"}}",
    );
    assert_eq!(
        text(events.await).await,
        "retry: 1000\n\nid: a\ndata: {\"title\":\"a\",\"worth\":0}\n\n\
         id: b\ndata: {\"title\":\"b\",\"worth\":0}\n\n"
    );
    let nothing = send(post(APPRAISE, LINES), "").await;
    assert_eq!(nothing.status(), StatusCode::OK);
    assert_eq!(text(nothing).await, "retry: 1000\n\n");
}

#[tokio::test]
async fn an_error_in_the_first_line_is_a_status() {
    let response = send(post(APPRAISE, LINES), "{").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(response).await["message"], "Malformed JSON in line 1");
    let response = send(post(APPRAISE, LINES), "x".repeat(101)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let message = &json(response).await["message"];
    assert_eq!(message, "Line 1 must not be longer than 100 bytes");
}

#[tokio::test]
async fn bytes_both_ways() {
    let (sender, body) = sent();
    let request = post("/v1/letters:capitalize", "text/plain");
    let request = request.body(body).expect("a request");
    feed(&sender, "once ");
    let response = transcoder().handle(request).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await, "ONCE ");
    feed(&sender, "upon");
    assert_eq!(next(&mut body).await, "UPON");
    let cut = std::io::Error::other("cut");
    sender.send(Err(cut)).expect("a reader");
    assert!(body.frame().await.expect("a frame").is_err());
}

#[test]
fn the_description_shows_lines_and_bytes() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let add = &description["paths"]["/v1/shelves/{shelf}/books:add"]["post"];
    let content = &add["requestBody"]["content"];
    let schema = &content[LINES]["schema"]["$ref"];
    assert_eq!(schema, "#/components/schemas/AddBookRequestNewBookInput");
    assert!(content.get("application/json").is_none());
    assert_eq!(
        add["responses"]["415"]["$ref"],
        "#/components/responses/UnsupportedLinesUnwrapped"
    );
    assert!(add["responses"]["413"].is_object());
    let scan = &description["paths"]["/v1/shelves/{name}/books/{name2}/scan"]["put"];
    assert!(scan["requestBody"]["content"]["*/*"].is_object());
    assert!(scan["responses"]["413"].is_object());
    let capitalize = &description["paths"]["/v1/letters:capitalize"]["post"];
    assert!(capitalize["responses"].get("413").is_none());
    let appraise = &description["paths"][APPRAISE]["post"];
    assert!(appraise["requestBody"]["content"][LINES].is_object());
    let about = appraise["requestBody"]["description"].as_str();
    assert!(about.expect("text").ends_with("at most 100 bytes."));
    assert!(appraise["responses"]["200"]["content"]["text/event-stream"].is_object());
}
