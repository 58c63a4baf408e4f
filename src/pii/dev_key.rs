//! The key for personal data of a development set-up: made on first use, kept in the data directory.

use std::path::Path;

use aws_lc_rs::rand;

use super::keys::{BadKeys, PiiKeys, line};
use crate::private_file::{PrivateFileError, read_or_make};

const FILE_NAME: &str = "pii-keys";

/// Why there is no key for development.
#[derive(Debug, thiserror::Error)]
pub enum DevKeysError {
    /// Its file could not be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds no keys.
    #[error("keys/{FILE_NAME} in the data directory: {0}")]
    Bad(#[from] BadKeys),
    /// The cryptographic library failed.
    #[error("no random bytes")]
    Random,
}

/// Loads `<data_dir>/keys/pii-keys`, making it with one key first if it is not there. Without it what was stored can't
/// be read any more.
///
/// # Errors
/// See [`DevKeysError`].
pub fn dev_keys(data_dir: &Path) -> Result<PiiKeys, DevKeysError> {
    let make = || {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| DevKeysError::Random)?;
        Ok::<_, DevKeysError>(line("dev", &key))
    };
    let text = read_or_make(&data_dir.join("keys"), FILE_NAME, make)?;
    Ok(PiiKeys::parse(&String::from_utf8_lossy(&text))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let first = dev_keys(data.path()).unwrap();
        let path = data.path().join("keys").join(FILE_NAME);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(dev_keys(data.path()).unwrap() == first);
        fs::write(&path, "dev:damaged").unwrap();
        let error = dev_keys(data.path()).unwrap_err().to_string();
        assert!(
            error.contains("pii-keys") && !error.contains("damaged"),
            "{error}"
        );
    }
}
