//! The stack as tonic calls it.

use http::Request as HttpRequest;
use tonic::{Code, Request};
use transcode::policy;
use transcode_tests::pb::library::v1::GetBookRequest;
use transcode_tests::pb::library::v1::library::METHODS;
use transcode_tests::pb::library::v1::library_server::Library as _;
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
