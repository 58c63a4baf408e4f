//! The service's side of the handshake, and a certificate that may be replaced while it runs.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use tokio_rustls::server::TlsStream;

use super::files::{Contents, Files, Fingerprint};
use super::{H2, HTTP_1_1, TlsError, provider};
use crate::config;

/// Longest time from the connection to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Most handshakes at a time; others wait for their turn, within their time.
const HANDSHAKES: usize = 512;

/// What a port needs to speak TLS. Clones share the certificate.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    /// Of the files as they were read at the start.
    fingerprint: Fingerprint,
    config: RwLock<Arc<ServerConfig>>,
    handshakes: Semaphore,
}

impl Tls {
    /// Reads the files of the configuration; nothing when it names none.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn load(tls: &config::Tls) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::of(tls)? else {
            return Ok(None);
        };
        let (fingerprint, contents) = files.read();
        let config = server_config(contents?)?;
        Ok(Some(Self(Arc::new(Inner {
            files,
            fingerprint,
            config: RwLock::new(Arc::new(config)),
            handshakes: Semaphore::new(HANDSHAKES),
        }))))
    }

    /// Takes a new certificate when the files have changed: looked at time and again, and at once at a SIGHUP. What can't
    /// be used is reported, and the one before stays. Connections keep what they began with.
    pub async fn watch(self, every: Duration) {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP will end the service"))
            .ok();
        let mut seen = self.0.fingerprint.clone();
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                true = async { match &mut hangup {
                    Some(hangup) => hangup.recv().await.is_some(),
                    None => std::future::pending().await,
                } } => true,
            };
            let files = self.0.files.clone();
            let Ok((found, contents)) = tokio::task::spawn_blocking(move || files.read()).await
            else {
                continue;
            };
            if found == seen && !asked {
                continue;
            }
            seen = found;
            match contents.and_then(server_config) {
                Ok(config) => {
                    let mut current =
                        (self.0.config.write()).unwrap_or_else(PoisonError::into_inner);
                    *current = Arc::new(config);
                    tracing::info!("the certificate was read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the new certificate can't be used, the one before stays");
                }
            }
        }
    }

    /// The handshake of a connection, within its time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let handshake = async {
            // One who connects and says nothing takes nobody's turn.
            stream.readable().await?;
            let _turn = (self.0.handshakes.acquire().await).map_err(io::Error::other)?;
            let current = self.0.config.read();
            let config = current.unwrap_or_else(PoisonError::into_inner).clone();
            TlsAcceptor::from(config).accept(stream).await
        };
        match timeout(HANDSHAKE, handshake).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn server_config(contents: Contents) -> Result<ServerConfig, TlsError> {
    let builder: ConfigBuilder<ServerConfig, WantsVerifier> =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let builder = match contents.client_ca {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.build()?)
        }
        None => builder.with_no_client_auth(),
    };
    // Refuses a key that is not the certificate's.
    let mut config = builder.with_single_cert(contents.chain, contents.key)?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(config)
}
