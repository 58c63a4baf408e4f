//! Calls that are made once, with answers that are kept in memory.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};
use transcode::MethodSpec;
use transcode::idempotency::{Answer, Answers, Kept, KeyedCall};
use transcode::policy::{BoxStream, Policy};
use transcode::rest::{BoxFuture, Settings, Transcoder};
use transcode_tests::pb::library::v1::library_server::Library as _;
use transcode_tests::pb::library::v1::{GetBookRequest, LibraryStack};
use transcode_tests::{ByScope, Echo, Lend};

const LEND: &str = "/v1/shelves/1/books/2:lend";

/// By caller, RPC and key: what was asked for, and the answer.
type Known = HashMap<(String, &'static str, String), (Vec<u8>, Answer)>;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Known>>);

impl Memory {
    fn look(&self, call: &KeyedCall) -> Option<Kept> {
        let known = self.0.lock().expect("the lock");
        let (request, answer) = known.get(&key(call))?;
        Some(if request == call.request() {
            Kept::Answer(answer.clone())
        } else {
            Kept::OtherRequest
        })
    }

    fn put(&self, call: &KeyedCall, answer: Answer) {
        let mut known = self.0.lock().expect("the lock");
        known.insert(key(call), (call.request().to_vec(), answer));
    }
}

fn key(call: &KeyedCall) -> (String, &'static str, String) {
    (
        call.caller().to_owned(),
        call.spec().path,
        call.key().to_owned(),
    )
}

impl Answers for Memory {
    fn find<'a>(&'a self, call: &'a KeyedCall) -> BoxFuture<'a, Result<Option<Kept>, Status>> {
        Box::pin(ready(Ok(self.look(call))))
    }

    fn keep<'a>(
        &'a self,
        call: &'a KeyedCall,
        answer: Answer,
    ) -> BoxFuture<'a, Result<Option<Kept>, Status>> {
        let known = self.look(call);
        if known.is_none() {
            self.put(call, answer);
        }
        Box::pin(ready(Ok(known)))
    }
}

/// As [`ByScope`], with answers that are kept for the one who calls.
struct Keeping(Memory);

impl Policy for Keeping {
    type Admission = ();

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut http::Extensions,
    ) -> Result<(), Status> {
        ByScope.admit(spec, metadata, extensions).await
    }

    async fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        (): (),
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        ByScope.run(spec, (), call).await
    }

    fn stream<T: Send + 'static>(
        &self,
        spec: &'static MethodSpec,
        (): (),
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        ByScope.stream(spec, (), messages)
    }

    fn answers(
        &self,
        _: &'static MethodSpec,
        _: &http::Extensions,
    ) -> Option<(&dyn Answers, String)> {
        Some((&self.0, "reader".to_owned()))
    }

    fn annotate(&self, spec: &'static MethodSpec, (): &(), headers: &mut HeaderMap) {
        ByScope.annotate(spec, &(), headers);
    }
}

/// The library, in which lending does what a test says.
struct Open {
    memory: Memory,
    stack: LibraryStack<Echo, Keeping>,
    lend: Lend,
}

impl Open {
    fn new(
        lend: impl Fn(&Request<GetBookRequest>, &Memory) -> Result<i32, Status> + Send + Sync + 'static,
    ) -> Self {
        let memory = Memory::default();
        let theirs = memory.clone();
        Self {
            stack: LibraryStack::new(Arc::new(Echo), Arc::new(Keeping(memory.clone()))),
            lend: Lend(Arc::new(move |request| lend(request, &theirs))),
            memory,
        }
    }

    async fn by_rest(&self, path: &str, keys: &[&str]) -> (StatusCode, HeaderMap, Value) {
        let mut request = http::Request::post(path).header("authorization", "library:lend");
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        let mut request = request.body(Full::from("")).expect("a request");
        request.extensions_mut().insert(self.lend.clone());
        let services = [Box::new(self.stack.clone()) as Box<dyn transcode::rest::Service>];
        let response: Response<_> = Transcoder::new(Settings::default(), services)
            .handle(request)
            .await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&body).expect("JSON");
        (parts.status, parts.headers, body)
    }

    async fn by_grpc(&self, name: &str, key: &str) -> Result<(i32, MetadataMap), Status> {
        let mut request = Request::new(GetBookRequest {
            name: name.to_owned(),
        });
        for (header, value) in [("authorization", "library:lend"), ("idempotency-key", key)] {
            request
                .metadata_mut()
                .insert(header, value.parse().expect("a header"));
        }
        request.extensions_mut().insert(self.lend.clone());
        let answer = self.stack.lend_book(request).await?;
        Ok((answer.get_ref().loans, answer.metadata().clone()))
    }
}

/// Counts how often a book was lent.
fn counting() -> impl Fn(&Request<GetBookRequest>, &Memory) -> Result<i32, Status> + Send + Sync {
    let loans = AtomicI32::new(0);
    move |_, _| Ok(loans.fetch_add(1, Ordering::Relaxed) + 1)
}

#[tokio::test]
async fn a_call_is_made_once_by_whatever_protocol_it_comes() {
    let library = Open::new(counting());
    let (status, made, first) = library.by_rest(LEND, &["key"]).await;
    assert_eq!((status, &first["loans"]), (StatusCode::CREATED, &json!(1)));
    assert!(!made.contains_key("idempotency-replayed"));
    let (status, headers, again) = library.by_rest(LEND, &["key"]).await;
    assert_eq!((status, &again), (StatusCode::CREATED, &first));
    assert_eq!(headers["idempotency-replayed"], "true");
    assert_eq!(headers["location"], made["location"]);
    let (loans, metadata) = library
        .by_grpc("shelves/1/books/2", "key")
        .await
        .expect("an answer");
    assert_eq!(loans, 1);
    assert_eq!(
        metadata.get("idempotency-replayed").expect("metadata"),
        "true"
    );
    // Another key, and none.
    assert_eq!(
        library
            .by_grpc("shelves/1/books/2", "other")
            .await
            .expect("lent")
            .0,
        2
    );
    assert_eq!(library.by_rest(LEND, &[]).await.2["loans"], 3);
    assert_eq!(library.by_rest(LEND, &[]).await.2["loans"], 4);
}

#[tokio::test]
async fn a_key_goes_with_one_request_and_is_a_key() {
    let library = Open::new(counting());
    library.by_rest(LEND, &["key"]).await;
    let other = library
        .by_grpc("shelves/1/books/3", "key")
        .await
        .expect_err("refused");
    assert_eq!(other.code(), Code::AlreadyExists);
    assert!(other.metadata().get("idempotency-replayed").is_none());
    for keys in [&["a b"][..], &[""], &["a", "b"]] {
        let (status, _, body) = library.by_rest(LEND, keys).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{keys:?}");
        let details = json!({"Idempotency-Key": "Must be 1 to 255 visible ASCII characters, once"});
        assert_eq!(body["details"], details, "{keys:?}");
    }
    assert_eq!(
        library.by_rest(LEND, &[]).await.2["loans"],
        2,
        "none of them lent"
    );
}

#[tokio::test]
async fn errors_are_kept_unless_they_may_pass() {
    for (code, kept) in [
        (Code::NotFound, true),
        (Code::FailedPrecondition, true),
        (Code::Unavailable, false),
        (Code::ResourceExhausted, false),
        (Code::Internal, false),
        (Code::Aborted, false),
    ] {
        let calls = AtomicI32::new(0);
        let library = Open::new(move |_, _| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            Err(Status::new(code, format!("No, for the {call}th time")))
        });
        let mut messages = Vec::new();
        for _ in 0..2 {
            let error = library
                .by_grpc("shelves/1/books/2", "key")
                .await
                .expect_err("an error");
            assert_eq!(error.code(), code);
            messages.push(error.message().to_owned());
        }
        assert_eq!(messages[0] == messages[1], kept, "{code:?}: {messages:?}");
    }
}

#[tokio::test]
async fn a_handler_may_keep_the_answer_with_its_change() {
    let library = Open::new(|request, memory| {
        let call = request
            .extensions()
            .get::<KeyedCall>()
            .expect("a call with a key");
        let book = transcode_tests::pb::library::v1::Book {
            loans: 7,
            ..Default::default()
        };
        memory.put(call, Answer::success(&book));
        call.set_kept();
        Ok(7)
    });
    let name = "shelves/1/books/2";
    assert_eq!(library.by_grpc(name, "key").await.expect("lent").0, 7);
    assert_eq!(library.memory.0.lock().expect("the lock").len(), 1);
    let (_, metadata) = library.by_grpc(name, "key").await.expect("an answer");
    assert_eq!(
        metadata.get("idempotency-replayed").expect("metadata"),
        "true"
    );
}

#[tokio::test]
async fn the_answer_that_was_kept_first_is_that_of_all() {
    // While the handler is at work, another call with the key comes to its end.
    for aborted in [false, true] {
        let library = Open::new(move |request, memory| {
            let call = request
                .extensions()
                .get::<KeyedCall>()
                .expect("a call with a key");
            let book = transcode_tests::pb::library::v1::Book {
                loans: 1,
                ..Default::default()
            };
            memory.put(call, Answer::success(&book));
            if aborted {
                Err(Status::aborted("Another one was faster"))
            } else {
                Ok(2)
            }
        });
        let (loans, metadata) = library
            .by_grpc("shelves/1/books/2", "key")
            .await
            .expect("an answer");
        assert_eq!(loans, 1);
        assert_eq!(
            metadata.get("idempotency-replayed").expect("metadata"),
            "true"
        );
    }
}
