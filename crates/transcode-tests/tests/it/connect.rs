//! Calls by Connect, over connections of both versions of HTTP.

mod compression;
mod get;
mod json;
mod lingering;
mod refusals;
mod stream;
mod together;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Extensions, Request, Response, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _};
use transcode::rest::{Body, Compression, Settings};
use transcode::{Lingering, OnePort, SendTrailers, connect};
use transcode_tests::pb::library::v1::intake_server::IntakeServer;
use transcode_tests::pb::library::v1::library_server::LibraryServer;
use transcode_tests::pb::library::v1::press_server::PressServer;
use transcode_tests::{intake, press, settings, stack, transcoder_of};

const PROOF: &str = "/library.v1.Press/Proof";
const PRINT: &str = "/library.v1.Press/Print";
const WATCH: &str = "/library.v1.Library/WatchBooks";
const ADD: &str = "/library.v1.Intake/AddBooks";
const APPRAISE: &str = "/library.v1.Intake/Appraise";

const JSON: &str = "application/json";
const PROTO: &str = "application/proto";
const STREAM_JSON: &str = "application/connect+json";
const STREAM_PROTO: &str = "application/connect+proto";

/// Both versions of HTTP.
const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server and who calls it.
struct Server {
    address: std::net::SocketAddr,
    client: Client<HttpConnector, Body>,
}

/// As the tests of REST have them, with Connect.
fn connecting() -> Settings {
    Settings {
        connect: Some(connect::Options::default()),
        ..settings()
    }
}

/// With compression of all that shrinks.
fn compressing() -> Settings {
    Settings {
        compression: Some(Compression { min_bytes: 64 }),
        ..connecting()
    }
}

impl Server {
    /// A server of all protocols that is called by one version of HTTP. `extend` puts into the extensions of requests
    /// what handlers look for.
    async fn with(
        settings: Settings,
        version: Version,
        extend: impl Fn(&mut Extensions) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = Routes::new(LibraryServer::new(stack()))
            .add_service(IntakeServer::new(intake()))
            .add_service(PressServer::new(press()));
        let grpc = GrpcWebLayer::new().layer(SendTrailers(routes.prepare()));
        let extend = Arc::new(extend);
        let service = OnePort::new(transcoder_of(settings), grpc);
        let service = service.map_request(move |mut request: Request<_>| {
            extend(request.extensions_mut());
            request
        });
        let service = Lingering(service);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                });
            }
        });
        let client = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http();
        Self { address, client }
    }

    async fn start(version: Version) -> Self {
        Self::with(connecting(), version, |_| {}).await
    }

    /// Sends a request to a path.
    async fn open(&self, request: http::request::Builder, body: Body) -> Response<Incoming> {
        let mut request = request.body(body).expect("a request");
        let url = format!("http://{}{}", self.address, request.uri());
        *request.uri_mut() = url.parse().expect("a URL");
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        answer.expect("in time").expect("an answer")
    }

    /// Sends a request and reads all of the answer.
    async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        let body = Body::new(Full::new(body.into()));
        let (parts, body) = self.open(request, body).await.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("in time");
        Response::from_parts(parts, body.expect("a body").to_bytes())
    }
}

/// A call as clients make it.
fn post(path: &str, content_type: &str) -> http::request::Builder {
    Request::post(path)
        .header(header::CONTENT_TYPE, content_type)
        .header("connect-protocol-version", "1")
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

/// A message in its envelope.
fn envelope(flags: u8, message: impl AsRef<[u8]>) -> Vec<u8> {
    let message = message.as_ref();
    let mut frame = vec![flags];
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.extend_from_slice(message);
    frame
}

/// The envelopes of a body: flags and messages.
fn envelopes(body: &[u8]) -> Vec<(u8, Bytes)> {
    let mut rest = BytesMut::from(body);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let prefix = rest.split_to(5);
        let length = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes"));
        found.push((prefix[0], rest.split_to(length as usize).freeze()));
    }
    found
}

/// The messages of a stream in JSON, and how it ended.
fn read(response: &Response<Bytes>) -> (Vec<Value>, Value) {
    let mut found = envelopes(response.body());
    let (flags, end) = found.pop().expect("an end");
    assert_eq!(flags, 2, "the last envelope");
    let parse = |bytes: &Bytes| serde_json::from_slice(bytes).expect("JSON");
    let messages = found.iter().map(|(flags, message)| {
        assert_eq!(*flags, 0);
        parse(message)
    });
    (messages.collect(), parse(&end))
}
