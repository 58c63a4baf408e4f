//! The signing key of a development set-up: made on first use, kept in the data directory.

use std::path::Path;

use super::keys::{KeyError, PrivateKey, generate_pem};
use crate::private_file::{PrivateFileError, read_or_make};

const FILE_NAME: &str = "jwt-private-key.pem";

/// Loads `<data_dir>/keys/jwt-private-key.pem`, PKCS#8 PEM, making it first if it is not there. Processes that start at
/// once share one key.
pub fn dev_key(data_dir: &Path) -> Result<PrivateKey, KeyError> {
    let directory = data_dir.join("keys");
    let text = read_or_make(&directory, FILE_NAME, generate_pem)?;
    PrivateKey::from_pem(&text).map_err(|source| KeyError::File {
        path: directory.join(FILE_NAME),
        source: Box::new(source),
    })
}

impl From<PrivateFileError> for KeyError {
    fn from(PrivateFileError { path, source }: PrivateFileError) -> Self {
        Self::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let first = dev_key(data.path()).unwrap();
        let path = data.path().join("keys/jwt-private-key.pem");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(data.path().join("keys"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o700
        );
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----\n")
        );
        let second = dev_key(data.path()).unwrap();
        assert_eq!(first.public(), second.public());
    }

    #[test]
    fn processes_that_start_together_share_one_key_and_leave_no_drafts() {
        let data = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| dev_key(data.path()).unwrap().public()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| key == &keys[0]));
        assert_eq!(fs::read_dir(data.path().join("keys")).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_reported_by_name_and_kept() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("keys")).unwrap();
        let path = data.path().join("keys/jwt-private-key.pem");
        fs::write(&path, "not a key").unwrap();
        let error = dev_key(data.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("keys/jwt-private-key.pem: not a PEM file"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }
}
