//! Streams in envelopes.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tokio_stream::{StreamExt as _, iter};
use tonic::Status;
use transcode::policy::BoxStream;
use transcode_tests::Watch;
use transcode_tests::intake::Watch as Seen;
use transcode_tests::pb::library::v1::add_book_request::NewBook;
use transcode_tests::pb::library::v1::{AddBookRequest, AppraiseResponse, WatchBooksResponse};

use super::*;

type Messages = BoxStream<WatchBooksResponse>;

fn message(token: &str) -> WatchBooksResponse {
    WatchBooksResponse {
        token: token.to_owned(),
        ..WatchBooksResponse::default()
    }
}

/// A server whose watch answers with what is made for it.
async fn watching(
    version: Version,
    answer: impl Fn() -> Result<Messages, Status> + Send + Sync + 'static,
) -> Server {
    let watch = Watch(Arc::new(move |_| answer()));
    Server::with(connecting(), version, move |extensions| {
        extensions.insert(watch.clone());
    })
    .await
}

fn book(title: &str) -> AddBookRequest {
    AddBookRequest {
        book: Some(NewBook {
            title: title.to_owned(),
            pages: 7,
        }),
        ..AddBookRequest::default()
    }
}

/// A body that is sent piece by piece.
fn sent() -> (mpsc::Sender<Vec<u8>>, Body) {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>(1);
    let frames = ReceiverStream::new(receiver)
        .map(|bytes| Ok::<_, Infallible>(Frame::data(Bytes::from(bytes))));
    (sender, Body::new(StreamBody::new(frames)))
}

/// The next data of a body.
async fn next(body: &mut Incoming) -> Bytes {
    let frame = timeout(PATIENCE, body.frame()).await.expect("in time");
    let frame = frame.expect("a frame").expect("no error");
    frame.into_data().expect("data")
}

#[tokio::test]
async fn an_answer_that_is_a_stream_ends_with_how_it_ended() {
    for version in VERSIONS {
        let server = watching(version, || {
            Ok(Box::pin(iter(["a", "b"].map(|token| Ok(message(token))))))
        })
        .await;
        let request = post(WATCH, STREAM_JSON).header("x-ask", "a");
        let answer = server.send(request, envelope(0, "{}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], STREAM_JSON);
        assert_eq!(answer.headers()["x-admitted"], "WatchBooks");
        let (messages, end) = read(&answer);
        assert_eq!(messages, [json!({"token": "a"}), json!({"token": "b"})]);
        assert_eq!(end, json!({}));
        let answer = server
            .send(post(WATCH, STREAM_PROTO), envelope(0, ""))
            .await;
        assert_eq!(answer.headers()["content-type"], STREAM_PROTO);
        let found = envelopes(answer.body());
        let first = WatchBooksResponse::decode(&*found[0].1).expect("a message");
        assert_eq!((found.len(), first), (3, message("a")));
        assert_eq!(found[2], (2, Bytes::from("{}")));
    }
}

#[tokio::test]
async fn errors_are_in_the_end_whenever_they_come() {
    for version in VERSIONS {
        let late = watching(version, || {
            let mut late = Status::unavailable("Not now");
            late.metadata_mut()
                .insert("x-why", "sleep".parse().expect("a value"));
            Ok(Box::pin(iter([
                Ok(message("a")),
                Err(late),
                Ok(message("b")),
            ])))
        })
        .await;
        let answer = late.send(post(WATCH, STREAM_JSON), envelope(0, "{}")).await;
        let (messages, end) = read(&answer);
        assert_eq!(messages, [json!({"token": "a"})]);
        let error = json!({"code": "unavailable", "message": "Not now"});
        assert_eq!(
            end,
            json!({"error": error, "metadata": {"x-why": ["sleep"]}})
        );

        let early = Server::start(version).await;
        let answer = early
            .send(post(WATCH, STREAM_JSON), envelope(0, "{}"))
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        let (messages, end) = read(&answer);
        assert!(messages.is_empty());
        assert_eq!(
            end["error"],
            json!({"code": "not_found", "message": "No such shelf"})
        );
        // A stranger is told the same way.
        let count = post("/library.v1.Library/CountLoans", STREAM_JSON);
        let answer = early.send(count, envelope(0, "no JSON")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(read(&answer).1["error"]["code"], "unauthenticated");
    }
}

#[tokio::test]
async fn a_request_that_is_a_stream_has_one_answer() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let body: Vec<u8> = ["Dune", "Ubik"]
            .iter()
            .flat_map(|title| envelope(0, book(title).encode_to_vec()))
            .collect();
        let answer = server.send(post(ADD, STREAM_PROTO), body).await;
        let found = envelopes(answer.body());
        assert_eq!(found.len(), 2);
        let json_body: Vec<u8> = ["Dune", "Ubik"]
            .iter()
            .flat_map(|title| {
                envelope(0, json!({"book": {"title": title, "pages": 7}}).to_string())
            })
            .collect();
        let answer = server.send(post(ADD, STREAM_JSON), json_body).await;
        let (messages, end) = read(&answer);
        assert_eq!(messages[0]["added"], json!(["Dune (7) ", "Ubik (7) "]));
        assert_eq!(end, json!({}));
        // None is a stream as well.
        let (messages, _) = read(&server.send(post(ADD, STREAM_JSON), "").await);
        assert_eq!(messages[0]["added"], json!([]));
        // The handler's error, and one that it passes on.
        let body = envelope(0, book("forbidden").encode_to_vec());
        let (messages, end) = read(&server.send(post(ADD, STREAM_PROTO), body).await);
        assert!(messages.is_empty());
        assert_eq!(end["error"]["code"], "failed_precondition");
        let body = [
            envelope(0, r#"{"book": {"title": "a"}}"#),
            envelope(0, "{}"),
        ]
        .concat();
        let (_, end) = read(&server.send(post(ADD, STREAM_JSON), body).await);
        assert_eq!(
            end["error"]["message"],
            "Invalid request parameters in message 2"
        );
    }
}

#[tokio::test]
async fn both_ways_at_once() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let (sender, body) = sent();
        let first = envelope(0, book("Dune").encode_to_vec());
        sender.send(first).await.expect("a body");
        let answer = server.open(post(APPRAISE, STREAM_PROTO), body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let appraised = |title: &str| {
            let message = AppraiseResponse {
                title: title.to_owned(),
                worth: 7,
            };
            envelope(0, message.encode_to_vec())
        };
        // Each is answered before the next is sent.
        assert_eq!(next(&mut body).await, appraised("Dune"));
        let second = envelope(0, book("Ubik").encode_to_vec());
        sender.send(second).await.expect("a body");
        assert_eq!(next(&mut body).await, appraised("Ubik"));
        drop(sender);
        assert_eq!(next(&mut body).await, envelope(2, "{}"));
    }
}

#[tokio::test]
async fn envelopes_need_not_come_whole() {
    let server = Server::start(Version::HTTP_2).await;
    let whole = ["a", "b", "c"]
        .map(|title| envelope(0, book(title).encode_to_vec()))
        .concat();
    for size in [1, 3, 7, 20] {
        let (sender, body) = sent();
        let pieces: Vec<_> = whole.chunks(size).map(<[u8]>::to_vec).collect();
        tokio::spawn(async move {
            for piece in pieces {
                sender.send(piece).await.expect("a body");
            }
        });
        let answer = server.open(post(APPRAISE, STREAM_PROTO), body).await;
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert_eq!(envelopes(&bytes).len(), 4, "by {size}");
    }
}

#[tokio::test]
async fn nothing_is_read_that_the_handler_does_not_ask_for() {
    let (seen, mut told) = mpsc::unbounded_channel();
    let pace = Arc::new(Semaphore::new(0));
    let watch = Seen {
        seen: Some(seen),
        pace: Some(pace.clone()),
    };
    let server = Server::with(connecting(), Version::HTTP_2, move |extensions| {
        extensions.insert(watch.clone());
    })
    .await;
    let (sender, body) = sent();
    let call = tokio::spawn(async move { server.open(post(ADD, STREAM_PROTO), body).await });
    // The second one is none: told when it is asked for, and not before.
    sender
        .send(envelope(0, book("a").encode_to_vec()))
        .await
        .expect("a body");
    sender.send(envelope(0, "\x0a")).await.expect("a body");
    assert_eq!(told.recv().await.as_deref(), Some("called"));
    pace.add_permits(1);
    assert_eq!(told.recv().await.as_deref(), Some("a"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(told.try_recv().is_err() && !call.is_finished());
    pace.add_permits(1);
    assert_eq!(told.recv().await.as_deref(), Some("gone"));
    let answer = call.await.expect("no panic");
    let bytes = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let end: Value = serde_json::from_slice(&envelopes(&bytes)[0].1).expect("JSON");
    assert_eq!(end["error"]["message"], "Malformed protobuf in message 2");
}

#[tokio::test]
async fn a_slow_reader_slows_the_handler_down_and_one_who_goes_ends_it() {
    for version in VERSIONS {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, stopped) = (asked.clone(), Arc::new(Semaphore::new(0)));
        let ended = stopped.clone();
        let server = watching(version, move || {
            let (counter, guard) = (counter.clone(), Ends(ended.clone()));
            let large = "x".repeat(64 << 10);
            Ok(Box::pin(iter(std::iter::repeat_with(move || {
                let _ = &guard;
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(message(&large))
            }))))
        })
        .await;
        let body = Body::new(Full::from(envelope(0, "{}")));
        let mut answer = server
            .open(post(WATCH, STREAM_JSON), body)
            .await
            .into_body();
        next(&mut answer).await;
        // Until nothing more fits on the way.
        let mut before = usize::MAX;
        while before != asked.load(Ordering::Relaxed) {
            before = asked.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(
            before < 1000,
            "{before} messages of 64 KiB are on their way"
        );
        drop(answer);
        drop(server);
        let gone = timeout(PATIENCE, stopped.acquire()).await.expect("in time");
        gone.expect("open").forget();
    }
}

/// Says when it is dropped.
struct Ends(Arc<Semaphore>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[tokio::test]
async fn an_answer_opens_before_its_first_message() {
    for version in VERSIONS {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Mutex::new(Some(receiver));
        let server = watching(version, move || {
            let receiver = receiver.lock().expect("a lock").take().expect("one call");
            Ok(Box::pin(UnboundedReceiverStream::new(receiver)))
        })
        .await;
        let body = Body::new(Full::from(envelope(0, "{}")));
        let answer = server.open(post(WATCH, STREAM_JSON), body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        sender.send(Ok(message("a"))).expect("a stream");
        drop(sender);
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert_eq!(envelopes(&bytes).len(), 2);
    }
}
