//! A caller that keeps its connection and calls again and again, as a client of a service that changes or ends does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::service::authorized;

/// Pause between two calls.
const PAUSE: Duration = Duration::from_millis(10);

type Body = Full<Bytes>;

/// An open connection.
pub(crate) enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// Whom to call, and how.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) http2: bool,
}

/// What callers that run have done.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    pub(crate) answered: Arc<AtomicUsize>,
    pub(crate) enough: Arc<AtomicBool>,
}

impl Calls {
    /// Waits until there are so many more answers.
    pub(crate) async fn more(&self, count: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        while self.answered.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Caller {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from("localhost").expect("a name");
                self.http(tls.connect(name, stream).await?).await
            }
            None => self.http(stream).await,
        }
    }

    async fn http(
        &self,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Connection> {
        let io = TokioIo::new(stream);
        if self.http2 {
            return Self::http2(io).await;
        }
        let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Connection::Http1(sender))
    }

    async fn http2(io: impl Read + Write + Unpin + Send + 'static) -> io::Result<Connection> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Connection::Http2(sender))
    }

    /// Calls `path` until it is enough or nobody listens any more. A call that has no good answer is a panic; only the first
    /// one of a connection may come too late.
    pub(crate) async fn run(self, path: &str, token: &str, calls: Calls) {
        loop {
            let mut connection = match self.connect().await {
                Ok(connection) => connection,
                Err(error) if refused(&error) => return,
                Err(error) => panic!("no connection: {error}"),
            };
            let mut first = true;
            while connection.ready().await {
                if calls.enough.load(Ordering::Relaxed) {
                    return;
                }
                match connection.get(path, token).await {
                    Ok(answer) => {
                        assert_eq!(answer.status(), 200);
                        calls.answered.fetch_add(1, Ordering::Relaxed);
                        if answer.headers().get(header::CONNECTION).is_some() {
                            break;
                        }
                    }
                    Err(mut error) => {
                        let unsent = error.take_message().is_some();
                        assert!(unsent || first, "a call failed: {:?}", error.error());
                        break;
                    }
                }
                first = false;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Connection {
    /// Whether it takes a request; not when it was closed in order.
    async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// GET, and the whole answer.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        token: &str,
    ) -> Result<Response<Bytes>, TrySendError<Request<Body>>> {
        let request = authorized(Method::GET, path, token)
            .header(header::HOST, "localhost")
            .body(Body::default())
            .expect("a request");
        let answer = match self {
            Self::Http1(sender) => sender.try_send_request(request).await?,
            Self::Http2(sender) => {
                let mut request = request;
                let uri = format!("https://localhost{path}");
                *request.uri_mut() = uri.parse().expect("a URI");
                sender.try_send_request(request).await?
            }
        };
        Ok(whole(answer).await)
    }

    /// Sends a request.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Response<Bytes> {
        let answer = match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        };
        whole(answer.expect("an answer")).await
    }
}

async fn whole(answer: Response<Incoming>) -> Response<Bytes> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, body)
}

/// Whether nobody listens, or has just ceased to.
pub(crate) fn refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
