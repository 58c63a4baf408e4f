//! What a policy has to do with requests that are streams, whichever protocol they come by.

use std::sync::{Arc, Mutex};

use http_body_util::Full;
use tokio_stream::iter;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use transcode::MethodSpec;
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};
use transcode::rest::{Service, Settings, Transcoder};
use transcode_tests::intake::Reader;
use transcode_tests::pb::library::v1::add_book_request::NewBook;
use transcode_tests::pb::library::v1::intake_client::IntakeClient;
use transcode_tests::pb::library::v1::intake_server::IntakeServer;
use transcode_tests::pb::library::v1::{AddBookRequest, IntakeStack};

use super::{ADD, LINES, post, sent};

/// Writes down what it is asked, and gives up calls that do not end at once.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("a lock").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("a lock"))
    }
}

impl Policy for Noted {
    type Admission = ();

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        _: &MetadataMap,
        _: &mut http::Extensions,
    ) -> Result<(), Status> {
        assert!(spec.client_streaming);
        self.note("admit");
        Ok(())
    }

    fn concerns(&self, (): &(), resource: &str) {
        self.note(resource);
    }

    async fn run<T: Send>(
        &self,
        _: &'static MethodSpec,
        (): (),
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        self.note("run");
        let limit = std::time::Duration::from_millis(500);
        let late = |_| Err(Status::deadline_exceeded("Too late"));
        let result = tokio::time::timeout(limit, call).await.unwrap_or_else(late);
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.note(format!("{code:?}"));
        result
    }

    fn answers(
        &self,
        _: &'static MethodSpec,
        _: &http::Extensions,
    ) -> Option<(&dyn Answers, String)> {
        None
    }

    fn annotate(&self, _: &'static MethodSpec, (): &(), _: &mut http::HeaderMap) {}

    fn stream<T: Send + 'static>(
        &self,
        _: &'static MethodSpec,
        (): (),
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        self.note("stream");
        messages
    }
}

fn stack(noted: &Noted) -> IntakeStack<Reader, Noted> {
    IntakeStack::new(Arc::new(Reader), Arc::new(noted.clone()))
}

fn rest(noted: &Noted) -> Transcoder {
    let service: Box<dyn Service> = Box::new(stack(noted));
    Transcoder::new(Settings::default(), [service])
}

#[tokio::test]
async fn rest_asks_it_around_all_that_is_read() {
    let noted = Noted::default();
    let send = async |uri: &str, body: &'static str| {
        let request = post(uri, LINES).body(Full::from(body)).expect("a request");
        rest(&noted).handle(request).await.status().as_u16()
    };
    assert_eq!(send(ADD, "{\"title\":\"a\"}\n{\"title\":\"b\"}").await, 201);
    assert_eq!(noted.take(), ["admit", "run", "shelves/1", "Ok"]);
    assert_eq!(send(ADD, "{\"title\":\"a\"}\n{").await, 400);
    assert_eq!(
        noted.take(),
        ["admit", "run", "shelves/1", "InvalidArgument"]
    );
    assert_eq!(send("/v1/books:appraise", "").await, 200);
    assert_eq!(noted.take(), ["admit", "run", "Ok", "stream"]);
    // A caller who sends no more does not hold the handler for ever.
    let (_sender, body) = sent();
    let request = post(ADD, LINES).body(body).expect("a request");
    let response = rest(&noted).handle(request).await;
    assert_eq!(response.status().as_u16(), 504);
    let expected = ["admit", "run", "shelves/1", "DeadlineExceeded"];
    assert_eq!(noted.take(), expected);
}

#[tokio::test]
async fn grpc_asks_it_the_same() {
    let noted = Noted::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address"));
    let incoming = incoming.expect("a port");
    let address = incoming.local_addr().expect("an address");
    let routes = Routes::new(IntakeServer::new(stack(&noted)));
    let server = Server::builder().add_routes(routes);
    tokio::spawn(server.serve_with_incoming(incoming));
    let client = IntakeClient::connect(format!("http://{address}")).await;
    let mut client = client.expect("a server");
    let book = |title: &str| AddBookRequest {
        shelf: "shelves/1".to_owned(),
        book: Some(NewBook {
            title: title.to_owned(),
            pages: 1,
        }),
        ..AddBookRequest::default()
    };
    let added = client.add_books(iter([book("a"), book("b")])).await;
    assert!(added.is_ok());
    assert_eq!(noted.take(), ["admit", "run", "shelves/1", "Ok"]);
    let refused = client.add_books(iter([book("a"), book("")])).await;
    assert!(refused.is_err());
    assert_eq!(
        noted.take(),
        ["admit", "run", "shelves/1", "InvalidArgument"]
    );
    let late = client.add_books(tokio_stream::pending()).await;
    assert_eq!(late.expect_err("late").code(), Code::DeadlineExceeded);
    assert_eq!(noted.take(), ["admit", "run", "DeadlineExceeded"]);
    let appraised = client.appraise(iter([book("a")])).await;
    assert!(appraised.is_ok());
    assert_eq!(noted.take()[..4], ["admit", "run", "Ok", "stream"]);
}

#[tokio::test]
async fn websockets_ask_it_the_same() {
    use tokio_tungstenite::client_async;
    use tokio_tungstenite::tungstenite::Message;

    let noted = Noted::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new().fallback_service(rest(&noted));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let call = async |uri: &str, messages: &[&'static str]| {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        let opened = client_async(format!("ws://{address}{uri}"), stream).await;
        let Ok((mut socket, _)) = opened else {
            return;
        };
        for text in messages {
            let message = Message::Text((*text).into());
            let sent = futures_util::SinkExt::send(&mut socket, message).await;
            sent.expect("sent");
        }
        while let Some(Ok(_)) = tokio_stream::StreamExt::next(&mut socket).await {}
    };
    call(ADD, &["{\"title\":\"a\"}", ""]).await;
    assert_eq!(noted.take(), ["admit", "shelves/1", "run", "Ok"]);
    call(ADD, &["{\"title\":\"a\"}", "{"]).await;
    let expected = ["admit", "shelves/1", "run", "InvalidArgument"];
    assert_eq!(noted.take(), expected);
    call("/v1/books:appraise", &[""]).await;
    assert_eq!(noted.take(), ["admit", "run", "Ok", "stream"]);
    // What can't be is refused in HTTP, and the policy hears of it.
    call("/v1/shelves/1/books:add?nope=1", &[]).await;
    assert_eq!(noted.take(), ["admit", "run", "InvalidArgument"]);
    // What is too long is not read, and the handler hears of that.
    call("/v1/books:appraise", &[&*"x".repeat(101).leak()]).await;
    assert_eq!(noted.take(), ["admit", "run", "Ok", "stream"]);
    // A caller who sends no more does not hold the handler for ever.
    call(ADD, &[]).await;
    let expected = ["admit", "shelves/1", "run", "DeadlineExceeded"];
    assert_eq!(noted.take(), expected);
}
