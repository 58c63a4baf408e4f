//! The transcoder, driven over HTTP.

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use transcode_tests::transcoder;

async fn send(request: http::request::Builder, body: &str) -> Response<Value> {
    let request = request
        .body(Full::from(body.to_owned()))
        .expect("a request");
    let (parts, body) = transcoder().handle(request).await.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let json = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).expect("JSON")
    };
    Response::from_parts(parts, json)
}

async fn get(uri: &str) -> Response<Value> {
    send(Request::get(uri), "").await
}

async fn post(uri: &str, body: &str) -> Response<Value> {
    send(
        Request::post(uri).header(header::CONTENT_TYPE, "application/json"),
        body,
    )
    .await
}

/// The fields an answer complains about, with what it says.
fn details(response: &Response<Value>) -> Value {
    assert_eq!(
        response.status(),
        StatusCode::BAD_REQUEST,
        "{}",
        response.body()
    );
    response.body()["details"].clone()
}

#[tokio::test]
async fn paths_of_several_segments_and_verbs() {
    for (path, name) in [
        ("/v1/shelves/1/books/2", "shelves/1/books/2"),
        ("/v1/shelves/a%2Fb/books/c%20d", "shelves/a%2Fb/books/c d"),
        ("/v1/shelves/1/books/a:b", "shelves/1/books/a:b"),
        ("/v1/search/any/depth/at/all", "any/depth/at/all"),
        ("/v1/archive/1999/12/pages", "archive/1999/12"),
        ("/v1/archive/pages", "archive"),
    ] {
        assert_eq!(get(path).await.body()["name"], name, "{path}");
    }
    for path in [
        "/v1/shelves/1/magazines",
        "/v1/shelves//books/2",
        "/v1/shelves/1/books/2/",
        "/v2",
        "/",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = get("/v1/shelves/%FF/books/1").await;
    assert_eq!(details(&response), json!({"name": "Must be UTF-8"}));
}

#[tokio::test]
async fn methods() {
    let response = send(Request::delete("/v1/shelves/1/books/2"), "").await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        response.headers()[header::ALLOW],
        "GET, HEAD, OPTIONS, PATCH"
    );
    let response = send(Request::options("/v1/shelves/1/books/2"), "").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        response.headers()[header::ALLOW],
        "GET, HEAD, OPTIONS, PATCH"
    );
    let full = get("/v1/shelves/1/books/2").await;
    let head = send(Request::head("/v1/shelves/1/books/2"), "").await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(*head.body(), Value::Null);
    let length = full.body().to_string().len().to_string();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], length.as_str());
}

#[tokio::test]
async fn every_kind_of_field_comes_back_from_json() {
    let message = json!({
        "doubleValue": 1.5, "floatValue": -0.25, "int32Value": -5, "int64Value": "-9223372036854775808",
        "uint32Value": 4_294_967_295_u32, "uint64Value": "18446744073709551615", "boolValue": true,
        "text": "ünï", "data": "+/8=", "color": "COLOR_RED",
        "nested": {"child": {"number": 7, "type": ""}, "number": 0, "type": "x"},
        "tags": ["ab", "cd"], "many": [{"number": 1, "type": ""}], "counts": {"a": "1"},
        "numbered": {"-1": {"number": 2, "type": ""}},
        "word": "w", "at": "2024-01-15T10:30:00.250Z", "span": "1.500s", "wrapped": "", "wrappedNumber": "0",
        "anything": [null, 1, "x", {"y": true}], "object": {"a": {"b": []}}, "mask": "text,nested.child", "maybe": 0,
        "any": {"@type": "type.googleapis.com/library.v1.Author", "given": "Ursula", "family": "Le Guin"},
    });
    let response = post("/v1/echo", &message.to_string()).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    assert_eq!(*response.body(), message);
}

#[tokio::test]
async fn json_takes_what_protojson_takes() {
    for (sent, field, back) in [
        (r#"{"int32_value": "5"}"#, "int32Value", json!(5)),
        (r#"{"int32Value": 1e2}"#, "int32Value", json!(100)),
        (
            r#"{"int64Value": 9007199254740993}"#,
            "int64Value",
            json!("9007199254740993"),
        ),
        (r#"{"doubleValue": "NaN"}"#, "doubleValue", json!("NaN")),
        (
            r#"{"floatValue": "-Infinity"}"#,
            "floatValue",
            json!("-Infinity"),
        ),
        (r#"{"data": "-_8"}"#, "data", json!("+/8=")),
        (r#"{"color": 2}"#, "color", json!("COLOR_BLUE")),
        (r#"{"text": null}"#, "text", json!("")),
        (r#"{"tags": null}"#, "tags", json!([])),
        (r#"{"anything": null}"#, "anything", Value::Null),
        (r#"{"number": 3}"#, "number", json!(3)),
        (
            r#"{"at": "2024-01-15T12:30:00+02:00"}"#,
            "at",
            json!("2024-01-15T10:30:00Z"),
        ),
        (
            r#"{"any": {"value": {"given": "x", "@type": "t/library.v1.Author"}, "@type": "t/google.protobuf.Any"}}"#,
            "any",
            json!({
                "@type": "t/google.protobuf.Any",
                "value": {"@type": "t/library.v1.Author", "given": "x", "family": ""},
            }),
        ),
    ] {
        let response = post("/v1/echo", sent).await;
        assert_eq!(
            response.status(),
            StatusCode::OK,
            "{sent}: {}",
            response.body()
        );
        assert_eq!(response.body()[field], back, "{sent}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let response = post(
        "/v1/echo",
        r#"{"int32Value": "x", "text": ["a"], "tags": ["a", 5], "nested": {"number": 100, "nope": 1}, "boolValue": "true",
            "counts": {"toolong": "1"}, "numbered": {"x": {}}, "color": "GREEN", "at": "yesterday", "many": [{}, null],
            "word": "w", "number": 5, "doubleValue": 1, "double_value": 2,
            "any": {"@type": "x/library.v1.Author", "given": 7, "nope": 1}}"#,
    )
    .await;
    assert_eq!(
        details(&response),
        json!({
            "int32Value": "Must be an integer",
            "text": "Must be a string",
            "tags[1]": "Must be a string",
            "nested.nope": "Unknown field",
            "boolValue": "Must be true or false",
            "numbered.x": "As a key: Must be an integer",
            "color": "Must be one of: COLOR_RED, COLOR_BLUE",
            "at": "Must be a time in RFC 3339, such as 2024-01-15T10:30:00Z",
            "many[1]": "Must not be null",
            "number": "Only one of word, number, message may be given",
            "doubleValue": "Given more than once",
            "nested.number": "Must be less than 100",
            "tags[0]": "Must be at least 2 characters long",
            "counts.toolong": "Must be at most 5 characters long",
            "any.given": "Must be a string",
            "any.nope": "Unknown field",
        })
    );
}

#[tokio::test]
async fn queries() {
    let response = get(
        "/v1/echo?text=a%20b+c&int64Value=5&tags=ab&tags=cd&nested.child.number=3&color=COLOR_RED\
        &at=2024-01-15T10:30:00Z&wrapped=x&data=-_8&maybe=0&mask=a,b&boolValue=true&word=w",
    )
    .await;
    let body = response.body();
    assert_eq!(response.status(), StatusCode::OK, "{body}");
    assert_eq!(body["text"], "a b c");
    assert_eq!(body["int64Value"], "5");
    assert_eq!(body["tags"], json!(["ab", "cd"]));
    assert_eq!(body["nested"]["child"]["number"], 3);
    assert_eq!(body["at"], "2024-01-15T10:30:00Z");
    assert_eq!(
        (&body["maybe"], &body["boolValue"]),
        (&json!(0), &json!(true))
    );
    let response = get("/v1/echo?text=a&text=b&nope=1&int32Value=x&word=w&number=1&nested=x&counts=1&object=x&text.a=1").await;
    assert_eq!(
        details(&response),
        json!({
            "text": "Given more than once",
            "nope": "Unknown parameter",
            "int32Value": "Must be an integer",
            "number": "Only one of word, number, message may be given",
            "nested": "Is an object: name one of its fields",
            "counts": "Can't be given as text",
            "object": "Can't be given as text",
        })
    );
}

#[tokio::test]
async fn paths_without_an_end_are_not_followed() {
    let deep = format!("nested{}.number", ".child".repeat(5000));
    let response = get(&format!("/v1/echo?{deep}=1")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let deep = format!("nested{}.number", ".child".repeat(50));
    assert_eq!(
        get(&format!("/v1/echo?{deep}=1")).await.status(),
        StatusCode::OK
    );
    let uri = format!(
        "/v1/shelves/1/books/2?updateMask=author{}",
        ".given".repeat(5000)
    );
    assert_eq!(patch(&uri, "{}").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bodies_that_are_fields() {
    let response = post("/v1/echo/hello/nested?maybe=5", r#"{"number": 9}"#).await;
    let body = response.body();
    assert_eq!(
        (&body["text"], &body["nested"]["number"], &body["maybe"]),
        (&json!("hello"), &json!(9), &json!(5))
    );
    let response = post(
        "/v1/echo/hello/nested?nested.number=1&text=x",
        r#"{"number": 100}"#,
    )
    .await;
    assert_eq!(
        details(&response),
        json!({"number": "Belongs in the body", "text": "Is given in the path already"})
    );
    let response = send(
        Request::put("/v1/echo/tags").header(header::CONTENT_TYPE, "application/json"),
        r#"["ab"]"#,
    )
    .await;
    assert_eq!(*response.body(), json!(["ab"]));
    // With `body: "*"` there is no query.
    let response = post("/v1/echo?text=a", "{}").await;
    assert_eq!(details(&response), json!({"text": "Unknown parameter"}));
}

#[tokio::test]
async fn bodies_that_can_not_be_read() {
    for (content_type, body, status) in [
        ("application/json", "{", StatusCode::BAD_REQUEST),
        ("application/json", "{} x", StatusCode::BAD_REQUEST),
        ("application/json", "", StatusCode::BAD_REQUEST),
        ("application/json", "[]", StatusCode::BAD_REQUEST),
        ("application/json", "null", StatusCode::BAD_REQUEST),
        ("text/plain", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            "application/json; charset=utf-16",
            "{}",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ] {
        let response = send(
            Request::post("/v1/echo").header(header::CONTENT_TYPE, content_type),
            body,
        )
        .await;
        assert_eq!(response.status(), status, "{content_type} {body}");
        assert!(response.body()["message"].is_string());
    }
    let response = post(
        "/v1/echo",
        &format!(r#"{{"text": "{}"}}"#, "x".repeat(5000)),
    )
    .await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!(r#"{{"anything": {}{}}}"#, "[".repeat(120), "]".repeat(120));
    assert_eq!(
        post("/v1/echo", &deep).await.status(),
        StatusCode::BAD_REQUEST
    );
    let response = send(Request::get("/v1/echo"), "{}").await;
    assert_eq!(
        response.status(),
        StatusCode::BAD_REQUEST,
        "what has no place is not lost silently"
    );
    let invalid = Request::post("/v1/echo").header(header::CONTENT_TYPE, "application/json");
    let request = invalid
        .body(Full::from(b"{\"text\": \"\xff\"}".to_vec()))
        .expect("a request");
    assert_eq!(
        transcoder().handle(request).await.status(),
        StatusCode::BAD_REQUEST
    );
}

async fn patch(uri: &str, body: &str) -> Response<Value> {
    send(
        Request::patch(uri).header(header::CONTENT_TYPE, "application/json"),
        body,
    )
    .await
}

#[tokio::test]
async fn an_update_mask_is_made_of_the_body() {
    let uri = "/v1/shelves/1/books/2";
    for (body, mask) in [
        (r#"{"title": "T"}"#, "title"),
        (r#"{"labels": {"a": "b"}, "title": "T"}"#, "labels,title"),
        (r#"{"labels": {}}"#, "labels"),
        (r#"{"author": {"given": "G"}}"#, "author.given"),
        (r#"{"author": null}"#, "author"),
        ("{}", ""),
    ] {
        let response = patch(uri, body).await;
        assert_eq!(
            response.status(),
            StatusCode::OK,
            "{body}: {}",
            response.body()
        );
        assert_eq!(response.body()["updateMask"], mask, "{body}");
        assert_eq!(response.body()["book"]["name"], "shelves/1/books/2");
    }
    // An explicit mask wins, and is checked.
    let response = patch(
        &format!("{uri}?updateMask=title"),
        r#"{"title": "T", "labels": {"a": "b"}}"#,
    )
    .await;
    assert_eq!(response.body()["updateMask"], "title");
    let response = patch(
        &format!("{uri}?updateMask=titel,loans"),
        r#"{"title": "T"}"#,
    )
    .await;
    assert_eq!(
        details(&response),
        json!({"updateMask": "Names no field: titel", "loans": "Can't be changed"})
    );
}

#[tokio::test]
async fn an_update_is_judged_by_what_it_changes() {
    let uri = "/v1/shelves/1/books/2";
    // The title is not named, and may be missing; the author is, and may not be half.
    assert_eq!(
        patch(uri, r#"{"labels": {}}"#).await.status(),
        StatusCode::OK
    );
    let response = patch(uri, r#"{"title": "", "author": {"given": ""}}"#).await;
    assert_eq!(
        details(&response),
        json!({"title": "Must not be empty", "author.given": "Is required"})
    );
    let response = patch(
        uri,
        r#"{"loans": 5, "name": "shelves/9/books/9", "nope": 1}"#,
    )
    .await;
    assert_eq!(
        details(&response),
        json!({"nope": "Unknown field", "name": "Is given in the path and in the body", "loans": "Can't be changed"})
    );
}

#[tokio::test]
async fn admission_comes_before_the_body_is_read() {
    let uri = "/v1/shelves/1/books/2:lend";
    let response = send(Request::post(uri), "not for you").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    assert_eq!(response.body()["reason"], "UNAUTHENTICATED");
    let response = send(
        Request::post(uri).header(header::AUTHORIZATION, "library:read"),
        "",
    )
    .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = send(
        Request::post(uri).header(header::AUTHORIZATION, "library:lend"),
        "",
    )
    .await;
    assert_eq!(
        response.status(),
        StatusCode::CREATED,
        "{}",
        response.body()
    );
    assert_eq!(
        response.headers()[header::LOCATION],
        "/v1/loans/shelves%2F1%2Fbooks%2F2"
    );
    assert_eq!(response.body()["loans"], 1);
}

#[tokio::test]
async fn errors_of_handlers() {
    let response = get("/v1/shelves/1/books/missing").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        *response.body(),
        json!({"code": 5, "reason": "NOT_FOUND", "message": "No such book"})
    );
}

#[test]
fn the_description_has_every_operation() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    let operations: usize = paths
        .values()
        .map(|path| path.as_object().map_or(0, serde_json::Map::len))
        .sum();
    // OpenAPI has no word for any method: that rule stands under five.
    let bindings = transcode_tests::transcoder().bindings().count() + 4;
    assert_eq!(operations, bindings, "{:?}", paths.keys());
    assert!(
        paths.contains_key("/v1/shelves/{name}/books/{name2}:lend"),
        "{:?}",
        paths.keys()
    );
}

#[tokio::test]
async fn what_handler_and_policy_add_are_headers() {
    for (path, status) in [
        ("/v1/shelves/1/books/2", StatusCode::OK),
        ("/v1/shelves/1/books/missing", StatusCode::NOT_FOUND),
    ] {
        let response = get(path).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers["x-admitted"], "GetBook", "{path}");
        assert_eq!(headers["x-shelf"], "oak", "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        for name in ["grpc-shelf", "x-shelf-bin", "content-length"] {
            assert!(!headers.contains_key(name), "{name} {path}");
        }
    }
    // What HTTP refuses after admission, and what broke a rule.
    let media = send(Request::post("/v1/echo"), "text").await;
    assert_eq!(media.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let broken = get("/v1/echo?int32Value=x").await;
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    for response in [media, broken] {
        assert_eq!(response.headers()["x-admitted"], "Echo");
    }
    let refused = send(Request::post("/v1/shelves/1/books/2:lend"), "").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("x-admitted"));
}
