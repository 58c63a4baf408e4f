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
