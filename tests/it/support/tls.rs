//! Certificates of a test's own, and what they are tested with.

use std::path::PathBuf;
use std::sync::Arc;

use catalog_service::tls::{H2, HTTP_1_1};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// An authority, which issues certificates for localhost.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(crate) fn issue(&self) -> Pair {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let params = CertificateParams::new(names).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts the authority.
    pub(crate) fn client(
        &self,
        http2: bool,
        version: &'static SupportedProtocolVersion,
        own: Option<&Pair>,
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots);
        let mut config = match own {
            Some(pair) => {
                let chain = vec![pair.certificate_der()];
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        let protocol = if http2 { H2 } else { HTTP_1_1 };
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

impl Pair {
    pub(crate) fn certificate_der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }
}

/// The files that a service is given.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn of(pair: &Pair) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Self { folder };
        files.put(pair);
        files
    }

    /// Puts another pair in place, as whoever renews certificates does.
    pub(crate) fn put(&self, pair: &Pair) {
        for (name, text) in [("cert.pem", &pair.certificate), ("key.pem", &pair.key)] {
            self.write(name, text);
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let (new, path) = (
            self.folder.path().join("new"),
            self.folder.path().join(name),
        );
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, &path).expect("renamed");
        path
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("text").to_owned()
    }
}
