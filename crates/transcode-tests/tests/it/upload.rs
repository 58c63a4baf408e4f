//! Requests whose bodies are bytes as they are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use transcode_tests::transcoder;

const TEXT: &str = "/v1/shelves/1/books/2/text";

async fn send(request: http::request::Builder, body: &[u8]) -> Response<Value> {
    let request = request.body(Full::from(body.to_vec())).expect("a request");
    let (parts, body) = transcoder().handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let json = serde_json::from_slice(&bytes).expect("JSON");
    Response::from_parts(parts, json)
}

async fn put(uri: &str, content_type: &str, body: &[u8]) -> Response<Value> {
    let request = Request::put(uri).header(header::CONTENT_TYPE, content_type);
    send(request, body).await
}

fn content(content_type: &str, data: &[u8]) -> Value {
    let data = BASE64_STANDARD.encode(data);
    json!({"contentType": content_type, "data": data, "extensions": []})
}

#[tokio::test]
async fn a_body_of_any_type_is_taken_as_it_is() {
    for (content_type, body) in [
        ("image/png", &b"\x89PNG\0\xff"[..]),
        ("application/json", b"{not json"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("text/plain; charset=é", b""),
    ] {
        let uri = format!("{TEXT}?author=Ursula");
        let response = put(&uri, content_type, body).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
        let data = &response.body()["data"];
        assert_eq!(data["content"], content(content_type, body));
        assert_eq!(data["name"], "shelves/1/books/2");
        assert_eq!(data["author"], "Ursula");
    }
    let whole = Request::post("/v1/scans").header(header::CONTENT_TYPE, "text/plain");
    let response = send(whole, b"Once").await;
    let data = &response.body()["data"];
    assert_eq!(data["content"], content("text/plain", b"Once"));
    // One of a oneof.
    let response = put("/v1/shelves/1/books/2/draft", "text/plain", b"Once").await;
    let data = &response.body()["data"];
    assert_eq!(data["draft"], content("text/plain", b"Once"));
}

#[tokio::test]
async fn a_type_need_not_be_said_and_nothing_is_nothing() {
    let response = send(Request::put(TEXT), b"Once").await;
    assert_eq!(response.body()["data"]["content"], content("", b"Once"));
    let response = send(Request::put(TEXT), b"").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.body()["data"].get("content").is_none());
}

#[tokio::test]
async fn what_is_beside_the_bytes_is_checked() {
    let uri = format!("{TEXT}?author=123456789012345678901&content.contentType=x&nope=1");
    let response = put(&uri, "text/plain", b"Once").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let expected = json!({
        "contentType": "Belongs in the body",
        "nope": "Unknown parameter",
        "author": "Must be at most 20 characters long",
    });
    assert_eq!(response.body()["error"]["details"], expected);
}

#[tokio::test]
async fn a_body_has_a_longest_length() {
    let fits = put(TEXT, "text/plain", &[b'x'; 4096]).await;
    assert_eq!(fits.status(), StatusCode::OK);
    let long = put(TEXT, "text/plain", &[b'x'; 4097]).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let message = &long.body()["error"]["message"];
    assert_eq!(message, "The body must not be larger than 4096 bytes");
}

#[tokio::test]
async fn an_rpc_may_have_a_limit_of_its_own() {
    let scan = |length| send(Request::post("/v1/scans"), &[b'x'; 10_001][..length]);
    assert_eq!(scan(10_000).await.status(), StatusCode::OK);
    let long = scan(10_001).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let message = &long.body()["error"]["message"];
    assert_eq!(message, "The body must not be larger than 10000 bytes");
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let body = &description["paths"]["/v1/scans"]["post"]["requestBody"];
    assert_eq!(
        body["description"],
        "Bytes of any type. At most 10000 bytes."
    );
}

#[tokio::test]
async fn what_has_no_place_in_the_message_is_refused() {
    let compressed = Request::put(TEXT).header(header::CONTENT_ENCODING, "gzip");
    let twice = Request::put(TEXT)
        .header(header::CONTENT_TYPE, "text/plain")
        .header(header::CONTENT_TYPE, "text/html");
    let no_text = Request::put(TEXT).header(header::CONTENT_TYPE, &b"text/\xff"[..]);
    for request in [compressed, twice, no_text] {
        let response = send(request, b"x").await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn inside_json_it_is_a_message() {
    let request = Request::post("/v1/texts").header(header::CONTENT_TYPE, "application/json");
    let body = json!({"name": "x", "content": {"contentType": "text/plain", "data": "T25jZQ=="}});
    let response = send(request, body.to_string().as_bytes()).await;
    let data = &response.body()["data"];
    assert_eq!(data["content"], content("text/plain", b"Once"));
}

#[test]
fn the_description_shows_bytes() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let operation = &description["paths"]["/v1/shelves/{name}/books/{name2}/text"]["put"];
    let content = &operation["requestBody"]["content"];
    let schema = json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
    assert_eq!(*content, schema);
    let unsupported = &operation["responses"]["415"]["$ref"];
    assert_eq!(unsupported, "#/components/responses/UnsupportedEncoding");
    assert!(operation["responses"]["413"].is_object());
    let names: Vec<_> = operation["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| parameter["name"].clone())
        .collect();
    assert!(names.contains(&json!("author")), "{names:?}");
    assert!(!names.contains(&json!("content.data")), "{names:?}");
}
