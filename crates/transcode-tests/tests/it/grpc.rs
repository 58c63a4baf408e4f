//! The stack as tonic calls it.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request as HttpRequest};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Request};
use transcode::grpc::Admission;
use transcode::policy;
use transcode_tests::pb::library::v1::library::METHODS;
use transcode_tests::pb::library::v1::library_server::Library as _;
use transcode_tests::pb::library::v1::library_server::LibraryServer;
use transcode_tests::pb::library::v1::{Book, DescribeShelfRequest, GetBookRequest, Shelf};
use transcode_tests::{ByScope, stack};

const LEND: &str = "/library.v1.Library/LendBook";

#[tokio::test]
async fn the_stack_asks_where_nothing_in_front_of_it_did() {
    let refused = stack()
        .lend_book(Request::new(GetBookRequest::default()))
        .await;
    assert_eq!(refused.expect_err("nobody").code(), Code::Unauthenticated);
    let mut request = Request::new(GetBookRequest::default());
    request
        .metadata_mut()
        .insert("authorization", "library:lend".parse().expect("a header"));
    assert!(stack().lend_book(request).await.is_ok());
}

#[tokio::test]
async fn what_was_let_in_for_one_rpc_is_let_in_for_no_other() {
    let mut admitted = HttpRequest::post("/library.v1.Library/GetBook")
        .body(())
        .expect("a request");
    policy::admit(&ByScope, METHODS, &mut admitted)
        .await
        .expect("open to all");
    let mut request = Request::new(GetBookRequest::default());
    *request.extensions_mut() = admitted.extensions().clone();
    let refused = stack().lend_book(request).await;
    assert_eq!(refused.expect_err("nobody").code(), Code::Unauthenticated);
}

#[tokio::test]
async fn admission_needs_no_message() {
    for (path, authorization, refused) in [
        (LEND, None, Some(Code::Unauthenticated)),
        (LEND, Some("library:read"), Some(Code::PermissionDenied)),
        (LEND, Some("library:lend"), None),
        ("/library.v1.Library/Nothing", None, None),
    ] {
        let mut request = HttpRequest::post(path);
        if let Some(scope) = authorization {
            request = request.header("authorization", scope);
        }
        let mut request = request.body(()).expect("a request");
        let result = policy::admit(&ByScope, METHODS, &mut request).await;
        assert_eq!(
            result.err().map(|status| status.code()),
            refused,
            "{path} {authorization:?}"
        );
    }
}

#[tokio::test]
async fn what_the_policy_adds_is_metadata_of_answers_and_errors() {
    let mut request = Request::new(GetBookRequest {
        name: "shelves/1/books/2".to_owned(),
    });
    request
        .metadata_mut()
        .insert("authorization", "library:lend".parse().expect("a header"));
    let answer = stack().lend_book(request).await.expect("lent");
    assert_eq!(
        answer.metadata().get("x-admitted").expect("metadata"),
        "LendBook"
    );
    let missing = GetBookRequest {
        name: "shelves/1/books/missing".to_owned(),
    };
    let error = stack().get_book(Request::new(missing)).await;
    let error = error.expect_err("no such book");
    assert_eq!(
        error.metadata().get("x-admitted").expect("metadata"),
        "GetBook"
    );
    assert_eq!(
        error.metadata().get("x-shelf").expect("metadata"),
        "oak",
        "beside the handler's"
    );
    let refused = stack()
        .lend_book(Request::new(GetBookRequest::default()))
        .await
        .expect_err("nobody");
    assert!(refused.metadata().get("x-admitted").is_none());
}

/// What a service answers to a message: head, bytes and trailers.
async fn answered(
    mut service: impl Service<
        HttpRequest<Body>,
        Response = http::Response<Body>,
        Error = std::convert::Infallible,
    >,
    rpc: &str,
    message: &impl Message,
) -> (HeaderMap, Bytes, HeaderMap) {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).expect("short"));
    message.encode(&mut frame).expect("room");
    let request = HttpRequest::post(format!("/library.v1.Library/{rpc}"))
        .header("content-type", "application/grpc")
        .header("authorization", "library:lend")
        .header("idempotency-key", "1")
        .body(Body::new(Full::new(frame.freeze())))
        .expect("a request");
    let Ok(answer) = service.call(request).await;
    let (parts, body) = answer.into_parts();
    // What follows the message in gRPC-Web is a part of the body: its length is not that of the message.
    assert_eq!(body.size_hint().exact().filter(|length| *length > 0), None);
    let body = body.collect().await.expect("a body");
    let trailers = body.trailers().cloned().unwrap_or_default();
    (parts.headers, body.to_bytes(), trailers)
}

#[tokio::test]
async fn an_answer_that_is_ready_made_is_the_same_as_any_other() {
    let plain = || LibraryServer::new(stack());
    let ready = || Admission::new(plain(), METHODS, Arc::new(ByScope));
    let shelf = DescribeShelfRequest {
        name: "shelves/1".to_owned(),
        lines: 2,
        line: "oak".to_owned(),
        expected: Vec::new(),
    };
    let expected = answered(plain(), "DescribeShelf", &shelf).await;
    assert_eq!(answered(ready(), "DescribeShelf", &shelf).await, expected);
    let (_, bytes, trailers) = expected;
    assert_eq!(trailers["grpc-status"], "0");
    let shelf = Shelf::decode(&bytes[5..]).expect("a shelf");
    assert_eq!(shelf.text, "oakoak");
    // What goes with a key is a message on its way, since it is kept.
    let book = GetBookRequest {
        name: "shelves/1/books/2".to_owned(),
    };
    let expected = answered(plain(), "LendBook", &book).await;
    assert_eq!(answered(ready(), "LendBook", &book).await, expected);
    let book = Book::decode(&expected.1[5..]).expect("a book");
    assert_eq!(book.loans, 1);
    // An error has no message.
    let missing = GetBookRequest {
        name: "shelves/1/books/missing".to_owned(),
    };
    let expected = answered(plain(), "GetBook", &missing).await;
    assert_eq!(answered(ready(), "GetBook", &missing).await, expected);
    assert_eq!(expected.0["grpc-status"], "5");
}
