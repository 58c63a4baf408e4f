//! `token`: prints a bearer token; and the keys that tokens are signed and checked with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::app::{BadConfiguration, Error};
use crate::auth::{Claims, Jwks, PrivateKey, PublicKey, Verifier, dev_key, mint};
use crate::config::{self, Config};
use crate::domain::Environment as _;
use crate::domain::id;
use crate::outbound::{HttpClient, Trust};
use crate::system::SystemEnvironment;

const PUBLIC_KEY: &str = "auth.jwt.public_key_path (JWT_PUBLIC_KEY_PATH)";
const JWKS: &str = "auth.jwt.jwks (JWT_JWKS)";
const PRIVATE_KEY: &str = "auth.jwt.private_key_path (JWT_PRIVATE_KEY_PATH)";

/// Prints a token.
pub(super) fn run(
    config: &Config,
    scopes: &[String],
    subject: &str,
    ttl: Duration,
) -> Result<(), Error> {
    println!("{}", token(config, scopes, subject, ttl)?);
    Ok(())
}

/// A token signed with the configured key, or with the key for development.
pub(super) fn token(
    config: &Config,
    scopes: &[String],
    subject: &str,
    ttl: Duration,
) -> Result<String, Error> {
    let jwt = &config.auth.jwt;
    let key = match &jwt.private_key_path {
        Some(path) => private_key(path)?,
        None if jwt.public_key_path.is_some() || jwt.jwks.is_some() => {
            return Err("tokens can't be signed: auth.jwt.private_key_path (JWT_PRIVATE_KEY_PATH) is not set".into());
        }
        None => dev_key(&config.data_dir)?,
    };
    let claims = Claims {
        subject,
        scopes,
        roles: &[],
        issuer: &jwt.issuer,
        audience: &jwt.audience,
        issued_at: SystemEnvironment.now(),
        ttl,
        token_id: &id::encode("tok", SystemEnvironment.new_uuid()),
    };
    Ok(mint(&key, &claims)?)
}

/// Checks tokens by the configured keys. Without any, a service for development makes a key of its own, and any other
/// does not start.
pub(super) fn verifier(config: &Config) -> Result<Verifier, Error> {
    let (mut keys, published) = (configured_keys(config)?, published(config)?);
    if keys.is_empty() && published.is_none() {
        keys.push(dev_key(&config.data_dir)?.public());
    }
    let jwt = &config.auth.jwt;
    let verifier = Verifier::new(keys, &jwt.issuer, &jwt.audience, jwt.leeway);
    Ok(verifier.with_published(published))
}

/// Whether [`verifier`] would find its keys, without making one.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    configured_keys(config)?;
    published(config).map(drop)
}

/// Whether a key for development may be used.
pub(super) fn is_development(config: &Config) -> bool {
    let embedded = config.data.database.source.is_none();
    config.auth.jwt.dev_key.unwrap_or(embedded)
}

/// The keys that are configured; none only where that is allowed.
fn configured_keys(config: &Config) -> Result<Vec<PublicKey>, Error> {
    let jwt = &config.auth.jwt;
    let mut keys = Vec::new();
    if let Some(path) = &jwt.public_key_path {
        let key = read(path).and_then(|pem| Ok(PublicKey::from_pem(&pem)?));
        keys.push(key.map_err(|error| bad(PUBLIC_KEY, path, &*error))?);
    }
    if let Some(path) = &jwt.private_key_path {
        keys.push(private_key(path)?.public());
    }
    if keys.is_empty() && jwt.jwks.is_none() && !is_development(config) {
        return Err(BadConfiguration(format!(
            "no key to check tokens with: set {PUBLIC_KEY}, {PRIVATE_KEY} or {JWKS}; for development, \
             auth.jwt.dev_key (JWT_DEV_KEY)"
        ))
        .into());
    }
    Ok(keys)
}

/// The key that tokens are signed with: the configured one, or a development service's own. None where others make the
/// tokens.
pub(super) fn signing_key(config: &Config) -> Result<Option<PrivateKey>, Error> {
    let jwt = &config.auth.jwt;
    match &jwt.private_key_path {
        Some(path) => private_key(path).map(Some),
        None if jwt.public_key_path.is_none() && jwt.jwks.is_none() && is_development(config) => {
            Ok(Some(dev_key(&config.data_dir)?))
        }
        None => Ok(None),
    }
}

/// The keys that an issuer publishes, where it is said where.
fn published(config: &Config) -> Result<Option<Jwks>, Error> {
    let bad = |error: &dyn std::fmt::Display| BadConfiguration(format!("{JWKS}: {error}"));
    Ok(match &config.auth.jwt.jwks {
        None => None,
        Some(config::Jwks::File(path)) => {
            Some(Jwks::file(path.clone()).map_err(|error| bad(&error))?)
        }
        Some(config::Jwks::Url(url)) => {
            let trust = if url.scheme() == "https" {
                Trust::System
            } else {
                Trust::Nobody
            };
            let client = HttpClient::new(trust).map_err(|error| bad(&error))?;
            let url = url.as_str().parse();
            let url = url.map_err(|error: http::uri::InvalidUri| bad(&error))?;
            Some(Jwks::url(url, client))
        }
    })
}

fn private_key(path: &Path) -> Result<PrivateKey, Error> {
    let key = read(path).and_then(|pem| Ok(PrivateKey::from_pem(&pem)?));
    Ok(key.map_err(|error| bad(PRIVATE_KEY, path, &*error))?)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    Ok(fs::read(path)?)
}

/// What is wrong with the file of a key.
fn bad(key: &str, path: &Path, error: &dyn std::error::Error) -> BadConfiguration {
    BadConfiguration(format!("{key}: {}: {error}", path.display()))
}
