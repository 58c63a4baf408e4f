//! Requests that are streams, over connections: those of HTTP, and those of tonic.

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::{StreamExt as _, iter};
use tonic::Code;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use transcode_tests::intake::Watch;
use transcode_tests::pb::library::v1::add_book_request::NewBook;
use transcode_tests::pb::library::v1::intake_client::IntakeClient;
use transcode_tests::pb::library::v1::intake_server::IntakeServer;
use transcode_tests::pb::library::v1::{AddBookRequest, UploadScanRequest};
use transcode_tests::{intake, transcoder};

use super::{ADD, APPRAISE, LINES, watch};
use crate::connection::read_until;

/// A connection to a server, whose requests have a watch.
async fn connect(watch: Watch) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new()
        .fallback_service(transcoder())
        .layer(axum::Extension(watch));
    tokio::spawn(async move { axum::serve(listener, router).await });
    TcpStream::connect(address).await.expect("a connection")
}

/// Begins a request whose body comes in chunks.
async fn begin(connection: &mut TcpStream, uri: &str) {
    let head = format!(
        "POST {uri} HTTP/1.1\r\nhost: x\r\naccept: {LINES}, application/json;q=0.5\r\ncontent-type: {LINES}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
}

async fn chunk(connection: &mut TcpStream, text: &str) {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    connection.write_all(chunk.as_bytes()).await.expect("sent");
}

#[tokio::test]
async fn a_connection_goes_both_ways_at_once() {
    let mut connection = connect(Watch::default()).await;
    begin(&mut connection, APPRAISE).await;
    chunk(&mut connection, "{\"book\":{\"title\":\"a\"}}\n").await;
    let begun = read_until(&mut connection, "{\"title\":\"a\",\"worth\":0}").await;
    assert!(begun.starts_with("HTTP/1.1 200 OK\r\n"), "{begun}");
    chunk(&mut connection, "{\"book\":{\"title\":\"b\"}}\n").await;
    read_until(&mut connection, "{\"title\":\"b\",\"worth\":0}").await;
    chunk(&mut connection, "").await;
    read_until(&mut connection, "0\r\n\r\n").await;
}

#[tokio::test]
async fn the_end_of_a_connection_ends_the_handler() {
    let (watch, mut seen) = watch(None);
    let mut connection = connect(watch).await;
    begin(&mut connection, ADD).await;
    chunk(&mut connection, "{\"title\":\"a\"}\n").await;
    assert_eq!(seen.recv().await.as_deref(), Some("called"));
    assert_eq!(seen.recv().await.as_deref(), Some("a"));
    drop(connection);
    assert_eq!(seen.recv().await.as_deref(), Some("gone"));
}

/// A client of a server of tonic.
async fn client() -> IntakeClient<tonic::transport::Channel> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address"));
    let incoming = incoming.expect("a port");
    let address = incoming.local_addr().expect("an address");
    let server = Server::builder().add_service(IntakeServer::new(intake()));
    tokio::spawn(server.serve_with_incoming(incoming));
    let client = IntakeClient::connect(format!("http://{address}")).await;
    client.expect("a server")
}

fn book(title: &str) -> AddBookRequest {
    AddBookRequest {
        shelf: "shelves/1".to_owned(),
        book: Some(NewBook {
            title: title.to_owned(),
            pages: 1,
        }),
        by: "Ursula".to_owned(),
    }
}

#[tokio::test]
async fn tonic_gets_the_same_behind_the_same_policy() {
    let mut client = client().await;
    let answer = client
        .add_books(iter([book("a"), book("b")]))
        .await
        .expect("added");
    assert_eq!(
        answer.metadata().get("x-admitted").expect("metadata"),
        "AddBooks"
    );
    let added = answer.into_inner().added;
    assert_eq!(added, ["a (1) Ursula", "b (1) Ursula"]);
    let refused = client.add_books(iter([book("a"), book(""), book("c")]));
    let refused = refused.await.expect_err("no title");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "Invalid request parameters in message 2");
    let stranger = client.upload_scan(iter([UploadScanRequest::default()]));
    let stranger = stranger.await.expect_err("nobody");
    assert_eq!(stranger.code(), Code::Unauthenticated);
    let answer = client.appraise(iter([book("a"), book(""), book("c")]));
    let mut answer = answer.await.expect("a stream").into_inner();
    let first = answer.next().await.expect("a message").expect("no error");
    assert_eq!(first.title, "a");
    let second = answer.next().await.expect("a message");
    assert_eq!(second.expect_err("no title").code(), Code::InvalidArgument);
    assert!(answer.next().await.is_none());
}
