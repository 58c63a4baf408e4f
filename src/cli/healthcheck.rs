//! Asking a probe over HTTP, plain or by TLS: what a container's health check runs, as the image holds no `curl`.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::config::Tls;
use crate::tls::{HTTP_1_1, TlsError, connector};

/// How long a probe may take, from resolving the name to reading the status.
pub const LIMIT: Duration = Duration::from_secs(2);

/// The longest status line that is read, in bytes.
const MAX_STATUS_LINE: u64 = 1024;

/// Why a probe counts as failed.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// The URL is not one of the form `http://host[:port]/path` or `https://host[:port]/path`.
    #[error("{0:?} is no http:// or https:// URL")]
    Url(String),
    /// The files of the configuration are of no use.
    #[error("server.tls: {0}")]
    Tls(#[from] TlsError),
    /// No connection, or a broken one.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// No status within [`LIMIT`].
    #[error("no answer within {} s", LIMIT.as_secs())]
    Timeout,
    /// Something answered that does not speak HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// An answer other than 200.
    #[error("the answer is status {0}")]
    Status(u16),
}

/// Sends `GET url` and succeeds when the answer is 200. Redirects are not followed: a probe answers itself. `tls` says
/// whom to trust.
pub async fn run(url: &str, tls: &Tls) -> Result<(), HealthcheckError> {
    let target = Url::parse(url)
        .ok()
        .filter(|target| matches!(target.scheme(), "http" | "https"))
        .ok_or_else(|| HealthcheckError::Url(url.to_owned()))?;
    match tokio::time::timeout(LIMIT, ask(&target, tls)).await {
        Ok(Ok(200)) => Ok(()),
        Ok(Ok(other)) => Err(HealthcheckError::Status(other)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(HealthcheckError::Timeout),
    }
}

async fn ask(target: &Url, tls: &Tls) -> Result<u16, HealthcheckError> {
    let port = target.port_or_known_default().unwrap_or(80);
    let no_url = || HealthcheckError::Url(target.to_string());
    let (stream, name) = match target.host().ok_or_else(no_url)? {
        Host::Domain(name) => {
            let known = ServerName::try_from(name.to_owned()).map_err(|_| no_url())?;
            (TcpStream::connect((name, port)).await?, known)
        }
        Host::Ipv4(address) => (
            TcpStream::connect((address, port)).await?,
            ServerName::IpAddress(address.into()),
        ),
        Host::Ipv6(address) => (
            TcpStream::connect((address, port)).await?,
            ServerName::IpAddress(address.into()),
        ),
    };
    if target.scheme() == "http" {
        return status(target, port, stream).await;
    }
    let connector = connector(tls, &[HTTP_1_1])?;
    status(target, port, connector.connect(name, stream).await?).await
}

async fn status(
    target: &Url,
    port: u16,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<u16, HealthcheckError> {
    let host = target.host_str().unwrap_or_default();
    let path = &target[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: catalog-service-healthcheck\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;

    let mut line = Vec::new();
    let mut stream = stream.take(MAX_STATUS_LINE);
    while !line.contains(&b'\n') {
        if stream.read_buf(&mut line).await? == 0 {
            return Err(HealthcheckError::NotHttp);
        }
    }
    status_of(&line).ok_or(HealthcheckError::NotHttp)
}

/// The code in `HTTP/1.1 200 OK`, [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-4).
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|&byte| byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that reads one request, answers it piece by piece, and returns what it read.
    async fn server(answer: &'static [&'static str]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            for piece in answer {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            String::from_utf8(request).unwrap()
        });
        (format!("http://{address}"), task)
    }

    #[tokio::test]
    async fn status_200_is_healthy() {
        let (url, task) = server(&["HTTP/1.1 2", "00 OK\r\nContent-Len", "gth: 0\r\n\r\n"]).await;
        run(&format!("{url}/ready?full=1#top"), &Tls::default())
            .await
            .unwrap();
        let request = task.await.unwrap();
        assert!(
            request.starts_with("GET /ready?full=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains(&format!(
                "\r\nHost: {}\r\n",
                url.trim_start_matches("http://")
            )),
            "{request}"
        );
    }

    #[tokio::test]
    async fn every_other_status_is_not() {
        let (url, _task) = server(&["HTTP/1.1 503 Service Unavailable\r\n\r\n"]).await;
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::Status(503))
        ));
        let (url, _task) = server(&["HTTP/1.1 204 No Content\r\n\r\n"]).await;
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::Status(204))
        ));
    }

    #[tokio::test]
    async fn something_else_on_the_port_is_not() {
        let (url, _task) = server(&["220 mail ready\r\n"]).await;
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::NotHttp)
        ));
        let (url, _task) = server(&["HTTP/1.1"]).await;
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::NotHttp)
        ));
    }

    #[tokio::test]
    async fn nobody_there_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ready", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::Io(_))
        ));
    }

    #[tokio::test]
    async fn silence_ends_after_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ready", listener.local_addr().unwrap());
        let started = std::time::Instant::now();
        assert!(matches!(
            run(&url, &Tls::default()).await,
            Err(HealthcheckError::Timeout)
        ));
        assert!(started.elapsed() >= LIMIT);
        drop(listener);
    }

    #[tokio::test]
    async fn only_http_is_spoken() {
        for url in ["ftp://127.0.0.1/ready", "127.0.0.1:8001", "", "unix:/run/x"] {
            assert!(
                matches!(
                    run(url, &Tls::default()).await,
                    Err(HealthcheckError::Url(_))
                ),
                "{url}"
            );
        }
    }
}
