//! All protocols on one port, told apart by their content types.

use http::StatusCode;
use prost::Message as _;
use serde_json::json;
use tonic::transport::Endpoint;
use transcode_tests::pb::library::v1::Edition;
use transcode_tests::pb::library::v1::press_client::PressClient;

use super::*;

fn edition(title: &str) -> Edition {
    Edition {
        title: title.to_owned(),
        ..Edition::default()
    }
}

#[tokio::test]
async fn one_path_for_three_protocols() {
    let server = Server::start(Version::HTTP_11).await;
    let url = format!("http://{}", server.address);
    let channel = Endpoint::from_shared(url).expect("a URL").connect().await;
    let mut grpc = PressClient::new(channel.expect("a connection"));
    let mut request = tonic::Request::new(edition("Dune"));
    request
        .metadata_mut()
        .insert("x-ask", "a".parse().expect("a value"));
    let answer = grpc.proof(request).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-told").expect("metadata"), "a");
    assert_eq!(answer.into_inner(), edition("Dune"));
    // gRPC-Web: a message, and trailers in a frame.
    let message = envelope(0, edition("Dune").encode_to_vec());
    let web = server
        .send(post(PROOF, "application/grpc-web+proto"), message.clone())
        .await;
    assert_eq!(web.status(), StatusCode::OK);
    let found = envelopes(web.body());
    assert_eq!(found[0], (0, Bytes::from(edition("Dune").encode_to_vec())));
    let trailers = std::str::from_utf8(&found[1].1).expect("text");
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    assert!(
        trailers.contains("x-pages:7"),
        "the handler's trailers: {trailers}"
    );
    // Connect.
    let answer = server.send(post(PROOF, JSON), r#"{"title": "Dune"}"#).await;
    assert_eq!(json(&answer)["title"], "Dune");
    // And REST, beside them.
    let rest = server.send(Request::get("/v1/shelves/1/books/2"), "").await;
    assert_eq!(json(&rest)["name"], "shelves/1/books/2");
}

#[tokio::test]
async fn the_trailers_of_a_handler_are_those_of_grpc() {
    let server = Server::start(Version::HTTP_2).await;
    let request = post(PROOF, "application/grpc").header("te", "trailers");
    let body = Body::new(Full::from(envelope(0, edition("Dune").encode_to_vec())));
    let answer = server.open(request, body).await;
    let collected = answer.into_body().collect().await.expect("a body");
    let trailers = collected.trailers().expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["x-pages"], "7");
}

#[tokio::test]
async fn the_description_is_about_rest() {
    let description: Value = serde_json::from_str(transcode_tests::OPENAPI_JSON).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.keys().all(|path| !path.contains("library.v1")));
    assert_eq!(description["paths"][PROOF], json!(null));
}
