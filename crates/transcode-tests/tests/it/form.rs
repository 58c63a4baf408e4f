//! Requests that are forms with files.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use transcode_tests::transcoder;

const TEXTS: &str = "/v1/texts";
const FORM: &str = "/v1/shelves/1/books/2/form";
const TYPE: &str = "multipart/form-data; boundary=\"- -\"";

/// A form of parts: what the disposition says beside `form-data`, further headers, data.
fn form(parts: &[(&str, &str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (disposition, headers, data) in parts {
        let head =
            format!("--- -\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--- ---\r\n");
    body.into()
}

async fn post(uri: &str, content_type: &str, body: Bytes) -> Response<Value> {
    let request = Request::post(uri)
        .header(header::CONTENT_TYPE, content_type)
        .body(Full::new(body))
        .expect("a request");
    let (parts, body) = transcoder().handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let json = serde_json::from_slice(&bytes).expect("JSON");
    Response::from_parts(parts, json)
}

async fn send(uri: &str, parts: &[(&str, &str, &[u8])]) -> Response<Value> {
    post(uri, TYPE, form(parts)).await
}

fn content(content_type: &str, data: &[u8]) -> Value {
    let data = BASE64_STANDARD.encode(data);
    json!({"contentType": content_type, "data": data, "extensions": []})
}

#[tokio::test]
async fn files_and_texts_become_fields() {
    let png = "Content-Type: image/png\r\n";
    let response = send(
        FORM,
        &[
            ("name=author", "", "Ürsula".as_bytes()),
            ("name=content; filename=\"a.png\"", png, b"\x89PNG\r\n\0"),
            ("name=\"pageScans\"; filename=a", png, b"1"),
            ("name=\"page_scans\"; filename=b", "", b""),
            ("name=draft", "", b"no name, but a file"),
            ("name=tags", "", b"a"),
            (
                "name=tags",
                "Content-Type: text/plain; charset=utf-8\r\n",
                b"b",
            ),
            ("name=written.year", "", b"1969"),
        ],
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    assert_eq!(
        response.body()["data"],
        json!({
            "name": "shelves/1/books/2",
            "author": "Ürsula",
            "content": content("image/png", b"\x89PNG\r\n\0"),
            "draft": content("", b"no name, but a file"),
            "pageScans": [content("image/png", b"1"), content("", b"")],
            "tags": ["a", "b"],
            "written": {"year": 1969},
        })
    );
}

#[tokio::test]
async fn files_inside_messages_have_names_with_dots() {
    let png = "Content-Type: image/png\r\n";
    let response = send(
        TEXTS,
        &[
            ("name=cover.color", "", b"red"),
            ("name=cover.picture; filename=a", png, b"1"),
            ("name=cover.firstSketches; filename=b", png, b"2"),
            ("name=cover.first_sketches; filename=c", "", b"3"),
            ("name=\"cover.backPicture\"; filename=d", "", b"4"),
            ("name=cover.title.ornament; filename=e", "", b"5"),
            // Where nobody chose one there is none, and nothing around it.
            ("name=\"draft\"; filename=\"\"", "", b""),
        ],
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    let cover = &response.body()["data"]["cover"];
    assert_eq!(
        *cover,
        json!({
            "color": "red",
            "picture": content("image/png", b"1"),
            "firstSketches": [content("image/png", b"2"), content("", b"3")],
            "backPicture": content("", b"4"),
            "title": {"ornament": content("", b"5")},
            "former": [],
        })
    );
    let response = send(
        TEXTS,
        &[
            ("name=cover.color", "", b"a colour that has no name yet"),
            ("name=cover.picture; filename=a", "", b"1"),
            ("name=cover.picture; filename=b", "", b"2"),
            ("name=cover.backText", "", b"words"),
            ("name=cover.back_picture; filename=c", "", b"3"),
            // Neither in a list nor in itself; and not a field of it.
            ("name=cover.former.picture; filename=d", "", b"4"),
            ("name=cover.inner.picture; filename=e", "", b"5"),
            ("name=cover.title.nope; filename=f", "", b"6"),
            ("name=cover.title; filename=g", "", b"7"),
        ],
    )
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        response.body()["error"]["details"],
        json!({
            "cover.color": "Must be at most 20 characters long",
            "cover.picture": "Given more than once",
            "cover.backPicture": "Only one of backPicture, backText may be given",
            "cover.former.picture": "Takes no file",
            "cover.inner.picture": "Takes no file",
            "cover.title.nope": "Takes no file",
            "cover.title": "Takes no file",
        })
    );
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let body = &description["paths"][TEXTS]["post"]["requestBody"]["content"];
    let properties = &body["multipart/form-data"]["schema"]["properties"];
    let raw = json!({"type": "string", "format": "binary", "description": "What is on it."});
    assert_eq!(properties["cover.picture"], raw);
    assert_eq!(properties["cover.title.ornament"], raw);
    assert_eq!(properties["cover.firstSketches"]["type"], "array");
    assert!(properties["cover.backPicture"].is_object());
    assert!(properties["cover.color"].is_object());
    for absent in [
        "cover.inner.picture",
        "cover.former.picture",
        "cover.title",
        "cover",
    ] {
        assert!(properties.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn a_file_that_nobody_chose_is_none() {
    let octets = "Content-Type: application/octet-stream\r\n";
    let response = send(TEXTS, &[("name=\"content\"; filename=\"\"", octets, b"")]).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    assert!(response.body()["data"].get("content").is_none());
    let nothing = send(TEXTS, &[]).await;
    assert_eq!(nothing.status(), StatusCode::OK);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let response = send(
        &format!("{FORM}?author=x"),
        &[
            ("name=nope", "", b"x"),
            ("name=\"name\"", "", b"shelves/3/books/4"),
            ("name=content; filename=a", "", b"1"),
            ("name=content; filename=b", "", b"2"),
            ("name=draft; filename=a", "", b"3"),
            ("name=nothing", "", b"true"),
            ("name=tags; filename=a", "", b"x"),
            ("name=tags", "", b"\xff"),
            ("name=written.year", "", b"long ago"),
        ],
    )
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let details = &response.body()["error"]["details"];
    assert_eq!(
        *details,
        json!({
            "author": "Unknown parameter",
            "nope": "Unknown parameter",
            "name": "Is given in the path already",
            "content": "Given more than once",
            "nothing": "Only one of draft, nothing may be given",
            "tags": "Takes no file",
            "written.year": "Must be an integer",
        })
    );
    let response = send(
        TEXTS,
        &[("name=nothing", "", b"true"), ("name=draft", "", b"x")],
    );
    let response = response.await;
    assert_eq!(
        response.body()["error"]["details"],
        json!({"draft": "Only one of draft, nothing may be given"})
    );
    let rules = [("name=tags", "", &b"a"[..]); 4];
    let response = send(TEXTS, &rules).await;
    let details = &response.body()["error"]["details"];
    assert!(details["tags"].is_string(), "{details}");
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    for (content_type, body) in [
        (TYPE, "--- -\r\nno end"),
        ("multipart/form-data", "--x--"),
        (TYPE, ""),
    ] {
        let response = post(TEXTS, content_type, body.into()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let error = &response.body()["error"];
        assert_eq!(error["message"], "Malformed form");
        assert!(error["details"]["body"].is_string());
    }
    let response = post(TEXTS, "text/plain", "x".into()).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        response.body()["error"]["message"],
        "Content-Type must be application/json, application/x-protobuf or multipart/form-data"
    );
    // Where there is no field for a file a form is nothing.
    let response = post("/v1/echo", TYPE, form(&[])).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = vec![b'x'; 4097];
    let response = send(TEXTS, &[("name=content", "", &large)]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_as_it_is_may_be_a_form() {
    let body = form(&[("name=content", "", b"x")]);
    let request = Request::put("/v1/shelves/1/books/2/text")
        .header(header::CONTENT_TYPE, TYPE)
        .body(Full::new(body.clone()))
        .expect("a request");
    let answer = transcoder().handle(request).await.into_body();
    let answer = answer.collect().await.expect("a body").to_bytes();
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["data"]["content"], content(TYPE, &body));
}

#[test]
fn the_description_shows_a_form() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let path = "/v1/shelves/{name}/books/{name2}/form";
    let operation = &description["paths"][path]["post"];
    let content = &operation["requestBody"]["content"];
    assert!(content["application/json"].is_object());
    let schema = &content["multipart/form-data"]["schema"];
    let properties = schema["properties"].as_object().expect("properties");
    let mut names: Vec<_> = properties.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "author",
            "content",
            "cover.backPicture",
            "cover.backText",
            "cover.color",
            "cover.firstSketches",
            "cover.picture",
            "cover.title.ornament",
            "draft",
            "nothing",
            "pageScans",
            "tags",
            "written.year"
        ]
    );
    assert_eq!(properties["content"]["format"], "binary");
    assert_eq!(properties["pageScans"]["items"]["format"], "binary");
    assert_eq!(properties["written.year"]["type"], "integer");
    assert_eq!(
        operation["responses"]["415"]["$ref"],
        "#/components/responses/UnsupportedForm"
    );
}
