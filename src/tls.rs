//! TLS 1.3: the service's own certificate, and calls to a service that has one.

mod client;
mod files;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::connector;
pub use server::Tls;

/// Name of HTTP/2 in the handshake.
pub const H2: &[u8] = b"h2";
/// Name of HTTP/1.1 in the handshake.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files is of no use without another.
    #[error("{0} is set, and {1} is not")]
    Without(&'static str, &'static str),
    /// A file can't be read.
    #[error("{}: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: no {expected} in PEM", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// What the files hold does not go together.
    #[error(
        "the certificate (SERVER_TLS_CERT_PATH) and its key (SERVER_TLS_KEY_PATH) can't be used: {0}"
    )]
    Rustls(#[from] tokio_rustls::rustls::Error),
    /// The authorities of client certificates are of no use.
    #[error("the authorities of client certificates: {0}")]
    Authorities(#[from] tokio_rustls::rustls::server::VerifierBuilderError),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
