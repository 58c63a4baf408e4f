//! Answers that are streams, over HTTP and as tonic calls them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::connection::read_until;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{StreamExt as _, iter, pending};
use tonic::{Code, Status};
use transcode::policy::BoxStream;
use transcode::rest::Body;
use transcode_tests::pb::library::v1::library_server::Library as _;
use transcode_tests::pb::library::v1::{
    Book, GetBookRequest, WatchBooksRequest, WatchBooksResponse,
};
use transcode_tests::{Watch, stack, transcoder, transcoder_with};

const WATCH: &str = "/v1/shelves/1/books:watch";

type Messages = BoxStream<WatchBooksResponse>;

/// A message about a book.
fn message(token: &str) -> WatchBooksResponse {
    WatchBooksResponse {
        book: Some(Book {
            title: format!("Book {token}"),
            ..Book::default()
        }),
        token: token.to_owned(),
    }
}

/// The frame of that message.
fn frame(token: &str) -> String {
    let book = format!(r#"{{"name":"","title":"Book {token}","loans":0,"labels":{{}}}}"#);
    format!("id: {token}\ndata: {{\"book\":{book},\"token\":\"{token}\"}}\n\n")
}

/// A watch that answers whatever it is asked.
fn watch(answer: impl Fn() -> Result<Messages, Status> + Send + Sync + 'static) -> Watch {
    Watch(Arc::new(move |_| answer()))
}

fn messages(tokens: &'static [&'static str]) -> Watch {
    watch(|| {
        Ok(Box::pin(iter(
            tokens.iter().map(|token| Ok(message(token))),
        )))
    })
}

fn request(uri: &str, watch: Watch) -> http::request::Builder {
    Request::get(uri).extension(watch)
}

async fn send(request: http::request::Builder) -> Response<Body> {
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    transcoder().handle(request).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a body");
    String::from_utf8(bytes.to_bytes().to_vec()).expect("text")
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

/// The next frame of a body as text.
async fn next(body: &mut Body) -> String {
    let frame = body.frame().await.expect("a frame").expect("no error");
    let bytes = frame.into_data().expect("data");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn each_message_is_an_event_with_its_id() {
    let response = send(request(WATCH, messages(&["a", "b"]))).await;
    assert_eq!(response.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    assert_eq!(response.headers()["x-admitted"], "WatchBooks");
    let expected = format!("retry: 1000\n\n{}{}", frame("a"), frame("b"));
    assert_eq!(text(response).await, expected);
}

#[tokio::test]
async fn an_id_that_is_none_is_left_out() {
    for token in ["", "a\nb", "a\0"] {
        let watch = watch(move || Ok(Box::pin(iter([Ok(message(token))]))));
        let text = text(send(request(WATCH, watch)).await).await;
        assert!(!text.contains("id: "), "{text}");
        assert_eq!(text.matches("data: ").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn lines_of_json_for_those_who_ask() {
    let failing = watch(|| {
        let late = Err(Status::unavailable("Not now"));
        Ok(Box::pin(iter([Ok(message("a")), late])))
    });
    let request = request(WATCH, failing).header(header::ACCEPT, "application/x-ndjson");
    let response = send(request).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = text(response).await;
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["token"], "a");
    assert_eq!(
        lines[1],
        json!({"error": {"code": 14, "reason": "UNAVAILABLE", "message": "Not now"}})
    );
    assert_eq!(lines.len(), 2);
}

/// The answer as an array, and how its stream ended for one who reads it as JSON.
async fn array(watch: Watch) -> (String, Value) {
    let request = request(WATCH, watch).header(header::ACCEPT, "application/json");
    let response = send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["vary"], "accept");
    assert!(!response.headers().contains_key("content-length"));
    let text = text(response).await;
    let json = serde_json::from_str(&text).expect("JSON");
    (text, json)
}

#[tokio::test]
async fn an_array_for_those_who_take_json_only() {
    let (text, elements) = array(messages(&["a", "b"])).await;
    let tokens: Vec<_> = elements.as_array().expect("an array").iter().collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(
        (&tokens[0]["token"], &tokens[1]["token"]),
        (&json!("a"), &json!("b"))
    );
    assert!(
        text.starts_with("[{") && text.contains("},{") && text.ends_with("}]"),
        "{text}"
    );
    assert_eq!(array(messages(&[])).await.0, "[]");
    // A message that came later is the first all the same.
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let later = watch(move || {
        let receiver = receiver.lock().expect("a lock").take().expect("one call");
        Ok(Box::pin(UnboundedReceiverStream::new(receiver)))
    });
    let request = request(WATCH, later).header(header::ACCEPT, "application/json");
    let mut body = send(request).await.into_body();
    assert_eq!(next(&mut body).await, "[");
    for (token, before) in [("a", "{"), ("b", ",{")] {
        sender.send(Ok(message(token))).expect("a stream");
        assert!(next(&mut body).await.starts_with(before));
    }
    drop(sender);
    assert_eq!(next(&mut body).await, "]");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_error_is_the_last_element() {
    let failing = watch(|| {
        let late = Err(Status::unavailable("Not now"));
        Ok(Box::pin(iter([Ok(message("a")), late, Ok(message("b"))])))
    });
    let (_, elements) = array(failing).await;
    assert_eq!(elements[0]["token"], "a");
    let error = json!({"code": 14, "reason": "UNAVAILABLE", "message": "Not now"});
    assert_eq!(elements[1], json!({"error": error}));
    assert_eq!(elements[2], Value::Null);
    // And the first, where it was long in coming.
    let late = watch(|| {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender
                .send(Err(Status::unavailable("Not now")))
                .expect("a stream");
        });
        Ok(Box::pin(UnboundedReceiverStream::new(receiver)))
    });
    let (_, elements) = array(late).await;
    assert_eq!(elements, json!([{"error": error}]));
    // What is an error at once is a status.
    let first = watch(|| Ok(Box::pin(iter([Err(Status::out_of_range("Too old"))]))));
    let request = request(WATCH, first).header(header::ACCEPT, "application/json");
    assert_eq!(send(request).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_field_of_the_messages_and_a_body() {
    let request = Request::post("/v1/books:watch")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(messages(&["a"]))
        .body(Full::from(r#"{"shelf": "shelves/1"}"#))
        .expect("a request");
    let text = text(transcoder().handle(request).await).await;
    assert!(
        text.contains("id: a\ndata: {\"name\":\"\",\"title\":\"Book a\""),
        "{text}"
    );
}

#[tokio::test]
async fn an_error_before_the_first_message_is_a_status() {
    let nothing = send(Request::get(WATCH)).await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    assert_eq!(nothing.headers()["content-type"], "application/json");
    assert_eq!(
        json(nothing).await,
        json!({"code": 5, "reason": "NOT_FOUND", "message": "No such shelf"})
    );
    // A stream that has nothing but an error, and has it at once, says the same.
    let first = watch(|| Ok(Box::pin(iter([Err(Status::out_of_range("Too old"))]))));
    let response = send(request(WATCH, first)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json(response).await["reason"], "OUT_OF_RANGE");
}

#[tokio::test]
async fn an_error_after_that_is_the_last_event() {
    let failing = watch(|| {
        let late = Err(Status::unavailable("Not now"));
        Ok(Box::pin(iter([Ok(message("a")), late, Ok(message("b"))])))
    });
    let response = send(request(WATCH, failing)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let error =
        "event: error\ndata: {\"code\":14,\"reason\":\"UNAVAILABLE\",\"message\":\"Not now\"}\n\n";
    let expected = format!("retry: 1000\n\n{}{error}", frame("a"));
    assert_eq!(text(response).await, expected);
}

/// What a handler gets as `after`.
async fn after(request: http::request::Builder) -> Option<String> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let watch = Watch(Arc::new(move |request: WatchBooksRequest| {
        sender.send(request.after).expect("a listener");
        Ok(Box::pin(iter([])) as Messages)
    }));
    let response = send(request.extension(watch)).await;
    assert_eq!(response.status(), StatusCode::OK);
    receiver.recv().await.expect("a call")
}

#[tokio::test]
async fn a_reader_that_comes_back_says_where_it_was() {
    let get = |query: &str| Request::get(format!("{WATCH}{query}"));
    assert_eq!(after(get("")).await, None);
    assert_eq!(after(get("?after=q")).await.as_deref(), Some("q"));
    let header = |query: &str, id: &str| get(query).header("last-event-id", id);
    assert_eq!(after(header("", "h")).await.as_deref(), Some("h"));
    assert_eq!(after(header("?after=q", "h")).await.as_deref(), Some("h"));
    assert_eq!(after(header("?after=q", "")).await.as_deref(), Some("q"));
    // Rules hold for it as for any other field.
    let long = header("?after=q", "123456789012345678901").extension(messages(&[]));
    let response = send(long).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let expected = json!({"after": "Must be at most 20 characters long"});
    assert_eq!(json(response).await["details"], expected);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_before_any_stream() {
    let response = send(request(
        &format!("{WATCH}?nope=1&after=123456789012345678901"),
        messages(&["a"]),
    ))
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        json(response).await["details"],
        json!({"nope": "Unknown parameter", "after": "Must be at most 20 characters long"})
    );
    let html = request(WATCH, messages(&["a"])).header(header::ACCEPT, "text/html");
    let response = send(html).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(json(response).await["reason"], "INVALID_ARGUMENT");
    // A stranger is not told what the answer would be.
    let count = Request::get("/v1/shelves/1/books/2:count").header(header::ACCEPT, "text/html");
    assert_eq!(send(count).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn methods() {
    let with = |method: Method| request(WATCH, messages(&["a"])).method(method);
    let head = send(with(Method::HEAD)).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    assert_eq!(text(head).await, "");
    let put = send(with(Method::PUT)).await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(put.headers()[header::ALLOW], "GET, HEAD, OPTIONS");
    let options = send(with(Method::OPTIONS)).await;
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert_eq!(options.headers()[header::ALLOW], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let transcoder = transcoder_with(Duration::from_millis(20));
    for (accept, open, beat) in [
        ("text/event-stream", "retry: 1000\n\n", ": \n\n"),
        ("application/x-ndjson", "\n", "\n"),
        ("application/json", "[", "\n"),
    ] {
        let request = request(WATCH, watch(|| Ok(Box::pin(pending()))))
            .header(header::ACCEPT, accept)
            .body(Full::<Bytes>::default());
        let response = transcoder.handle(request.expect("a request")).await;
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await, open);
        assert_eq!(next(&mut body).await, beat);
        assert_eq!(next(&mut body).await, beat);
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_handler_down() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endless = watch(move || {
        let counter = counter.clone();
        let tokens = std::iter::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(message("a"))
        });
        Ok(Box::pin(iter(tokens)))
    });
    let mut body = send(request(WATCH, endless)).await.into_body();
    for read in 1..100 {
        next(&mut body).await;
        // Nothing is made that was not asked for.
        assert_eq!(asked.load(Ordering::Relaxed), read);
    }
}

/// Says when it is dropped.
struct Guarded {
    messages: Messages,
    _dropped: oneshot::Sender<()>,
}

impl tokio_stream::Stream for Guarded {
    type Item = Result<WatchBooksResponse, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.messages.as_mut().poll_next(context)
    }
}

#[tokio::test]
async fn a_connection_opens_at_once_and_its_end_ends_the_handlers_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (dropped, gone) = oneshot::channel();
    let (sender, receiver) = mpsc::unbounded_channel();
    let guarded = Guarded {
        messages: Box::pin(UnboundedReceiverStream::new(receiver)),
        _dropped: dropped,
    };
    let guarded = std::sync::Mutex::new(Some(guarded));
    let watch = watch(move || {
        let guarded = guarded.lock().expect("a lock").take();
        Ok(Box::pin(guarded.expect("one call")))
    });
    let router = axum::Router::new()
        .fallback_service(transcoder())
        .layer(axum::Extension(watch));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET {WATCH} HTTP/1.1\r\nhost: x\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("sent");
    // Before there is any message.
    let opened = read_until(&mut connection, "retry: 1000\n\n").await;
    assert!(opened.starts_with("HTTP/1.1 200 OK\r\n"), "{opened}");
    sender.send(Ok(message("a"))).expect("a stream");
    read_until(&mut connection, &frame("a")).await;
    drop(connection);
    assert!(gone.await.is_err(), "dropped without a word");
    assert!(sender.is_closed());
}

#[tokio::test]
async fn tonic_gets_the_same_behind_the_same_policy() {
    let mut request = tonic::Request::new(WatchBooksRequest::default());
    request.extensions_mut().insert(messages(&["a", "b"]));
    let answer = stack().watch_books(request).await.expect("a stream");
    let tokens: Vec<_> = answer
        .into_inner()
        .map(|message| message.expect("a message").token)
        .collect()
        .await;
    assert_eq!(tokens, ["a", "b"]);
    let code = |result: Result<_, Status>| result.err().map(|status| status.code());
    let mut invalid = tonic::Request::new(WatchBooksRequest {
        after: Some("123456789012345678901".to_owned()),
        ..WatchBooksRequest::default()
    });
    invalid.extensions_mut().insert(messages(&["a"]));
    let refused = stack().watch_books(invalid).await.map(|_| ());
    assert_eq!(code(refused), Some(Code::InvalidArgument));
    let stranger = tonic::Request::new(GetBookRequest::default());
    let refused = stack().count_loans(stranger).await.map(|_| ());
    assert_eq!(code(refused), Some(Code::Unauthenticated));
    let mut known = tonic::Request::new(GetBookRequest::default());
    let scope = "library:count".parse().expect("a header");
    known.metadata_mut().insert("authorization", scope);
    let called = stack().count_loans(known).await.map(|_| ());
    assert_eq!(code(called), Some(Code::Unimplemented));
}

#[test]
fn the_description_shows_a_stream() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let operation = &description["paths"]["/v1/shelves/{shelf}/books:watch"]["get"];
    let content = &operation["responses"]["200"]["content"];
    for media in ["text/event-stream", "application/x-ndjson"] {
        let schema = &content[media]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/WatchBooksResponse", "{media}");
    }
    let items = &content["application/json"]["schema"]["items"]["anyOf"];
    assert_eq!(items[0]["$ref"], "#/components/schemas/WatchBooksResponse");
    assert_eq!(items[1]["$ref"], "#/components/schemas/StreamFailure");
    let parameters = operation["parameters"].as_array().expect("parameters");
    let header = parameters
        .iter()
        .find(|parameter| parameter["name"] == "Last-Event-ID");
    assert_eq!(header.expect("a header")["in"], "header");
    assert!(operation["responses"]["406"].is_object());
}
