//! What is refused, and how it is told.

use http::{Method, StatusCode};
use serde_json::json;
use transcode_tests::pb::library::v1::press::METHODS;

use super::*;

#[tokio::test]
async fn other_types_of_bodies() {
    let server = Server::start(Version::HTTP_11).await;
    let unary = "application/json, application/proto";
    let stream = "application/connect+json, application/connect+proto";
    for (path, content_type, accepted) in [
        (PROOF, "image/png", unary),
        (PROOF, "application/jsonx", unary),
        (PROOF, "application/json; charset=latin1", unary),
        // In the other kind's.
        (PROOF, STREAM_JSON, unary),
        (WATCH, JSON, stream),
        (ADD, PROTO, stream),
        (APPRAISE, "text/plain", stream),
        // gRPC in a format that nobody reads here.
        (PROOF, "application/grpc+json", unary),
    ] {
        let answer = server.send(post(path, content_type), "{}").await;
        assert_eq!(
            answer.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type}"
        );
        assert_eq!(answer.headers()["accept-post"], accepted);
        let text = std::str::from_utf8(answer.body()).expect("text");
        assert!(text.starts_with("Content-Type must be "), "{text}");
    }
    let none = server.send(Request::post(PROOF), "{}").await;
    assert_eq!(none.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn other_methods() {
    let server = Server::start(Version::HTTP_11).await;
    for spec in METHODS {
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = server
                .send(post(spec.path, JSON).method(method), "{}")
                .await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert!(
                answer.headers()["allow"]
                    .to_str()
                    .expect("text")
                    .ends_with("POST")
            );
        }
    }
    let options = Request::builder().method(Method::OPTIONS).uri(PROOF);
    let answer = server.send(options, "").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.headers()["allow"], "GET, POST");
}

#[tokio::test]
async fn rpcs_that_there_are_not() {
    let server = Server::start(Version::HTTP_11).await;
    let unknown = json!({"code": "unimplemented", "message": "No such RPC"});
    for request in [
        post("/library.v1.Press/Burn", JSON),
        Request::post("/library.v1.Press/Burn").header("content-type", "text/plain"),
        post("/library.v1.Nothing/Burn", PROTO),
        post("/library.v1.Nothing/Burn", STREAM_PROTO),
        post("/nowhere", JSON),
    ] {
        let answer = server.send(request, "{}").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(json(&answer), unknown);
    }
    // What says nothing of this protocol is REST's to refuse.
    let other = Request::post("/nowhere").header("content-type", JSON);
    assert_eq!(json(&server.send(other, "{}").await)["reason"], "NOT_FOUND");
}

#[tokio::test]
async fn other_versions_and_no_timeouts() {
    let server = Server::start(Version::HTTP_2).await;
    let other = Request::post(PROOF)
        .header("content-type", JSON)
        .header("connect-protocol-version", "2");
    let answer = server.send(other, "{}").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        json(&answer)["message"],
        "Connect-Protocol-Version must be 1"
    );
    for timeout in ["soon", "-1", "12345678901", ""] {
        let request = post(PROOF, JSON).header("connect-timeout-ms", timeout);
        let answer = server.send(request, "{}").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{timeout}");
        let request = post(WATCH, STREAM_JSON).header("connect-timeout-ms", timeout);
        let (_, end) = read(&server.send(request, envelope(0, "{}")).await);
        assert_eq!(end["error"]["code"], "invalid_argument", "{timeout}");
    }
}

#[tokio::test]
async fn frames_that_are_none() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let good = envelope(0, r#"{"book": {"title": "a"}}"#);
        for (rest, code, message) in [
            (
                vec![0, 0],
                "invalid_argument",
                "The body ended in message 2",
            ),
            (
                vec![0, 0, 0, 0, 9, 1],
                "invalid_argument",
                "The body ended in message 2",
            ),
            (
                vec![0, 0, 0, 0, 9],
                "invalid_argument",
                "The body ended in message 2",
            ),
            (
                envelope(2, "{}"),
                "invalid_argument",
                "Message 2 has flags that no request has: 2",
            ),
            (
                envelope(0x80, ""),
                "invalid_argument",
                "Message 2 has flags that no request has: 128",
            ),
            (
                envelope(1, "{}"),
                "internal",
                "Message 2 is compressed, and Connect-Content-Encoding names nothing",
            ),
            (
                envelope(0, "{"),
                "invalid_argument",
                "Malformed JSON in message 2",
            ),
            (
                envelope(0, ""),
                "invalid_argument",
                "Malformed JSON in message 2",
            ),
        ] {
            let body = [good.clone(), rest].concat();
            let (messages, end) = read(&server.send(post(ADD, STREAM_JSON), body).await);
            assert!(messages.is_empty());
            assert_eq!(end["error"]["code"], code, "{message}");
            assert_eq!(end["error"]["message"], message);
        }
    }
}

#[tokio::test]
async fn requests_that_have_one_message_have_one() {
    let server = Server::start(Version::HTTP_2).await;
    for (body, message) in [
        (vec![], "The request has no message"),
        (
            envelope(0, "{}").repeat(2),
            "The request has more than one message",
        ),
    ] {
        let (_, end) = read(&server.send(post(WATCH, STREAM_JSON), body).await);
        let error = json!({"code": "unimplemented", "message": message});
        assert_eq!(end["error"], error);
    }
}

#[tokio::test]
async fn messages_have_a_longest_length() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let title = "x".repeat(4096);
        let body = json!({"title": title}).to_string();
        let answer = server.send(post(PROOF, JSON), body).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let message = "A message must not be larger than 4096 bytes";
        let error = json!({"code": "resource_exhausted", "message": message});
        assert_eq!(json(&answer), error);
        // That of the RPC, and of each message by itself; told before it has come.
        let fits = envelope(0, json!({"book": {"title": "x".repeat(70)}}).to_string());
        let mut body = fits.repeat(3);
        body.extend([0, 0, 0, 0, 101]);
        let (messages, end) = read(&server.send(post(APPRAISE, STREAM_JSON), body).await);
        assert_eq!(messages.len(), 3);
        let message = "A message must not be larger than 100 bytes";
        assert_eq!(
            end["error"],
            json!({"code": "resource_exhausted", "message": message})
        );
    }
}
