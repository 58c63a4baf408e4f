//! Requests and answers that are well-known types as a whole, and rules for any method.

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use transcode_tests::transcoder;

async fn call(method: &str, uri: &str, json: Option<&str>) -> (StatusCode, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(uri);
    if json.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::from(json.unwrap_or_default().to_owned()));
    let response = transcoder().handle(request.expect("a request")).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body");
    (status, body.to_bytes().to_vec())
}

fn body(answer: &[u8]) -> Value {
    serde_json::from_slice(answer).expect("JSON")
}

async fn reflect(kind: &str, json: &str) -> (StatusCode, Value) {
    let (status, answer) = call("POST", &format!("/v1/whole/{kind}"), Some(json)).await;
    (status, body(&answer))
}

#[tokio::test]
async fn what_a_well_known_type_is_in_json_comes_back() {
    for (kind, json) in [
        ("struct", json!({"a": [1, {"b": null}]})),
        ("struct", json!({})),
        ("value", json!([1, "two", null])),
        ("value", json!("text")),
        ("text", json!("text")),
        (
            "any",
            json!({"@type": "type.googleapis.com/compliance.v1.Result", "string": "s"}),
        ),
        (
            "any",
            json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}),
        ),
        ("names", json!({"result": {"string": "s"}})),
    ] {
        let (status, answer) = reflect(kind, &json.to_string()).await;
        assert_eq!((status, answer), (StatusCode::OK, json), "{kind}");
    }
}

#[tokio::test]
async fn what_it_is_not_is_refused() {
    for (kind, json, message) in [
        ("struct", "[]", "Must be an object"),
        ("struct", "null", "Must not be null"),
        ("text", "{}", "Must be a string"),
        (
            "any",
            r#"{"@type": "x/nope.Nope"}"#,
            "Must be the URL of a type",
        ),
    ] {
        let (status, answer) = reflect(kind, json).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{kind} {json}");
        assert!(
            answer.to_string().contains(message),
            "{kind} {json}: {answer}"
        );
    }
    let (status, answer) = call("POST", "/v1/whole/text?value=x", Some("\"text\"")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{}", body(&answer));
}

#[tokio::test]
async fn a_rule_for_any_method_takes_each() {
    for method in ["GET", "POST", "PATCH", "DELETE", "PURGE"] {
        let (status, answer) = call(method, "/v1/whole/now", None).await;
        assert_eq!(status, StatusCode::OK, "{method}");
        assert_eq!(body(&answer), json!("2024-01-15T10:30:00Z"), "{method}");
    }
    let (status, answer) = call("HEAD", "/v1/whole/now", None).await;
    assert_eq!((status, answer.len()), (StatusCode::OK, 0));
    let (status, answer) = call("GET", "/v1/whole/now?x=1", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{}", body(&answer));
}

#[tokio::test]
async fn nothing_is_an_object_without_fields() {
    let (status, answer) = call("DELETE", "/v1/compliance/samples/a/b", None).await;
    assert_eq!((status, body(&answer)), (StatusCode::OK, json!({})));
    let (status, _) = call("DELETE", "/v1/compliance/samples/missing", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stream_of_numbers() {
    let (status, answer) = call("POST", "/v1/whole/count", Some("\"3\"")).await;
    assert_eq!(status, StatusCode::OK);
    let text = String::from_utf8_lossy(&answer);
    for number in ["\"1\"", "\"2\"", "\"3\""] {
        assert!(text.contains(number), "{text}");
    }
}

/// What generated clients of Google's add to a query.
#[tokio::test]
async fn a_caller_may_say_that_it_wants_json() {
    let path = "/v1/compliance:query?name=a";
    for (alt, status) in [
        ("$alt=json%3Benum-encoding=int", StatusCode::OK),
        ("%24alt=json", StatusCode::OK),
        ("$alt=media", StatusCode::BAD_REQUEST),
    ] {
        let (found, _) = call("GET", &format!("{path}&{alt}"), None).await;
        assert_eq!(found, status, "{alt}");
    }
}

/// A type stands once in a list of types.
#[test]
fn null_is_not_null_or_null() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let result = &description["components"]["schemas"]["ResultInput"]["properties"];
    assert_eq!(result["nothing"]["type"], "null", "{result}");
}

/// A field of a message inside the request has one place, as any other.
#[test]
fn what_is_in_the_path_is_no_parameter_of_the_query() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let path = "/v1/compliance/shelves/{text}/books/{text2}/flag/{flag}:resource";
    let parameters = description["paths"][path]["get"]["parameters"].as_array();
    let names: Vec<_> = (parameters.expect("parameters").iter())
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    for name in ["sample.text", "sample.nested.text", "sample.flag"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    for name in ["sample.small", "sample.nested.ratio", "ordinal"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
