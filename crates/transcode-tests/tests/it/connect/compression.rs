//! Compressed messages, both ways.

use std::io::{Read as _, Write as _};

use http::StatusCode;
use serde_json::json;
use tokio_stream::iter;
use transcode_tests::Watch;
use transcode_tests::pb::library::v1::WatchBooksResponse;

use super::*;

const NAMES: &str = "zstd, br, gzip";

fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let level = flate2::Compression::best();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect("packed");
            encoder.finish().expect("packed")
        }
        "zstd" => zstd::encode_all(bytes, 19).expect("packed"),
        "br" => {
            let mut packed = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut packed, 4096, 11, 22);
            encoder.write_all(bytes).expect("packed");
            drop(encoder);
            packed
        }
        _ => panic!("no coding: {coding}"),
    }
}

fn unpack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match coding {
        "gzip" => {
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut unpacked).expect("unpacked");
        }
        "zstd" => zstd::stream::copy_decode(bytes, &mut unpacked).expect("unpacked"),
        "br" => {
            let mut decoder = brotli::Decompressor::new(bytes, 4096);
            decoder.read_to_end(&mut unpacked).expect("unpacked");
        }
        _ => panic!("no coding: {coding}"),
    }
    unpacked
}

#[tokio::test]
async fn unary_both_ways() {
    let server = Server::with(compressing(), Version::HTTP_11, |_| {}).await;
    let body = json!({"title": "x".repeat(1000)}).to_string();
    for coding in ["gzip", "zstd", "br"] {
        let packed = pack(coding, body.as_bytes());
        let request = || {
            post(PROOF, JSON)
                .header("content-encoding", coding)
                .header("accept-encoding", coding)
        };
        let answer = server.send(request(), packed.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{coding}");
        assert_eq!(answer.headers()["content-encoding"], coding);
        let unpacked: Value = serde_json::from_slice(&unpack(coding, answer.body())).expect("JSON");
        assert_eq!(unpacked["title"], "x".repeat(1000));
        // By GET the message is packed in the query.
        use base64::Engine as _;
        let message = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&packed);
        let query = format!("encoding=json&base64=1&compression={coding}&message={message}");
        let answer = server
            .send(Request::get(format!("{PROOF}?{query}")), "")
            .await;
        assert_eq!(json(&answer)["title"], "x".repeat(1000));
        // What is not what it says, what is too much when it is unpacked, what does not shrink.
        let answer = server.send(request(), "{}").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let bomb = pack(coding, &vec![b' '; 5000]);
        let bare = post(PROOF, JSON).header("content-encoding", coding);
        let answer = server.send(bare, bomb).await;
        assert_eq!(json(&answer)["code"], "resource_exhausted");
        let answer = server.send(request(), pack(coding, b"{}")).await;
        assert!(!answer.headers().contains_key("content-encoding"));
    }
    let answer = server
        .send(post(PROOF, JSON).header("content-encoding", "x"), "{}")
        .await;
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(json(&answer)["code"], "unimplemented");
    assert_eq!(answer.headers()["accept-encoding"], NAMES);
    // Off, where the settings do not say it.
    let plain = Server::start(Version::HTTP_11).await;
    let request = post(PROOF, JSON).header("content-encoding", "gzip");
    let answer = plain.send(request, pack("gzip", b"{}")).await;
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    assert!(!answer.headers().contains_key("accept-encoding"));
}

#[tokio::test]
async fn each_message_of_a_stream_by_itself() {
    let watch = Watch(Arc::new(|_| {
        let message = |token: &str| {
            Ok(WatchBooksResponse {
                token: token.to_owned(),
                ..WatchBooksResponse::default()
            })
        };
        Ok(Box::pin(iter([
            message(&"y".repeat(500)),
            message("short"),
        ])))
    }));
    let server = Server::with(compressing(), Version::HTTP_2, move |extensions| {
        extensions.insert(watch.clone());
    })
    .await;
    for coding in ["gzip", "zstd", "br"] {
        let request = |path| {
            post(path, STREAM_JSON)
                .header("connect-content-encoding", coding)
                .header("connect-accept-encoding", format!("x, {coding}"))
                // Of the body as a whole, which stays as it is.
                .header("accept-encoding", "gzip")
        };
        let answer = server
            .send(request(WATCH), envelope(1, pack(coding, b"{}")))
            .await;
        assert_eq!(answer.headers()["connect-content-encoding"], coding);
        assert_eq!(answer.headers()["connect-accept-encoding"], NAMES);
        assert!(!answer.headers().contains_key("content-encoding"));
        let found = envelopes(answer.body());
        assert_eq!(
            found.iter().map(|(flags, _)| *flags).collect::<Vec<_>>(),
            [1, 0, 2]
        );
        let first: Value = serde_json::from_slice(&unpack(coding, &found[0].1)).expect("JSON");
        assert_eq!(first["token"], "y".repeat(500));
        // Some of a request may be packed, and some not.
        let book = |title: &str| json!({"book": {"title": title}}).to_string();
        let body = [
            envelope(1, pack(coding, book("a").as_bytes())),
            envelope(0, book("b")),
        ];
        let answer = server.send(request(ADD), body.concat()).await;
        let (flags, message) = &envelopes(answer.body())[0];
        assert_eq!(*flags, 0, "too short");
        let message: Value = serde_json::from_slice(message).expect("JSON");
        assert_eq!(message["added"], json!(["a (0) ", "b (0) "]));
        for (body, code) in [
            (envelope(1, "{}"), "invalid_argument"),
            (
                envelope(1, pack(coding, &vec![b' '; 5000])),
                "resource_exhausted",
            ),
        ] {
            let answer = server.send(request(ADD), body).await;
            assert_eq!(read(&answer).1["error"]["code"], code, "{coding}");
        }
    }
    let other = post(ADD, STREAM_JSON).header("connect-content-encoding", "x");
    let answer = server.send(other, envelope(0, "{}")).await;
    assert_eq!(read(&answer).1["error"]["code"], "unimplemented");
    assert_eq!(answer.headers()["connect-accept-encoding"], NAMES);
}
