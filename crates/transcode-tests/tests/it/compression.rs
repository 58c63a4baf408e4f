//! Compressed bodies, both ways.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use prost::Message as _;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use transcode::rest::{Body, Compression, Settings, Transcoder};
use transcode_tests::pb::library::v1::{EchoRequest, Shelf};
use transcode_tests::{Watch, settings, transcoder, transcoder_of};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

fn compressing() -> Transcoder {
    transcoder_of(Settings {
        compression: Some(Compression::default()),
        ..settings()
    })
}

fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "zstd" => zstd::encode_all(bytes, 19).expect("packed"),
        "br" => {
            let mut packed = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut packed, 4096, 11, 22);
            encoder.write_all(bytes).expect("packed");
            drop(encoder);
            packed
        }
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).expect("packed");
            encoder.finish().expect("packed")
        }
        _ => panic!("no coding: {coding}"),
    }
}

fn unpack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match coding {
        "zstd" => zstd::stream::copy_decode(bytes, &mut unpacked).expect("unpacked"),
        "br" => {
            let mut decoder = brotli::Decompressor::new(bytes, 4096);
            decoder.read_to_end(&mut unpacked).expect("unpacked");
        }
        "gzip" => {
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut unpacked).expect("unpacked");
        }
        _ => panic!("no coding: {coding}"),
    }
    unpacked
}

async fn read(response: Response<Body>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, body)
}

async fn send(request: http::request::Builder, body: Vec<u8>) -> Response<Bytes> {
    let request = request.body(Full::from(body)).expect("a request");
    read(compressing().handle(request).await).await
}

fn echo(coding: &str) -> http::request::Builder {
    Request::post("/v1/echo")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_ENCODING, coding)
}

fn message(response: &Response<Bytes>) -> Value {
    let json: Value = serde_json::from_slice(response.body()).expect("JSON");
    json["message"].clone()
}

#[tokio::test]
async fn requests_are_unpacked() {
    for coding in CODINGS
        .into_iter()
        .chain(["GZIP", " x-gzip ", "identity, zstd"])
    {
        let known = CODINGS.into_iter().find(|known| coding.contains(known));
        let packed = pack(known.unwrap_or("gzip"), br#"{"text": "x"}"#);
        let response = send(echo(coding), packed).await;
        assert_eq!(response.status(), StatusCode::OK, "{coding}");
        let json: Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(json["text"], "x");
    }
    let message = EchoRequest {
        text: "x".to_owned(),
        ..EchoRequest::default()
    };
    let binary = Request::post("/v1/echo")
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONTENT_ENCODING, "zstd");
    let response = send(binary, pack("zstd", &message.encode_to_vec())).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn codings_that_are_not_taken() {
    for coding in ["deflate", "gzip, gzip", "br, zstd", "x"] {
        let response = send(echo(coding), pack("gzip", b"{}")).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(
            response.headers()[header::ACCEPT_ENCODING],
            "zstd, br, gzip"
        );
    }
    let strange = header::HeaderValue::from_bytes(b"gz\xefp").expect("a value");
    let request = Request::post("/v1/echo")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_ENCODING, strange);
    let response = send(request, b"{}".to_vec()).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let twice = echo("gzip").header(header::CONTENT_ENCODING, "gzip");
    let response = send(twice, pack("gzip", &pack("gzip", b"{}"))).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Where it is not asked for, nothing is unpacked or packed.
    let request = echo("gzip").body(Full::from(pack("gzip", b"{}")));
    let response = transcoder().handle(request.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.headers()[header::ACCEPT_ENCODING], "identity");
    let request = describe(1000).header(header::ACCEPT_ENCODING, "gzip");
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let response = transcoder().handle(request).await;
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(response.headers()[header::VARY], "accept");
}

#[tokio::test]
async fn bodies_that_are_not_what_they_say() {
    for coding in CODINGS {
        let packed = pack(coding, br#"{"text": "x"}"#);
        let short = packed[..packed.len() - 1].to_vec();
        let long = [&packed[..], b"more"].concat();
        for body in [short, long, b"{}".to_vec(), Vec::new()] {
            let response = send(echo(coding), body).await;
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{coding}");
            assert_eq!(
                message(&response),
                "The body is not what Content-Encoding says"
            );
        }
        let response = send(echo(coding), pack(coding, b"{")).await;
        assert_eq!(message(&response), "Malformed JSON");
    }
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_ends() {
    for coding in CODINGS {
        // It fits, packed; and does not end.
        let packed = pack(coding, &vec![b' '; 1 << 20]);
        assert!(packed.len() < 4096, "{coding} {}", packed.len());
        let pieces = packed.chunks(100).map(Bytes::copy_from_slice);
        let pieces: Vec<_> = pieces
            .map(|piece| Ok::<_, Infallible>(Frame::data(piece)))
            .collect();
        let endless = tokio_stream::iter(pieces).chain(tokio_stream::pending());
        let request = echo(coding).body(StreamBody::new(endless));
        let response = compressing().handle(request.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{coding}");
        // What is packed may be no larger either, though it says nothing.
        let nothing = pack(coding, b"");
        let endless = std::iter::repeat_with(move || {
            Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(&nothing)))
        });
        let request = echo(coding).body(StreamBody::new(tokio_stream::iter(endless)));
        let response = compressing().handle(request.expect("a request")).await;
        assert!(response.status().is_client_error(), "{coding}");
    }
    // As large as a body may be, and one byte more.
    let text = |spaces| [&vec![b' '; spaces][..], b"{}"].concat();
    for coding in CODINGS {
        let response = send(echo(coding), pack(coding, &text(4094))).await;
        assert_eq!(response.status(), StatusCode::OK, "{coding}");
        let response = send(echo(coding), pack(coding, &text(4095))).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{coding}");
    }
}

/// Asks for an answer of some length.
fn describe(lines: u32) -> http::request::Builder {
    Request::get(format!("/v1/shelves/1:describe?line=ab&lines={lines}"))
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_it() {
    let plain = send(describe(1000), Vec::new()).await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    let vary = |headers: &HeaderMap| {
        let values = headers.get_all(header::VARY).iter();
        let values: Vec<_> = values
            .map(|value| value.to_str().expect("text").to_owned())
            .collect();
        values.join(", ")
    };
    assert_eq!(vary(plain.headers()), "accept, accept-encoding");
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("*", "zstd"),
    ] {
        let response = send(
            describe(1000).header(header::ACCEPT_ENCODING, accept),
            Vec::new(),
        )
        .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_ENCODING],
            coding,
            "{accept}"
        );
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(vary(response.headers()), "accept, accept-encoding");
        assert!(response.body().len() < plain.body().len() / 4);
        assert_eq!(unpack(coding, response.body()), plain.body().to_vec());
    }
    for accept in [
        "",
        "identity",
        "deflate",
        "gzip;q=0",
        "gzip;q=0.5, identity",
    ] {
        let response = send(
            describe(1000).header(header::ACCEPT_ENCODING, accept),
            Vec::new(),
        )
        .await;
        assert!(
            !response.headers().contains_key(header::CONTENT_ENCODING),
            "{accept}"
        );
        assert_eq!(response.body(), plain.body());
    }
    let binary = describe(1000)
        .header(header::ACCEPT, "application/x-protobuf")
        .header(header::ACCEPT_ENCODING, "br");
    let response = send(binary, Vec::new()).await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
    assert_eq!(response.headers()[header::ETAG], "\"3.17-pb-br\"");
    let shelf = Shelf::decode(&*unpack("br", response.body())).expect("a message");
    assert_eq!(shelf.text.len(), 2000);
}

#[tokio::test]
async fn what_is_short_or_has_no_body_is_not() {
    let gzip = |request: http::request::Builder| request.header(header::ACCEPT_ENCODING, "gzip");
    let short = send(gzip(describe(100)), Vec::new()).await;
    assert!(!short.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(short.headers()[header::VARY], "accept");
    let head = send(gzip(describe(1000)).method("HEAD"), Vec::new()).await;
    assert!(!head.headers().contains_key(header::CONTENT_ENCODING));
    assert!(head.body().is_empty());
    let length = send(describe(1000), Vec::new()).await.body().len();
    let told = head.headers()[header::CONTENT_LENGTH].to_str();
    assert_eq!(told.expect("text"), length.to_string());
    // A stream, however much it says.
    let message = || {
        let book = transcode_tests::pb::library::v1::Book {
            title: "T".repeat(5000),
            ..Default::default()
        };
        let token = String::new();
        Ok(transcode_tests::pb::library::v1::WatchBooksResponse {
            book: Some(book),
            token,
        })
    };
    let watch = Watch(Arc::new(move |_| {
        Ok(Box::pin(tokio_stream::iter([message()])))
    }));
    let request = gzip(Request::get("/v1/shelves/1/books:watch")).extension(watch);
    let stream = send(request, Vec::new()).await;
    assert_eq!(stream.status(), StatusCode::OK);
    assert!(!stream.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_compressed_answer_has_a_tag_of_its_own() {
    for coding in CODINGS {
        let get = || describe(1000).header(header::ACCEPT_ENCODING, coding);
        let response = send(get(), Vec::new()).await;
        let tag = response.headers()[header::ETAG].clone();
        assert_eq!(tag, format!("\"3.17-{coding}\""));
        // The tag that came is a tag that is known, and that of the bare answer as well.
        for known in [tag.to_str().expect("text"), "\"3.17\""] {
            let response = send(get().header(header::IF_NONE_MATCH, known), Vec::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], known);
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
            let vary = response.headers().get_all(header::VARY).iter();
            assert!(vary.into_iter().any(|value| value == "accept-encoding"));
            assert!(response.body().is_empty());
        }
        let other = get().header(header::IF_NONE_MATCH, format!("\"3.18-{coding}\""));
        assert_eq!(send(other, Vec::new()).await.status(), StatusCode::OK);
        // Whoever read the resource in this form can change it.
        let request = describe(0).header(header::IF_MATCH, &tag);
        let shelf: Value =
            serde_json::from_slice(send(request, Vec::new()).await.body()).expect("JSON");
        assert_eq!(shelf["expected"], json!(["3.17", format!("3.17-{coding}")]));
    }
}
