//! RSA keys: reading them from PEM, refusing weak ones, deriving the public half.

use std::fmt;
use std::io;
use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicEncryptingKey, PublicKeyComponents};
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

/// Why a key could not be read, made or used. Never carries key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text holds no PEM block.
    #[error("not a PEM file")]
    NotPem,
    /// A PEM block, but of something else (another kind of key, a certificate, an encrypted key).
    #[error("unsupported PEM block {0:?}")]
    UnsupportedBlock(String),
    /// The block does not hold an RSA key of 2048 to 8192 bits.
    #[error("RSA key refused: {0}")]
    Rejected(String),
    /// The cryptographic library failed.
    #[error("cryptographic operation failed: {0}")]
    Crypto(String),
    /// A claim cannot be written into a token.
    #[error("token refused: {0}")]
    Claims(&'static str),
    /// The key file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory concerned.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file was read, but what it holds is no usable key.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeyError>,
    },
}

impl From<KeyRejected> for KeyError {
    fn from(reason: KeyRejected) -> Self {
        // The library's own words ("TooSmall", "InvalidEncoding") say nothing about the key's contents.
        Self::Rejected(reason.to_string())
    }
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct PrivateKey {
    signing: EncodingKey,
    public: PublicKey,
    jwk: Jwk,
}

impl PrivateKey {
    /// Reads an unencrypted RSA key in PEM: PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::NotPem)?;
        let pair = match block.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents())?,
            "RSA PRIVATE KEY" => KeyPair::from_der(block.contents())?,
            other => return Err(KeyError::UnsupportedBlock(other.to_owned())),
        };
        // The pair is read first because this constructor accepts any size and does not look inside.
        let signing = EncodingKey::from_rsa_pem(text)
            .map_err(|error| KeyError::Rejected(error.to_string()))?;
        let failed = |_| KeyError::Crypto("describing an RSA public key".to_owned());
        let mut jwk = Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(failed)?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(failed)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            signing,
            public: PublicKey::from_pkcs1(pair.public_key().as_ref())?,
            jwk,
        })
    }

    /// What tokens name this key by: the thumbprint of its public half
    /// ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638), SHA-256).
    pub fn id(&self) -> &str {
        self.jwk.common.key_id.as_deref().unwrap_or_default()
    }

    /// The half that verifies, as a set of keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
    pub fn public_set(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.jwk.clone()],
        }
    }

    /// The half that verifies what this key signs.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    pub(super) fn signing(&self) -> &EncodingKey {
        &self.signing
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// Makes a new RSA key of 2048 bits, as PKCS#8 PEM.
pub(super) fn generate_pem() -> Result<String, KeyError> {
    let failed = |_| KeyError::Crypto("generating an RSA key".to_owned());
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    Ok(encode_pem("PRIVATE KEY", der.as_ref()))
}

/// A key that verifies tokens.
#[derive(Clone)]
pub struct PublicKey {
    verifying: DecodingKey,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads an RSA key in PEM: SubjectPublicKeyInfo (`PUBLIC KEY`) or PKCS#1 (`RSA PUBLIC KEY`).
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::NotPem)?;
        match block.tag() {
            "PUBLIC KEY" => Self::from_spki(block.contents()),
            "RSA PUBLIC KEY" => Self::from_pkcs1(block.contents()),
            other => Err(KeyError::UnsupportedBlock(other.to_owned())),
        }
    }

    /// The key of a modulus and an exponent, both big-endian.
    pub(super) fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        // Some write a zero in front.
        let number = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            bytes[zeros..].to_vec()
        };
        let (n, e) = (number(modulus), number(exponent));
        let spki: PublicKeyX509Der<'_> = (PublicKeyComponents { n, e }.as_der())
            .map_err(|_| KeyError::Rejected("no RSA key".to_owned()))?;
        Self::from_spki(spki.as_ref())
    }

    /// The key as SubjectPublicKeyInfo PEM, to hand to those who verify tokens.
    pub fn to_pem(&self) -> String {
        encode_pem("PUBLIC KEY", &self.spki)
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let key = aws_lc_rs::rsa::PublicKey::from_der(der)?;
        let spki: PublicKeyX509Der<'_> = key
            .as_der()
            .map_err(|_| KeyError::Crypto("encoding an RSA public key".to_owned()))?;
        Self::from_spki(spki.as_ref())
    }

    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        // This type is the one whose constructor checks the size; the verifying key is the same bytes.
        PublicEncryptingKey::from_der(der)?;
        Ok(Self {
            verifying: DecodingKey::from_rsa_der(der),
            spki: der.to_vec(),
        })
    }

    pub(super) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

fn encode_pem(tag: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), config)
}

#[cfg(test)]
mod tests;
