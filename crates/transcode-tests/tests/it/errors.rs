//! What errors say beside their message.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt as _, pb};
use transcode_tests::transcoder;

async fn send(request: http::request::Builder) -> Response<Bytes> {
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let (parts, body) = transcoder().handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, bytes)
}

#[tokio::test]
async fn errors_have_the_details_their_handler_gave_them() {
    let mut details = ErrorDetails::new();
    details
        .set_error_info("LENT", "library", [("until".to_owned(), "May".to_owned())])
        .add_help_link("Opening hours", "https://example.org/hours")
        .add_precondition_failure_violation("LOAN", "books/2", "It is lent")
        .set_resource_info("book", "books/2", "", "")
        .set_localized_message("fr", "Prêté")
        .set_debug_info(vec!["stack".to_owned()], "secret");
    let status =
        tonic::Status::with_error_details(tonic::Code::FailedPrecondition, "Lent", details);
    // And one of no type that is known here.
    let mut origin = pb::Status::decode(status.details()).expect("a status");
    origin.details.push(prost_types::Any {
        type_url: "example.org/library.v1.Loan".to_owned(),
        value: vec![8, 1],
    });
    let bytes = bytes::Bytes::from(origin.encode_to_vec());
    let lend = move |_: &tonic::Request<_>| {
        let code = tonic::Code::FailedPrecondition;
        Err(tonic::Status::with_details(code, "Lent", bytes.clone()))
    };
    let request = |accept: &str| {
        Request::post("/v1/shelves/1/books/2:lend")
            .header(header::AUTHORIZATION, "library:lend")
            .header(header::ACCEPT, accept)
            .extension(transcode_tests::Lend(std::sync::Arc::new(lend.clone())))
    };
    let response = send(request("*/*")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let json: Value = serde_json::from_slice(response.body()).expect("JSON");
    let of = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
    let expected = json!({
        "code": 9,
        "reason": "LENT",
        "message": "Lent",
        "errorDetails": [
            {"@type": of("ErrorInfo"), "reason": "LENT", "domain": "library", "metadata": {"until": "May"}},
            {"@type": of("PreconditionFailure"), "violations": [
                {"type": "LOAN", "subject": "books/2", "description": "It is lent"},
            ]},
            {"@type": of("ResourceInfo"), "resourceType": "book", "resourceName": "books/2"},
            {"@type": of("Help"), "links": [{"description": "Opening hours", "url": "https://example.org/hours"}]},
            {"@type": of("LocalizedMessage"), "locale": "fr", "message": "Prêté"},
            {"@type": "example.org/library.v1.Loan"},
        ],
    });
    let sorted = |mut body: Value| {
        let list = body["errorDetails"].as_array_mut().expect("a list");
        list.sort_by_key(|detail| detail["@type"].to_string());
        body
    };
    assert_eq!(sorted(json), sorted(expected));
    // In binary as they are, but for what is secret.
    let response = send(request("application/x-protobuf")).await;
    let status = pb::Status::decode(response.body().clone()).expect("a status");
    assert_eq!(status.details.len(), origin.details.len() - 1);
    let debug = |detail: &prost_types::Any| detail.type_url.ends_with("DebugInfo");
    assert!(!status.details.iter().any(debug));
}
