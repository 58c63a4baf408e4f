//! Streams over WebSocket, as a client of another's making sees them.

mod client;
mod handshake;
mod http2;
mod pressure;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_stream::iter;
use tokio_tungstenite::tungstenite::Message;
use tonic::Status;
use transcode::policy::BoxStream;
use transcode::rest::Settings;
use transcode_tests::files::Content;
use transcode_tests::pb::google::api::HttpBody;
use transcode_tests::pb::library::v1::{
    AddBookRequest, AddBooksResponse, AppraiseResponse, Book, WatchBooksRequest,
    WatchBooksResponse, add_book_request::NewBook,
};
use transcode_tests::{Watch, intake, settings, transcoder_of};

use client::Client;

const ADD: &str = "/v1/shelves/1/books:add?by=Ursula";
const APPRAISE: &str = "/v1/books:appraise";
const CAPITALIZE: &str = "/v1/letters:capitalize";
const SCAN: &str = "/v1/shelves/1/books/2/scan?dpi=300";
const VOICE: &str = "/v1/shelves/1/books/2/voice";
const WATCH: &str = "/v1/shelves/1/books:watch";
const WATCH_BODY: &str = "/v1/books:watch";

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server whose requests have something in their extensions.
async fn serve<T: Clone + Send + Sync + 'static>(settings: Settings, extension: T) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new()
        .fallback_service(transcoder_of(settings))
        .layer(axum::Extension(extension));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// The end of a call: its last message, where it failed, and the code and the reason of the closing frame.
type End = (Option<Value>, u16, String);

/// The end of a call that has come to its end.
fn done() -> End {
    (None, 1000, String::new())
}

type Messages = BoxStream<WatchBooksResponse>;

fn watch(open: impl Fn() -> Messages + Send + Sync + 'static) -> Watch {
    Watch(Arc::new(move |_: WatchBooksRequest| Ok(open())))
}

fn event(token: &str) -> WatchBooksResponse {
    let book = Book {
        title: format!("Book {token}"),
        ..Book::default()
    };
    WatchBooksResponse {
        book: Some(book),
        token: token.to_owned(),
    }
}

#[tokio::test]
async fn both_ways_at_once() {
    let mut client = Client::new(APPRAISE).await;
    client.text(r#"{"book": {"title": "a", "pages": 1}}"#).await;
    assert_eq!(client.json().await, json!({"title": "a", "worth": 1}));
    client.text(r#"{"book": {"title": "b"}}"#).await;
    assert_eq!(client.json().await, json!({"title": "b", "worth": 0}));
    client.end().await;
    assert_eq!(client.ended().await, done());
}

#[tokio::test]
async fn the_end_of_the_requests_is_not_that_of_the_answers() {
    let mut client = Client::new(ADD).await;
    client.text(r#"{"title": "a", "pages": 1}"#).await;
    client.text(r#"{"title": "b"}"#).await;
    client.end().await;
    // Path and query are in every message, and the answer comes when the handler has read them all.
    assert_eq!(
        client.json().await,
        json!({"shelf": "shelves/1", "added": ["a (1) Ursula", "b (0) Ursula"]})
    );
    assert_eq!(client.ended().await, done());
    let mut nothing = Client::new(ADD).await;
    nothing.end().await;
    assert_eq!(nothing.json().await, json!({"shelf": "", "added": []}));
    assert_eq!(nothing.ended().await, done());
}

#[tokio::test]
async fn a_handler_may_answer_before_the_end() {
    let mut client = Client::new(ADD).await;
    client.text(r#"{"title": "enough"}"#).await;
    assert_eq!(client.json().await["added"], json!([]));
    assert_eq!(client.ended().await, done());
}

#[tokio::test]
async fn a_request_of_path_and_query_needs_no_message() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let watch = Watch(Arc::new(move |request: WatchBooksRequest| {
        sender.send(request).expect("a listener");
        Ok(Box::pin(iter([Ok(event("a")), Ok(event("b"))])) as Messages)
    }));
    let address = serve(settings(), watch).await;
    let path = format!("{WATCH}?after=x");
    for (headers, after) in [(&[][..], "x"), (&[("last-event-id", "y")], "y")] {
        let client = Client::connect(&address, &path, headers).await;
        let mut client = client.expect("a handshake");
        let request = asked.recv().await.expect("a call");
        assert_eq!(request.shelf, "shelves/1");
        assert_eq!(request.after.as_deref(), Some(after));
        for token in ["a", "b"] {
            let message = client.json().await;
            assert_eq!(message["token"], token);
            assert_eq!(message["book"]["title"], format!("Book {token}"));
        }
        assert_eq!(client.ended().await, done());
    }
}

#[tokio::test]
async fn a_request_with_a_body_is_the_first_message() {
    let mut client = Client::of(WATCH_BODY, watch(|| Box::pin(iter([Ok(event("a"))])))).await;
    client.text(r#"{"shelf": "shelves/1"}"#).await;
    assert_eq!(client.json().await["title"], "Book a");
    assert_eq!(client.ended().await, done());

    let mut none = Client::new(WATCH_BODY).await;
    none.end().await;
    let (error, code, _) = none.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "The request has no message"
    );
    assert_eq!(code, 4003);

    let silent = || watch(|| Box::pin(tokio_stream::pending()));
    let mut two = Client::of(WATCH_BODY, silent()).await;
    two.text("{}").await;
    two.text("{}").await;
    let (error, code, reason) = two.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "This call takes one message"
    );
    assert_eq!(
        (code, &*reason),
        (1008, "INVALID_ARGUMENT: This call takes one message")
    );

    let mut any = Client::of(WATCH, silent()).await;
    any.text("{}").await;
    let (error, code, _) = any.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "This call takes no messages"
    );
    assert_eq!(code, 1008);

    let mut after = Client::of(WATCH, silent()).await;
    after.end().await;
    after.end().await;
    let (error, code, _) = after.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "Nothing may follow the end of the requests"
    );
    assert_eq!(code, 1008);
}

#[tokio::test]
async fn errors_are_the_last_message_and_a_code() {
    // Before there is any answer.
    let (error, code, reason) = Client::new(WATCH).await.ended().await;
    assert_eq!(
        error,
        Some(json!({"code": 5, "reason": "NOT_FOUND", "message": "No such shelf"}))
    );
    assert_eq!((code, &*reason), (4005, "NOT_FOUND: No such shelf"));
    // In the midst of it.
    let late = || Err(Status::unavailable("Not now"));
    let failing = watch(move || Box::pin(iter([Ok(event("a")), late(), Ok(event("b"))])));
    let mut client = Client::of(WATCH, failing).await;
    assert_eq!(client.json().await["token"], "a");
    let (error, code, _) = client.ended().await;
    assert_eq!(
        error,
        Some(json!({"code": 14, "reason": "UNAVAILABLE", "message": "Not now"}))
    );
    assert_eq!(code, 4014);
    // A fault of the service has a code of RFC 6455.
    let broken = watch(|| Box::pin(iter([Err(Status::internal("x".repeat(200)))])));
    let (_, code, reason) = Client::of(WATCH, broken).await.ended().await;
    assert_eq!(code, 1011);
    assert_eq!(reason, format!("INTERNAL: {}", "x".repeat(113)));
    // Of a request that is a stream, by its handler.
    let mut forbidden = Client::new(ADD).await;
    forbidden.text(r#"{"title": "forbidden"}"#).await;
    let (error, code, _) = forbidden.ended().await;
    assert_eq!(error.expect("an error")["message"], "Not that one");
    assert_eq!(code, 4009);
}

#[tokio::test]
async fn an_error_names_its_message() {
    for (text, code, message, details) in [
        (
            r#"{"title":}"#,
            1007,
            "Malformed JSON in message 2",
            json!({"body": "expected value at line 1 column 10"}),
        ),
        (
            r#"{"title":"","pages":"x","nope":1}"#,
            4003,
            "Invalid request parameters in message 2",
            json!({
                "pages": "Must be an integer", "nope": "Unknown field",
                "title": "Must not be empty",
            }),
        ),
        (
            "[]",
            4003,
            "Invalid request parameters in message 2",
            json!({"body": "Must be an object"}),
        ),
    ] {
        let mut client = Client::new(ADD).await;
        client.text(r#"{"title": "a"}"#).await;
        client.text(text).await;
        let (error, closed, _) = client.ended().await;
        let error = error.expect("an error");
        assert_eq!(error["message"], message);
        assert_eq!(error["details"], details, "{text}");
        assert_eq!(error["reason"], "INVALID_ARGUMENT");
        assert_eq!(closed, code, "{text}");
    }
}

#[tokio::test]
async fn a_binary_message_is_in_the_binary_form() {
    let book = |title: &str| NewBook {
        title: title.to_owned(),
        pages: 7,
    };
    // The body is a field, of which the message is.
    let mut client = Client::new(ADD).await;
    client
        .send(Message::Binary(book("a").encode_to_vec().into()))
        .await;
    client.text(r#"{"title": "b"}"#).await;
    client.end().await;
    let added = &client.json().await["added"];
    assert_eq!(*added, json!(["a (7) Ursula", "b (0) Ursula"]));
    // Rules hold for it too, and what can't be read is told.
    for (bytes, code, message) in [
        (
            book("").encode_to_vec(),
            4003,
            "Invalid request parameters in message 1",
        ),
        (vec![0xff], 1007, "Malformed protobuf message in message 1"),
    ] {
        let mut client = Client::new(ADD).await;
        client.send(Message::Binary(bytes.into())).await;
        let (error, closed, _) = client.ended().await;
        assert_eq!(error.expect("an error")["message"], message);
        assert_eq!(closed, code);
    }
    // No bytes are a message with nothing in it, and no end.
    let mut client = Client::new(APPRAISE).await;
    client.send(Message::Binary(Vec::new().into())).await;
    let (error, ..) = client.ended().await;
    assert_eq!(
        error.expect("an error")["details"],
        json!({"book": "Is required"})
    );
}

#[tokio::test]
async fn answers_come_in_the_form_that_was_asked_for() {
    let address = serve(settings(), ()).await;
    let protocol = [("sec-websocket-protocol", "transcode.protobuf")];
    let accept = [("accept", "application/x-protobuf")];
    for headers in [&protocol, &accept] {
        let client = Client::connect(&address, APPRAISE, headers).await;
        let mut client = client.expect("a handshake");
        let request = AddBookRequest {
            book: Some(NewBook {
                title: "a".to_owned(),
                pages: 3,
            }),
            ..AddBookRequest::default()
        };
        client
            .send(Message::Binary(request.encode_to_vec().into()))
            .await;
        let answer = AppraiseResponse::decode(&*client.bytes().await).expect("a message");
        assert_eq!((&*answer.title, answer.worth), ("a", 3));
        // An error is a text all the same, and so can't be taken for a message.
        client.text("{").await;
        let (error, code, _) = client.ended().await;
        assert_eq!(
            error.expect("an error")["message"],
            "Malformed JSON in message 2"
        );
        assert_eq!(code, 1007);
    }
    // The one answer of a call whose requests are a stream.
    let client = Client::connect(&address, ADD, &protocol).await;
    let mut client = client.expect("a handshake");
    client.text(r#"{"title": "a"}"#).await;
    client.end().await;
    let answer = AddBooksResponse::decode(&*client.bytes().await).expect("a message");
    assert_eq!(answer.added, ["a (0) Ursula"]);
    assert_eq!(client.ended().await, done());
}

#[tokio::test]
async fn bytes_are_binary_messages() {
    let mut client = Client::new(CAPITALIZE).await;
    for (given, expected) in [("once ", "ONCE "), ("upon", "UPON")] {
        client.send(Message::Binary(given.into())).await;
        assert_eq!(client.bytes().await, expected.as_bytes());
    }
    client.end().await;
    assert_eq!(client.ended().await, done());
    let mut client = Client::new(CAPITALIZE).await;
    client.text("once").await;
    let (error, code, _) = client.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "Message 1 must be binary: it is bytes as they are"
    );
    assert_eq!(code, 1003);

    let voice = Content::new(|| {
        let body = |data: &str| HttpBody {
            content_type: "audio/ogg".to_owned(),
            data: data.into(),
            ..HttpBody::default()
        };
        Ok(Box::pin(iter([
            Ok(body("once")),
            Ok(body("upon")),
            Err(Status::data_loss("The page is torn")),
        ])))
    });
    let mut client = Client::of(VOICE, voice).await;
    assert_eq!(client.bytes().await, b"once");
    assert_eq!(client.bytes().await, b"upon");
    let (error, code, _) = client.ended().await;
    assert_eq!(error.expect("an error")["message"], "The page is torn");
    assert_eq!(code, 1011);
}

#[tokio::test]
async fn bytes_come_in_pieces_up_to_a_limit() {
    let scan = [("authorization", "library:scan")];
    let settings = Settings {
        max_body_bytes: 70_000,
        ..settings()
    };
    let address = serve(settings, ()).await;
    let piece = |rest: &str| format!("shelves/1/books/2 {rest} 300");
    let typed = [scan[0], ("content-type", "image/png")];
    let client = Client::connect(&address, SCAN, &typed).await;
    let mut client = client.expect("a handshake");
    client.send(Message::Binary(vec![1; 70_000].into())).await;
    client.send(Message::Binary(vec![1; 30_000].into())).await;
    client.end().await;
    assert_eq!(
        client.json().await["pieces"],
        json!([piece("image/png 65536"), piece(" 4464"), piece(" 30000")])
    );
    assert_eq!(client.ended().await, done());
    // What stands in the path is told of nothing too.
    let client = Client::connect(&address, SCAN, &scan).await;
    let mut client = client.expect("a handshake");
    client.end().await;
    assert_eq!(client.json().await["pieces"], json!([piece(" 0")]));
    // One is as long as the settings say, and never less than a piece.
    let client = Client::connect(&address, SCAN, &scan).await;
    let mut client = client.expect("a handshake");
    client.send(Message::Binary(vec![1; 70_001].into())).await;
    let (error, code, _) = client.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "Message 1 must not be longer than 70000 bytes"
    );
    assert_eq!(code, 1009);
    let mut client = Client::new(CAPITALIZE).await;
    let piece = Message::Binary(vec![b'a'; 65536].into());
    client.send(piece).await;
    assert_eq!(client.bytes().await, vec![b'A'; 65536]);
    // All of them together are too many.
    let client = Client::connect(&address, SCAN, &scan).await;
    let mut client = client.expect("a handshake");
    client.send(Message::Binary(vec![1; 70_000].into())).await;
    client.send(Message::Binary(vec![1; 30_001].into())).await;
    let (error, code, _) = client.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "The request must not be larger than 100000 bytes"
    );
    assert_eq!(code, 1009);
}

#[tokio::test]
async fn a_message_has_a_longest_length() {
    let line = |length: usize| {
        let around = r#"{"title":""}"#.len();
        format!(r#"{{"title":"{}"}}"#, "x".repeat(length - around))
    };
    let mut client = Client::new(ADD).await;
    for _ in 0..3 {
        client.text(line(4096)).await;
    }
    client.end().await;
    assert_eq!(
        client.json().await["added"]
            .as_array()
            .expect("a list")
            .len(),
        3
    );
    let mut client = Client::new(ADD).await;
    client.text(line(100)).await;
    client.text(line(4097)).await;
    let (error, code, _) = client.ended().await;
    let error = error.expect("an error");
    assert_eq!(
        error["message"],
        "Message 2 must not be longer than 4096 bytes"
    );
    assert_eq!(error["code"], 3);
    assert_eq!(code, 1009);
    // Of this RPC another one, and nobody waits for a message of that.
    let mut client = Client::new(APPRAISE).await;
    client.text("x".repeat(101)).await;
    let (error, code, _) = client.ended().await;
    assert_eq!(
        error.expect("an error")["message"],
        "Message 1 must not be longer than 100 bytes"
    );
    assert_eq!(code, 1009);
    let silent = watch(|| Box::pin(tokio_stream::pending()));
    let mut client = Client::of(WATCH, silent).await;
    client.text("x".repeat(5000)).await;
    assert_eq!(client.ended().await.1, 1009);
}

#[tokio::test]
async fn pings_are_answered_while_the_handler_works() {
    let pace = Arc::new(tokio::sync::Semaphore::new(1));
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watch = intake::Watch {
        seen: Some(sender),
        pace: Some(pace.clone()),
    };
    let mut client = Client::of(ADD, watch).await;
    client.text(r#"{"title": "a"}"#).await;
    assert_eq!(seen.recv().await.as_deref(), Some("called"));
    assert_eq!(seen.recv().await.as_deref(), Some("a"));
    // It has taken the message, and asks for no other yet.
    client.send(Message::Ping("are you there".into())).await;
    assert_eq!(
        client.message().await,
        Message::Pong("are you there".into())
    );
    pace.add_permits(10);
    client.end().await;
    assert_eq!(client.json().await["added"], json!(["a (0) Ursula"]));
}

#[test]
fn the_description_shows_it() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let responses =
        |path: &str, method: &str| description["paths"][path][method]["responses"].clone();
    for (path, method) in [
        ("/v1/books:appraise", "post"),
        ("/v1/shelves/{shelf}/books:add", "post"),
        ("/v1/shelves/{shelf}/books:watch", "get"),
        ("/v1/shelves/{name}/books/{name2}/scan", "put"),
    ] {
        let responses = responses(path, method);
        let headers = &responses["101"]["headers"];
        assert!(headers["Sec-WebSocket-Protocol"].is_object(), "{path}");
        for status in ["403", "426"] {
            assert!(responses[status]["$ref"].is_string(), "{path} {status}");
        }
    }
    let unary = responses("/v1/echo", "get");
    assert!(unary.get("101").is_none() && unary.get("426").is_none());
}
