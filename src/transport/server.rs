//! One port: accepts connections, bounds how long a silent one is kept, and lets those under way finish at the end, those
//! that have become WebSockets among them.

mod open;
mod timer;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::BoxError;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use futures_util::FutureExt as _;
use futures_util::future::Map;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};

use transcode::{Lingering, Unread};

use crate::lifecycle::Readiness;
use crate::tls::Tls;
use open::Open;
use timer::ConnectionTimer;

/// Longest wait for the head of a request, counted from the last answer's end on a connection that is kept. Longer than
/// the sixty seconds that proxies keep an idle connection: the side that closes first must not be this one, or it closes
/// on a request that is on its way.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How often an HTTP/2 peer that says nothing is asked whether it is there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after an error of the system, such as having no more file descriptors, which does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long the last connections have to begin their request, which is on its way when they are accepted.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

/// How long the last handshakes have.
const LAST_HANDSHAKES: Duration = Duration::from_secs(1);

/// Where connections come from.
pub struct Port {
    /// Accepts them.
    pub listener: TcpListener,
    /// Without it they are plain.
    pub tls: Option<Tls>,
}

/// Serves HTTP/1.1 and HTTP/2 on a port until the service drains, and then what is under way.
///
/// From when the service is to stop until it drains, callers by HTTP/1.1 are told to take another connection for their
/// next request, so that none is on its way when connections are closed. HTTP/2 has a way of its own for that.
pub async fn serve<S, B>(port: Port, service: S, readiness: Readiness)
where
    S: Service<Request<Unread<Incoming>>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + Unpin,
    B: Body<Data: Send, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let service = Lingering(service);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .writev(false)
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        // How a WebSocket is opened.
        .enable_connect_protocol()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let Port { listener, tls } = port;
    let connections = GracefulShutdown::new();
    let start = |stream: TcpStream, peer: SocketAddr| {
        // Answers are whole; waiting to fill a packet only delays them. A peer that is gone already needs no answer.
        let _ = stream.set_nodelay(true);
        let mut builder = builder.clone();
        builder.http1().timer(ConnectionTimer::default());
        let connection = Connection {
            builder,
            service: Requests {
                service: service.clone(),
                peer,
                readiness: readiness.clone(),
            },
            watcher: connections.watcher(),
            // Of what goes on over it after HTTP.
            open: connections.watcher(),
        };
        match tls.clone() {
            None => tokio::spawn(connection.serve(TokioIo::new(stream))),
            Some(tls) => {
                let readiness = readiness.clone();
                let late = async move {
                    readiness.draining().await;
                    tokio::time::sleep(LAST_HANDSHAKES).await;
                };
                tokio::spawn(async move {
                    let secured = tokio::select! {
                        secured = tls.accept(stream) => secured,
                        () = late => return,
                    };
                    match secured {
                        Ok(stream) => connection.serve(TokioIo::new(stream)).await,
                        Err(error) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                    }
                })
            }
        };
    };
    let mut drain = std::pin::pin!(readiness.draining());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut drain => break,
        };
        match accepted {
            Ok((stream, peer)) => start(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Those that the system has accepted already: their callers would see them break off.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).map(|()| stream);
            if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                start(stream, peer);
            }
        }
    }
    tokio::time::sleep(LAST_REQUESTS).await;
    connections.shutdown().await;
}

/// A connection before its first request.
struct Connection<S> {
    builder: Builder<TokioExecutor>,
    service: Requests<S>,
    watcher: Watcher,
    open: Watcher,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    async fn serve(self, io: impl Read + Write + Unpin + Send + 'static) {
        let Self {
            builder,
            service,
            watcher,
            open,
        } = self;
        let io = Open::new(io, open);
        let connection = builder
            .serve_connection_with_upgrades(io, service)
            .into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "a connection ended");
        }
    }
}

/// The requests of a connection: each knows its peer.
struct Requests<S> {
    service: S,
    peer: SocketAddr,
    readiness: Readiness,
}

type Answered<B> = fn(Result<Response<B>, Infallible>) -> Result<Response<B>, Infallible>;

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Map<Oneshot<S, Request<Incoming>>, Answered<B>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let last = request.version() < Version::HTTP_2 && self.readiness.is_stopping();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let answered: Answered<B> = if last {
            closing
        } else {
            std::convert::identity
        };
        self.service.clone().oneshot(request).map(answered)
    }
}

/// The last answer of a connection.
fn closing<B>(answer: Result<Response<B>, Infallible>) -> Result<Response<B>, Infallible> {
    answer.map(|mut answer| {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Its last one anyway, and it says what the connection is from here on.
            return answer;
        }
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        answer
    })
}
