//! Unary calls by GET.

use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use prost::Message as _;
use serde_json::json;
use transcode::rest::Settings;
use transcode_tests::pb::library::v1::Edition;
use transcode_tests::settings;

use super::*;

fn get(query: &str) -> http::request::Builder {
    Request::get(format!("{PROOF}?{query}"))
}

#[tokio::test]
async fn the_message_is_in_the_query() {
    let edition = Edition {
        title: "Dune?>".to_owned(),
        ..Edition::default()
    };
    let bytes = edition.encode_to_vec();
    let (padded, bare) = (
        BASE64_URL_SAFE.encode(&bytes),
        BASE64_URL_SAFE_NO_PAD.encode(&bytes),
    );
    for version in VERSIONS {
        let server = Server::start(version).await;
        let query = "connect=v1&encoding=json&message=%7B%22title%22%3A%22Dune+%26c%22%7D";
        let answer = server.send(get(query).header("x-ask", "a"), "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let headers = answer.headers();
        assert_eq!(headers["content-type"], JSON);
        assert_eq!(
            headers["cache-control"], "max-age=60",
            "a cache may keep it"
        );
        assert_eq!(
            (&headers["x-method"], &headers["x-told"]),
            (&"GET".parse().unwrap(), &"a".parse().unwrap())
        );
        assert_eq!(json(&answer)["title"], "Dune &c");
        for message in [&padded, &bare] {
            let query = format!("message={message}&base64=1&encoding=proto");
            let answer = server.send(get(&query), "").await;
            assert_eq!(answer.headers()["content-type"], PROTO);
            assert_eq!(
                Edition::decode(&**answer.body()).expect("an edition"),
                edition
            );
        }
        // By POST it is no GET.
        let answer = server.send(post(PROOF, JSON), "{}").await;
        assert!(!answer.headers().contains_key("x-method"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query() {
    let server = Server::start(Version::HTTP_2).await;
    for (query, status, message) in [
        ("encoding=json", 400, "The query needs a message"),
        ("encoding=json&message=%7B", 400, "Malformed JSON"),
        (
            "encoding=json&message=%%%&base64=1",
            400,
            "The message of the query must be base64 for URLs",
        ),
        (
            "encoding=json&message=%7B%7D&connect=v2",
            400,
            "The query must say connect=v1",
        ),
        (
            "encoding=json&message=%7B%7D&compression=gzip",
            501,
            "The compression is not supported",
        ),
    ] {
        let answer = server.send(get(query), "").await;
        assert_eq!(answer.status(), status, "{query}");
        assert_eq!(json(&answer)["message"], message, "{query}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    for query in ["message=%7B%7D", "message=%7B%7D&encoding=xml"] {
        let answer = server.send(get(query), "").await;
        assert_eq!(
            answer.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{query}"
        );
    }
    let query = "encoding=json&message=%7B%7D";
    let answer = server.send(get(query), "{}").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "a body");
    let long = format!(
        "encoding=json&message=%7B%22title%22%3A%22{}%22%7D",
        "x".repeat(4096)
    );
    let answer = server.send(get(&long), "").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(json(&answer)["code"], "resource_exhausted");
}

#[tokio::test]
async fn only_what_has_no_side_effects() {
    let server = Server::start(Version::HTTP_11).await;
    let query = "?encoding=json&message=%7B%7D";
    let answer = server
        .send(Request::get(format!("{PRINT}{query}")), "")
        .await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "POST");
    let answer = server.send(get(query).method(Method::HEAD), "").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "GET, POST");
}

#[tokio::test]
async fn a_version_that_is_asked_for_is_in_the_query() {
    let strict = Settings {
        connect: Some(connect::Options {
            require_version: true,
        }),
        ..settings()
    };
    let server = Server::with(strict, Version::HTTP_11, |_| {}).await;
    let query = "encoding=json&message=%7B%7D";
    let answer = server.send(get(query), "").await;
    assert_eq!(
        json(&answer)["message"],
        json!("The query must say connect=v1")
    );
    let query = format!("{query}&connect=v1");
    assert_eq!(server.send(get(&query), "").await.status(), StatusCode::OK);
}
