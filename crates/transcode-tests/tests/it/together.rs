//! Where the forms of messages, compression, bytes and streams meet.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use serde_json::{Value, json};
use tokio_stream::iter;
use tonic_types::pb as rpc;
use transcode::rest::{Compression, Settings};
use transcode_tests::files::Content;
use transcode_tests::pb::google::api::HttpBody;
use transcode_tests::pb::library::v1::{AddBooksResponse, PutTextRequest};
use transcode_tests::{OPENAPI_JSON, settings, transcoder_of};

const BINARY: &str = "application/x-protobuf";
const LINES: &str = "application/x-ndjson";
const COVER: &str = "/v1/shelves/1/books/2/cover";
const TEXT: &str = "/v1/shelves/1/books/2/text";
const SCANS: &str = "/v1/scans";
const ADD: &str = "/v1/shelves/1/books:add";
const APPRAISE: &str = "/v1/books:appraise";

async fn send(request: http::request::Builder, body: impl Into<Bytes>) -> Response<Bytes> {
    let transcoder = transcoder_of(Settings {
        compression: Some(Compression::default()),
        ..settings()
    });
    let request = request.body(Full::new(body.into())).expect("a request");
    let (parts, body) = transcoder.handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, bytes)
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn get(uri: &str, content_type: &'static str, length: usize) -> http::request::Builder {
    let body = HttpBody {
        content_type: content_type.to_owned(),
        data: vec![b'x'; length],
        extensions: Vec::new(),
    };
    let content = Content::new(move || Ok(Box::pin(iter([Ok(body.clone())]))));
    Request::get(uri).extension(content)
}

fn post(uri: &str, content_type: &str) -> http::request::Builder {
    Request::post(uri).header(header::CONTENT_TYPE, content_type)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

#[tokio::test]
async fn bytes_have_one_form_whatever_a_caller_takes() {
    for accept in [BINARY, "text/html", "image/png;q=0"] {
        let request = get(COVER, "image/png", 3).header(header::ACCEPT, accept);
        let response = send(request, "").await;
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "image/png");
        assert!(!response.headers().contains_key(header::VARY));
        assert_eq!(response.body(), "xxx");
        let request = get("/v1/shelves/1/books/2/voice", "image/png", 3);
        let response = send(request.header(header::ACCEPT, accept), "").await;
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        assert!(!response.headers().contains_key(header::VARY));
        assert_eq!(response.body(), "xxx");
    }
    // Nor has their tag the suffix of a form.
    let request = get(TEXT, "image/png", 3).header(header::ACCEPT, BINARY);
    let response = send(request, "").await;
    assert_eq!(response.headers()[header::ETAG], "\"v1\"");
    let request = get(TEXT, "image/png", 3)
        .header(header::ACCEPT, BINARY)
        .header(header::IF_NONE_MATCH, "\"v1\"");
    let response = send(request, "").await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.headers()[header::ETAG], "\"v1\"");
    assert_eq!(response.headers()[header::VARY], "accept-encoding");
    // Their errors are messages.
    let response = send(Request::get(COVER).header(header::ACCEPT, BINARY), "").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()[header::CONTENT_TYPE], BINARY);
    assert_eq!(response.headers()[header::VARY], "accept");
    let status = rpc::Status::decode(&**response.body()).expect("a status");
    assert_eq!(status.message, "No such book");
}

#[tokio::test]
async fn bytes_are_compressed_where_their_type_shrinks() {
    let ask = |content_type| get(TEXT, content_type, 2000).header(header::ACCEPT_ENCODING, "gzip");
    let response = send(ask("text/plain; charset=utf-8"), "").await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[header::ETAG], "\"v1-gzip\"");
    assert_eq!(response.headers()[header::VARY], "accept-encoding");
    assert!(response.body().len() < 200, "{}", response.body().len());
    let known = ask("text/plain").header(header::IF_NONE_MATCH, "\"v1-gzip\"");
    let response = send(known, "").await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.headers()[header::ETAG], "\"v1-gzip\"");
    let response = send(ask("image/png"), "").await;
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(response.headers()[header::ETAG], "\"v1\"");
    assert_eq!(response.body().len(), 2000);
}

#[tokio::test]
async fn bytes_and_forms_may_come_compressed() {
    let packed = || post(SCANS, "text/plain").header(header::CONTENT_ENCODING, "gzip");
    // The RPC's own limit, 10000, is above that of the others.
    let response = send(packed(), gzip(&[b'x'; 10_000])).await;
    assert_eq!(response.status(), StatusCode::OK);
    let data = json(&response)["data"]["content"]["data"].clone();
    assert_eq!(
        data.as_str().map(str::len),
        Some(10_000_usize.div_ceil(3) * 4)
    );
    let response = send(packed(), gzip(&[b'x'; 10_001])).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let message = &json(&response)["error"]["message"];
    assert_eq!(message, "The body must not be larger than 10000 bytes");
    let response = send(packed(), "not packed").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let form = || {
        let form = post("/v1/texts", "multipart/form-data; boundary=b");
        form.header(header::CONTENT_ENCODING, "gzip")
    };
    let body = |length| {
        let head = "--b\r\nContent-Disposition: form-data; name=content\r\n\r\n";
        gzip(format!("{head}{}\r\n--b--\r\n", "x".repeat(length)).as_bytes())
    };
    let response = send(form(), body(3)).await;
    assert_eq!(json(&response)["data"]["content"]["data"], "eHh4");
    let response = send(form(), body(4096)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn streams_may_not() {
    for (uri, content_type) in [(ADD, LINES), ("/v1/letters:capitalize", "text/plain")] {
        let request = post(uri, content_type).header(header::CONTENT_ENCODING, "gzip");
        let response = send(request, gzip(b"{\"title\":\"a\"}")).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(response.headers()[header::ACCEPT_ENCODING], "identity");
        let plain = post(uri, content_type).header(header::CONTENT_ENCODING, "identity");
        let response = send(plain, "{\"title\":\"a\"}").await;
        assert!(response.status().is_success(), "{}", response.status());
    }
}

#[tokio::test]
async fn a_request_with_files_is_json_binary_or_a_form() {
    let request = PutTextRequest {
        author: "Ursula".to_owned(),
        page_scans: vec![HttpBody {
            content_type: "image/png".to_owned(),
            data: b"1".to_vec(),
            extensions: Vec::new(),
        }],
        ..PutTextRequest::default()
    };
    let binary = post("/v1/texts", BINARY).header(header::ACCEPT, BINARY);
    let response = send(binary, request.encode_to_vec()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(PutTextRequest::decode(&**response.body()), Ok(request));
    // A field has one place there too.
    let twice = PutTextRequest {
        name: "shelves/1/books/3".to_owned(),
        ..PutTextRequest::default()
    };
    let uri = "/v1/shelves/1/books/2/form";
    let response = send(post(uri, BINARY), twice.encode_to_vec()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let details = &json(&response)["error"]["details"];
    assert_eq!(
        *details,
        json!({"name": "Is given in the path and in the body"})
    );
    let response = send(post(uri, "text/plain"), "").await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        response.headers()["accept-post"],
        "application/json, application/x-protobuf, multipart/form-data"
    );
    let description: Value = serde_json::from_str(OPENAPI_JSON).expect("JSON");
    let texts = &description["paths"]["/v1/texts"]["post"];
    let content = texts["requestBody"]["content"].as_object();
    let types: Vec<_> = content.expect("types").keys().collect();
    assert_eq!(types, ["application/json", BINARY, "multipart/form-data"]);
    // Bytes are no message.
    let put = &description["paths"]["/v1/shelves/{name}/books/{name2}/text"]["put"];
    assert!(put["requestBody"]["content"].get(BINARY).is_none());
    let get = &description["paths"]["/v1/shelves/{name}/books/{name2}/text"]["get"];
    assert!(get["responses"]["200"]["content"].get(BINARY).is_none());
    assert!(get["responses"].get("406").is_none());
}

#[tokio::test]
async fn the_answer_to_a_stream_has_the_forms_of_messages() {
    let add = |accept| post(ADD, LINES).header(header::ACCEPT, accept);
    let response = send(add(BINARY), "{\"title\":\"a\"}\n{\"title\":\"b\"}").await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[header::VARY], "accept");
    let answer = AddBooksResponse::decode(&**response.body()).expect("a message");
    assert_eq!(answer.added, ["a (0) ", "b (0) "]);
    let response = send(add("text/html"), "{\"title\":\"a\"}").await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    // Its lines are JSON whatever the answer is.
    let response = send(post(ADD, BINARY), "").await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.headers()["accept-post"], LINES);
    let response = send(add(BINARY), "{\"title\":\"\"}").await;
    let status = rpc::Status::decode(&**response.body()).expect("a status");
    assert_eq!(status.message, "Invalid request parameters in line 1");
}

#[tokio::test]
async fn streams_both_ways_may_be_an_array() {
    let appraise = || post(APPRAISE, LINES).header(header::ACCEPT, "application/json");
    let lines = "{\"book\":{\"title\":\"a\"}}\n{\"book\":{\"title\":\"b\"}}\n";
    let response = send(appraise(), lines).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[header::VARY], "accept");
    let expected = json!([{"title": "a", "worth": 0}, {"title": "b", "worth": 0}]);
    assert_eq!(json(&response), expected);
    let response = send(appraise(), "{\"book\":{\"title\":\"a\"}}\n{\"book\":{}}\n").await;
    let last = json(&response)[1]["error"].clone();
    assert_eq!(last["message"], "Invalid request parameters in line 2");
    assert_eq!(last["details"], json!({"book.title": "Must not be empty"}));
    assert_eq!(json(&send(appraise(), "").await), json!([]));
    let response = send(post(APPRAISE, LINES).header(header::ACCEPT, BINARY), lines).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
}
