//! The files of a certificate: where they are, and what is in them.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, SHA256};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::config;

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What is in them, as it was read.
pub(super) struct Contents {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) client_ca: Option<RootCertStore>,
}

/// Tells whether files have changed.
pub(super) type Fingerprint = Vec<u8>;

impl Files {
    /// Those of the configuration, when it names any.
    pub(super) fn of(tls: &config::Tls) -> Result<Option<Self>, TlsError> {
        const CERTIFICATE: &str = "server.tls.cert_path (SERVER_TLS_CERT_PATH)";
        const KEY: &str = "server.tls.key_path (SERVER_TLS_KEY_PATH)";
        const CLIENT_CA: &str = "server.tls.client_ca_path (SERVER_TLS_CLIENT_CA_PATH)";
        match (&tls.cert_path, &tls.key_path) {
            (Some(certificate), Some(key)) => Ok(Some(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: tls.client_ca_path.clone(),
            })),
            (Some(_), None) => Err(TlsError::Without(CERTIFICATE, KEY)),
            (None, Some(_)) => Err(TlsError::Without(KEY, CERTIFICATE)),
            (None, None) if tls.client_ca_path.is_some() => {
                Err(TlsError::Without(CLIENT_CA, CERTIFICATE))
            }
            (None, None) => Ok(None),
        }
    }

    /// Reads them. The fingerprint is that of what was read, be it right or not.
    pub(super) fn read(&self) -> (Fingerprint, Result<Contents, TlsError>) {
        let mut digest = digest::Context::new(&SHA256);
        let mut read = |path: &Path| {
            let text = std::fs::read(path).map_err(|cause| TlsError::Unreadable {
                file: path.to_owned(),
                cause,
            });
            if let Ok(text) = &text {
                digest.update(&text.len().to_le_bytes());
                digest.update(text);
            }
            text
        };
        let (certificate, key) = (read(&self.certificate), read(&self.key));
        let client_ca = self.client_ca.as_deref().map(read).transpose();
        let fingerprint = digest.finish().as_ref().to_vec();
        let contents = certificate.and_then(|certificate| {
            Ok(Contents {
                chain: certificates(&self.certificate, &certificate)?,
                key: PrivateKeyDer::from_pem_slice(&key?).map_err(|_| TlsError::Content {
                    file: self.key.clone(),
                    expected: "private key",
                })?,
                client_ca: match (client_ca?, &self.client_ca) {
                    (Some(text), Some(path)) => {
                        let mut roots = RootCertStore::empty();
                        for certificate in certificates(path, &text)? {
                            roots.add(certificate)?;
                        }
                        Some(roots)
                    }
                    _ => None,
                },
            })
        });
        (fingerprint, contents)
    }
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = certificates
        .ok()
        .filter(|certificates| !certificates.is_empty());
    found.ok_or_else(|| TlsError::Content {
        file: file.to_owned(),
        expected: "certificate",
    })
}
