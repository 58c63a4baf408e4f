//! Messages in protobuf's binary form over REST.

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use prost_types::FieldMask;
use serde_json::{Value, json};
use tonic_types::{StatusExt as _, pb as rpc};
use transcode_tests::pb::library::v1::echo_request::{Choice, Nested};
use transcode_tests::pb::library::v1::{
    Author, Book, EchoRequest, ListBooksRequest, Shelf, UpdateBookRequest,
};
use transcode_tests::{OPENAPI_JSON, transcoder};

const BINARY: &str = "application/x-protobuf";

async fn send(request: http::request::Builder, body: Vec<u8>) -> Response<Vec<u8>> {
    let request = request.body(Full::from(body)).expect("a request");
    let (parts, body) = transcoder().handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, bytes.to_vec())
}

/// A request with a message, for a binary answer.
fn with(request: http::request::Builder) -> http::request::Builder {
    request
        .header(header::CONTENT_TYPE, BINARY)
        .header(header::ACCEPT, BINARY)
}

fn message<M: Message + Default>(response: &Response<Vec<u8>>) -> M {
    assert_eq!(response.headers()[header::CONTENT_TYPE], BINARY);
    M::decode(&**response.body()).expect("a message")
}

/// The error of an answer as gRPC would say it.
fn error(response: &Response<Vec<u8>>) -> tonic::Status {
    let status: rpc::Status = message(response);
    let code = tonic::Code::from_i32(status.code);
    tonic::Status::with_details(code, status.message, response.body().clone().into())
}

/// The fields that an error names.
fn fields(response: &Response<Vec<u8>>) -> Vec<(String, String)> {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let violations = error(response).get_details_bad_request();
    let violations = violations.expect("a bad request").field_violations;
    violations
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect()
}

fn pair(field: &str, description: &str) -> (String, String) {
    (field.to_owned(), description.to_owned())
}

#[tokio::test]
async fn a_message_comes_and_goes_in_binary() {
    let echo = EchoRequest {
        double_value: -0.0,
        int64_value: i64::MIN,
        text: "ünï".to_owned(),
        data: vec![0, 255],
        nested: Some(Nested {
            number: 7,
            ..Nested::default()
        }),
        tags: vec!["ab".to_owned()],
        maybe: Some(0),
        choice: Some(Choice::Word("w".to_owned())),
        ..EchoRequest::default()
    };
    for media in [
        BINARY,
        "application/protobuf",
        "application/vnd.google.protobuf",
    ] {
        let request = Request::post("/v1/echo")
            .header(header::CONTENT_TYPE, media)
            .header(header::ACCEPT, media);
        let response = send(request, echo.encode_to_vec()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], media);
        assert_eq!(response.headers()[header::VARY], "accept");
        assert_eq!(EchoRequest::decode(&**response.body()), Ok(echo.clone()));
    }
    // One of both: the forms of request and answer are told apart.
    let request = Request::post("/v1/echo").header(header::CONTENT_TYPE, BINARY);
    let response = send(request, echo.encode_to_vec()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(body["int64Value"], i64::MIN.to_string());
    let request = Request::post("/v1/echo")
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::ACCEPT,
            "application/json;q=0.5, application/x-protobuf",
        );
    let response = send(request, br#"{"text": "x"}"#.to_vec()).await;
    assert_eq!(message::<EchoRequest>(&response).text, "x");
    // No bytes are a message as well.
    let response = send(with(Request::post("/v1/echo")), Vec::new()).await;
    assert_eq!(message::<EchoRequest>(&response), EchoRequest::default());
}

#[tokio::test]
async fn json_is_what_callers_get_who_like_both() {
    for accept in [
        "*/*",
        "application/json",
        "application/x-protobuf, */*",
        "text/html, */*;q=0.1",
    ] {
        let request = Request::get("/v1/shelves/1/books/2").header(header::ACCEPT, accept);
        let response = send(request, Vec::new()).await;
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[header::VARY], "accept");
    }
    let request = Request::get("/v1/shelves/1/books/2").header(header::ACCEPT, "text/html");
    let response = send(request, Vec::new()).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()["x-admitted"], "GetBook");
}

#[tokio::test]
async fn rules_hold_and_errors_are_statuses() {
    let broken = EchoRequest {
        text: "123456789012345678901".to_owned(),
        color: 7,
        ..EchoRequest::default()
    };
    let response = send(with(Request::post("/v1/echo")), broken.encode_to_vec()).await;
    assert_eq!(response.headers()[header::VARY], "accept");
    let text = pair("text", "Must be at most 20 characters long");
    assert_eq!(fields(&response)[0], text);
    assert_eq!(fields(&response)[1].0, "color");
    let info = error(&response).get_details_error_info();
    assert_eq!(info.expect("a reason").reason, "INVALID_ARGUMENT");
    // A string that is not UTF-8, a field cut short, and nesting without an end.
    let deep = (0..200).fold(Vec::new(), |inside: Vec<u8>, _| {
        let mut around = vec![0x0a];
        prost::encode_length_delimiter(inside.len(), &mut around).expect("room");
        around.extend(inside);
        around
    });
    for bytes in [vec![0x1a, 1, 0xff], vec![0x1a, 9, b'x'], deep] {
        let response = send(with(Request::post("/v1/echo/x/nested")), bytes).await;
        assert_eq!(error(&response).message(), "Malformed protobuf message");
        assert_eq!(fields(&response)[0].0, "body");
    }
    let large = vec![0; 5000];
    let response = send(with(Request::post("/v1/echo")), large).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(error(&response).code(), tonic::Code::InvalidArgument);
    // A handler's error, and those of requests that reach no handler.
    let get = |uri: &str| Request::get(uri).header(header::ACCEPT, BINARY);
    let missing = send(get("/v1/shelves/1/books/missing"), Vec::new()).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(missing.headers()["x-shelf"], "oak");
    assert_eq!(error(&missing).message(), "No such book");
    let info = error(&missing).get_details_error_info();
    assert_eq!(info.expect("a reason").reason, "NOT_FOUND");
    let nowhere = send(get("/v2"), Vec::new()).await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    assert_eq!(error(&nowhere).code(), tonic::Code::NotFound);
    let stranger = send(
        with(Request::post("/v1/shelves/1/books/2:lend")),
        Vec::new(),
    )
    .await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(error(&stranger).code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn a_field_has_one_place() {
    let uri = "/v1/shelves/1/books/2?updateMask=title";
    let book = |name: &str| Book {
        name: name.to_owned(),
        title: "T".to_owned(),
        ..Book::default()
    };
    // Nothing, or the same, beside the path.
    for name in ["", "shelves/1/books/2"] {
        let response = send(with(Request::patch(uri)), book(name).encode_to_vec()).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let update: UpdateBookRequest = message(&response);
        assert_eq!(update.book, Some(book("shelves/1/books/2")));
        let paths = vec!["title".to_owned()];
        assert_eq!(update.update_mask, Some(FieldMask { paths }));
    }
    let other = book("shelves/9/books/9").encode_to_vec();
    let response = send(with(Request::patch(uri)), other).await;
    let twice = pair("book.name", "Is given in the path and in the body");
    assert!(
        fields(&response).contains(&twice),
        "{:?}",
        fields(&response)
    );
    // Where the body is the whole request, whatever presence a field has; 0 and nothing are two things where it has one.
    let whole = |text: &str, maybe, choice| EchoRequest {
        text: text.to_owned(),
        maybe,
        choice,
        ..EchoRequest::default()
    };
    let word = |word: &str| Some(Choice::Word(word.to_owned()));
    for (body, twice) in [
        (whole("", None, None), &[][..]),
        (whole("a", Some(0), None), &[]),
        (whole("b", None, None), &["text"]),
        (whole("b", Some(1), None), &["text", "maybe"]),
        (whole("", None, word("x")), &["word"]),
        (whole("", None, word("y")), &["word"]),
        (whole("", None, Some(Choice::Number(0))), &["word"]),
    ] {
        let request = with(Request::post("/v1/echo/a/0/x"));
        let response = send(request, body.encode_to_vec()).await;
        if twice.is_empty() {
            let echo: EchoRequest = message(&response);
            assert_eq!(echo, whole("a", Some(0), word("x")), "{body:?}");
        } else {
            let fields: Vec<_> = fields(&response)
                .into_iter()
                .map(|(field, _)| field)
                .collect();
            assert_eq!(fields, twice, "{body:?}");
        }
    }
    // The query has the fields around the body only.
    let nested = Nested::default().encode_to_vec();
    let uri = "/v1/echo/hello/nested?maybe=5";
    let response = send(with(Request::post(uri)), nested.clone()).await;
    let echo: EchoRequest = message(&response);
    assert_eq!((&*echo.text, echo.maybe), ("hello", Some(5)));
    assert_eq!(echo.nested, Some(Nested::default()));
    let uri = "/v1/echo/hello/nested?nested.number=1&text=x";
    let response = send(with(Request::post(uri)), nested).await;
    let expected = [
        pair("nested.number", "Belongs in the body"),
        pair("text", "Is given in the path already"),
    ];
    assert_eq!(fields(&response), expected);
    let list = ListBooksRequest {
        query: "1".to_owned(),
        ..ListBooksRequest::default()
    };
    let uri = "/v1/books:list?query=1";
    let response = send(with(Request::post(uri)), list.encode_to_vec()).await;
    assert_eq!(fields(&response), [pair("query", "Unknown parameter")]);
}

#[tokio::test]
async fn an_update_in_binary_says_what_it_changes() {
    let book = Book {
        title: "T".to_owned(),
        author: Some(Author {
            given: "G".to_owned(),
            family: String::new(),
        }),
        ..Book::default()
    };
    let response = send(
        with(Request::patch("/v1/shelves/1/books/2")),
        book.encode_to_vec(),
    )
    .await;
    let named = "Is required: a binary body does not say which fields it names";
    assert!(fields(&response).contains(&pair("updateMask", named)));
    // It is judged by what it changes.
    let uri = "/v1/shelves/1/books/2?updateMask=title,loans";
    let response = send(with(Request::patch(uri)), book.encode_to_vec()).await;
    assert_eq!(fields(&response), [pair("book.loans", "Can't be changed")]);
}

#[tokio::test]
async fn what_is_no_message_is_json_only() {
    let put = || Request::put("/v1/echo/tags");
    let response = send(put().header(header::CONTENT_TYPE, BINARY), Vec::new()).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.headers()[header::ACCEPT], "application/json");
    let json = put().header(header::CONTENT_TYPE, "application/json");
    let response = send(json.header(header::ACCEPT, BINARY), b"[]".to_vec()).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(error(&response).code(), tonic::Code::InvalidArgument);
    // Neither is a stream.
    let watch = Request::get("/v1/shelves/1/books:watch").header(header::ACCEPT, BINARY);
    let response = send(watch, Vec::new()).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    for (request, name) in [
        (Request::post("/v1/echo"), "accept-post"),
        (Request::patch("/v1/shelves/1/books/2"), "accept-patch"),
    ] {
        let response = send(
            request.header(header::CONTENT_TYPE, "text/plain"),
            b"x".to_vec(),
        )
        .await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let both = "application/json, application/x-protobuf";
        assert_eq!(response.headers()[name], both);
    }
}

#[tokio::test]
async fn each_form_has_a_tag_of_its_own() {
    const URI: &str = "/v1/shelves/1:describe";
    let binary = || Request::get(URI).header(header::ACCEPT, BINARY);
    let response = send(Request::get(URI), Vec::new()).await;
    assert_eq!(response.headers()[header::ETAG], "\"3.17\"");
    let response = send(binary(), Vec::new()).await;
    assert_eq!(message::<Shelf>(&response).etag, "3.17");
    assert_eq!(response.headers()[header::ETAG], "\"3.17-pb\"");
    for (request, known, status) in [
        (binary(), "\"3.17-pb\"", StatusCode::NOT_MODIFIED),
        (binary(), "*", StatusCode::NOT_MODIFIED),
        (binary(), "\"3.17\"", StatusCode::OK),
        (Request::get(URI), "\"3.17\"", StatusCode::NOT_MODIFIED),
        (Request::get(URI), "\"3.17-pb\"", StatusCode::OK),
    ] {
        let response = send(request.header(header::IF_NONE_MATCH, known), Vec::new()).await;
        assert_eq!(response.status(), status, "{known}");
        assert_eq!(response.headers()[header::VARY], "accept");
        if status == StatusCode::NOT_MODIFIED && known != "*" {
            assert_eq!(response.headers()[header::ETAG], known);
        }
    }
    // Whoever read the resource in this form can change it.
    let request = binary().header(header::IF_MATCH, "\"3.17-pb\"");
    let response = send(request, Vec::new()).await;
    let expected = message::<Shelf>(&response).expected;
    assert_eq!(expected, ["3.17", "3.17-pb"]);
}

#[test]
fn the_description_has_both_forms() {
    let description: Value = serde_json::from_str(OPENAPI_JSON).expect("JSON");
    let operation = |path: &str, method: &str| description["paths"][path][method].clone();
    let echo = operation("/v1/echo", "post");
    let schema = json!({
        "type": "string",
        "format": "binary",
        "description": "`library.v1.EchoRequest` in protobuf's binary form.",
    });
    assert_eq!(echo["requestBody"]["content"][BINARY]["schema"], schema);
    assert_eq!(
        echo["responses"]["200"]["content"][BINARY]["schema"],
        schema
    );
    assert!(echo["responses"]["406"].is_object());
    let nested = operation("/v1/echo/{text}/nested", "post");
    let schema = &nested["requestBody"]["content"][BINARY]["schema"];
    let of_field = "`library.v1.EchoRequest.Nested` in protobuf's binary form.";
    assert_eq!(schema["description"], of_field);
    let tags = operation("/v1/echo/tags", "put");
    assert!(tags["requestBody"]["content"][BINARY].is_null());
    assert!(tags["responses"]["200"]["content"][BINARY].is_null());
    let errors = &description["components"]["responses"]["InvalidParameters"]["content"];
    assert!(errors[BINARY].is_object());
    let paths = description["paths"].as_object().expect("paths");
    let mut updates = paths.values().map(|path| &path["patch"]);
    let update = updates.find(|found| found["operationId"] == "updateBook");
    let update = update.expect("an operation");
    let parameters = update["parameters"].as_array().expect("parameters");
    let mask = parameters
        .iter()
        .find(|parameter| parameter["name"] == "updateMask");
    let mask = mask.expect("a mask")["description"].as_str().expect("text");
    assert!(mask.ends_with("and needs it."), "{mask}");
}
