//! Unary calls by POST.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use http::StatusCode;
use prost::Message as _;
use serde_json::json;
use transcode::rest::Settings;
use transcode_tests::pb::library::v1::{Edition, GetBookRequest};
use transcode_tests::{Lend, settings, transcoder_of};

use super::*;

#[tokio::test]
async fn a_message_for_a_message_in_both_codecs() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let answer = server.send(post(PROOF, JSON), r#"{"title": "Dune"}"#).await;
        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, version)
        );
        assert_eq!(answer.headers()["content-type"], JSON);
        assert_eq!(answer.headers()["x-admitted"], "Proof");
        assert_eq!(json(&answer)["title"], "Dune");
        let edition = Edition {
            title: "Dune".to_owned(),
            ..Edition::default()
        };
        let answer = server
            .send(post(PROOF, PROTO), edition.encode_to_vec())
            .await;
        assert_eq!(answer.headers()["content-type"], PROTO);
        assert_eq!(
            Edition::decode(&**answer.body()).expect("an edition"),
            edition
        );
        // Without a version, and as a program writes it that says the charset.
        let plain = Request::post(PROOF).header("content-type", "Application/JSON; charset=UTF-8");
        let answer = server.send(plain, "{}").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], JSON);
    }
}

#[tokio::test]
async fn metadata_goes_both_ways_and_trailers_come_as_headers() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        let request = post(PROOF, JSON)
            .header("x-ask", "a")
            .header("x-ask", "b")
            .header("x-ask-bin", "b2Fr")
            .header("connect-timeout-ms", "5000")
            .header("grpc-timeout", "1H");
        let answer = server.send(request, "{}").await;
        let headers = answer.headers();
        let told: Vec<_> = headers.get_all("x-told").iter().collect();
        assert_eq!(told, ["a", "b"]);
        assert_eq!(headers["x-told-bin"], BASE64_STANDARD_NO_PAD.encode("kao"));
        assert_eq!(
            headers["x-timeout"], "5000m",
            "of this protocol, not of gRPC"
        );
        assert_eq!(headers["trailer-x-pages"], "7");
        assert_eq!(
            headers["trailer-x-ink-bin"],
            BASE64_STANDARD_NO_PAD.encode("ink")
        );
        assert!(!headers.contains_key("connect-x"));
        assert!(!headers.contains_key("trailer"));
        assert!(!headers.contains_key("cache-control"), "of a POST");
    }
}

#[tokio::test]
async fn errors_are_json_with_a_status_of_http() {
    for version in VERSIONS {
        let server = Server::start(version).await;
        // In either codec.
        let torn = Edition {
            title: "torn".to_owned(),
            ..Edition::default()
        };
        for (codec, body) in [
            (JSON, br#"{"title": "torn"}"#.to_vec()),
            (PROTO, torn.encode_to_vec()),
        ] {
            let answer = server
                .send(post(PROOF, codec).header("x-ask", "a"), body)
                .await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
            assert_eq!(answer.headers()["content-type"], JSON);
            assert_eq!(answer.headers()["cache-control"], "no-store");
            assert_eq!(answer.headers()["x-told"], "a");
            assert_eq!(answer.headers()["x-admitted"], "Proof");
            let value = BASE64_STANDARD_NO_PAD.encode(torn.encode_to_vec());
            assert_eq!(
                json(&answer),
                json!({
                    "code": "failed_precondition",
                    "message": "It is torn",
                    "details": [{"type": "library.v1.Edition", "value": value}],
                })
            );
        }
    }
}

#[tokio::test]
async fn who_may_call_is_asked_before_anything_is_read() {
    let server = Server::start(Version::HTTP_11).await;
    for content_type in [JSON, PROTO, "image/png"] {
        let answer = server.send(post(PRINT, content_type), "no message").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_eq!(json(&answer)["code"], "unauthenticated");
        let other = post(PRINT, content_type).header("authorization", "press:read");
        let answer = server.send(other, "no message").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(json(&answer)["code"], "permission_denied");
    }
    let known = post(PRINT, JSON).header("authorization", "press:print");
    assert_eq!(server.send(known, "{}").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_at_once() {
    use tonic_types::StatusExt as _;
    let server = Server::start(Version::HTTP_11).await;
    let long = "x".repeat(1001);
    let body = json!({"title": long, "price": "1.234"}).to_string();
    let answer = server.send(post(PROOF, JSON), body).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let error = json(&answer);
    assert_eq!(error["code"], "invalid_argument");
    let details = error["details"].as_array().expect("details").iter();
    let bad = details
        .clone()
        .find(|detail| detail["type"] == "google.rpc.BadRequest")
        .expect("a detail");
    assert_eq!(bad["debug"]["fieldViolations"][0]["field"], "title");
    let bytes = BASE64_STANDARD_NO_PAD.decode(bad["value"].as_str().expect("text"));
    let bad = tonic_types::pb::BadRequest::decode(&*bytes.expect("base64")).expect("a message");
    let fields: Vec<_> = bad.field_violations.iter().map(|v| &*v.field).collect();
    assert_eq!(fields, ["title", "price"]);
    // The same that gRPC says.
    let grpc = transcode_tests::press();
    let message = Edition {
        title: long,
        price: Some("1.234".to_owned()),
        ..Edition::default()
    };
    use transcode_tests::pb::library::v1::press_server::Press as _;
    let status = grpc.proof(tonic::Request::new(message)).await;
    let status = status.expect_err("refused");
    assert_eq!(error["message"], status.message());
    let same = status.get_details_bad_request().expect("a detail");
    assert_eq!(same.field_violations.len(), 2);
    for (codec, body) in [
        (JSON, "{"),
        (JSON, ""),
        (JSON, "{} {}"),
        (PROTO, "\x0a\x05a"),
    ] {
        let answer = server.send(post(PROOF, codec), body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(json(&answer)["code"], "invalid_argument");
    }
}

#[tokio::test]
async fn a_handler_hears_of_a_call_as_of_any_other() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let lend = Lend(Arc::new(move |request: &tonic::Request<GetBookRequest>| {
        let name = request.get_ref().name.clone();
        sender.send(name).expect("a listener");
        Ok(3)
    }));
    let server = Server::with(connecting(), Version::HTTP_2, move |extensions| {
        extensions.insert(lend.clone());
    })
    .await;
    let request =
        post("/library.v1.Library/LendBook", JSON).header("authorization", "library:lend");
    let answer = server
        .send(request, r#"{"name": "shelves/1/books/2"}"#)
        .await;
    // What REST says of the answer is for REST.
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("location"));
    assert_eq!(json(&answer)["loans"], 3);
    assert_eq!(seen.recv().await.as_deref(), Some("shelves/1/books/2"));
}

#[tokio::test]
async fn without_the_setting_there_is_no_connect() {
    let off = transcoder_of(settings());
    let request = post(PROOF, JSON).body(Full::new(Bytes::from("{}")));
    let answer = off.handle(request.expect("a request")).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let strict = Settings {
        connect: Some(connect::Options {
            require_version: true,
        }),
        ..settings()
    };
    let server = Server::with(strict, Version::HTTP_11, |_| {}).await;
    let without = Request::post(PROOF).header("content-type", JSON);
    let answer = server.send(without, "{}").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let message = "Connect-Protocol-Version: 1 is required";
    assert_eq!(json(&answer)["message"], message);
    assert_eq!(server.send(post(PROOF, JSON), "{}").await.status(), 200);
}
