//! The section on TLS.

use std::path::PathBuf;
use std::time::Duration;

use super::duration::duration;
use super::parse::{optional, readable_file};
use super::read::section;

section! {
    /// TLS 1.3 on both ports; without a certificate they are plain.
    Tls {
        /// PEM of the certificate, and of those between it and its authority.
        cert_path: Option<PathBuf> = None => optional(readable_file);
        /// PEM of its key.
        key_path: Option<PathBuf> = None => optional(readable_file);
        /// PEM of the authorities one of which must have issued a client's certificate; none asks for no certificate.
        client_ca_path: Option<PathBuf> = None => optional(readable_file);
        /// How often the files are looked at.
        reload_interval: Duration = Duration::from_secs(10) => duration(Duration::from_secs(1)..=Duration::from_hours(1));
    }
}

impl Tls {
    /// The scheme of the ports' URLs.
    pub const fn scheme(&self) -> &'static str {
        if self.cert_path.is_some() {
            "https"
        } else {
            "http"
        }
    }
}
