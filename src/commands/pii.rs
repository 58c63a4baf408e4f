//! The configured keys for personal data.

use std::sync::Arc;

use super::token::is_development;
use crate::app::{BadConfiguration, Error};
use crate::config::Config;
use crate::pii::{Keyring, PiiKeys, dev_keys};

const KEYS_PATH: &str = "security.pii.keys_path (PII_KEYS_PATH)";

/// The keys, or a key for development, or none.
pub(super) fn keyring(config: &Config) -> Result<Option<Arc<Keyring>>, Error> {
    let keys = match configured_keys(config)? {
        Some(keys) => keys,
        None if is_development(config) => dev_keys(&config.data_dir)?,
        None => return Ok(None),
    };
    Ok(Some(Arc::new(Keyring::new(&keys)?)))
}

/// Whether [`keyring`] would read its keys, without making one.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    configured_keys(config).map(drop)
}

fn configured_keys(config: &Config) -> Result<Option<PiiKeys>, Error> {
    let pii = &config.security.pii;
    let Some(path) = &pii.keys_path else {
        return Ok(pii.keys.clone());
    };
    let bad = |error: &dyn std::error::Error| {
        BadConfiguration(format!("{KEYS_PATH}: {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
    Ok(Some(PiiKeys::parse(&text).map_err(|error| bad(&error))?))
}
