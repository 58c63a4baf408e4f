//! HTTP calls to other services, in plain text or over TLS 1.3.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest answer that is read.
const MAX_ANSWER: usize = 4 << 20;

/// Calls that got no answer. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// Whose certificates are good.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Nobody's: all calls are plain text.
    Nobody,
    /// Those the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    System,
    /// Those of the authorities in a PEM file.
    File(&'a Path),
}

/// A client, with its connections. Clones share them.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client that trusts whom it is told to.
    ///
    /// # Errors
    /// When there are no certificates where they should be.
    pub fn new(trust: Trust<'_>) -> Result<Self, String> {
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots(trust)?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request and reads the whole answer, all within a time.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let call = async {
            let answer = self.0.request(request).await;
            let (parts, body) = answer.map_err(|error| describe(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| NoAnswer(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        match tokio::time::timeout(timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(NoAnswer(format!("no answer within {timeout:?}"))),
        }
    }
}

fn roots(trust: Trust<'_>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Nobody => return Ok(roots),
        // Some that can't be read are usual; none at all is told below.
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::File(file) => {
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            for certificate in certificates {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
    }
    if roots.is_empty() {
        return Err(match trust {
            Trust::File(file) => format!("{}: no certificate", file.display()),
            _ => "the system has no certificates of authorities (see SSL_CERT_FILE)".to_owned(),
        });
    }
    Ok(roots)
}

/// The error with its causes: the outermost alone says only that it could not connect.
fn describe(error: &dyn std::error::Error) -> NoAnswer {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    NoAnswer(text)
}
