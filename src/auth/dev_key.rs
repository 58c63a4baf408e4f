//! The signing key of a development set-up: made on first use, kept in the data directory.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::keys::{KeyError, PrivateKey, generate_pem};

const FILE_NAME: &str = "jwt-private-key.pem";

/// Loads `<data_dir>/keys/jwt-private-key.pem`, making it first if it is not there.
///
/// The file is PKCS#8 PEM with mode 0600. It appears complete or not at all, and of several processes that
/// start at once all end with the same key: the first to link its file into place wins.
pub fn dev_key(data_dir: &Path) -> Result<PrivateKey, KeyError> {
    let directory = data_dir.join("keys");
    let path = directory.join(FILE_NAME);
    if let Some(key) = load(&path)? {
        return Ok(key);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|source| io_error(&directory, source))?;
    let text = generate_pem()?;
    let draft = Draft::write(&directory, text.as_bytes())?;
    match fs::hard_link(&draft.0, &path) {
        Ok(()) => {}
        // Another process was faster: its key is the one that counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(io_error(&path, source)),
    }
    load(&path)?.ok_or_else(|| io_error(&path, io::ErrorKind::NotFound.into()))
}

fn load(path: &Path) -> Result<Option<PrivateKey>, KeyError> {
    match fs::read(path) {
        Ok(text) => PrivateKey::from_pem(&text)
            .map(Some)
            .map_err(|source| KeyError::File {
                path: path.to_owned(),
                source: Box::new(source),
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io_error(path, source)),
    }
}

fn io_error(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The complete key under a name of its own, gone again when dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(directory: &Path, text: &[u8]) -> Result<Self, KeyError> {
        let mut suffix = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut suffix)
            .map_err(|_| KeyError::Crypto("drawing random bytes".to_owned()))?;
        let path = directory.join(format!(".{FILE_NAME}.{:016x}", u64::from_ne_bytes(suffix)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io_error(&path, source))?;
        let draft = Self(path);
        file.write_all(text)
            .and_then(|()| file.sync_all())
            .map_err(|source| io_error(&draft.0, source))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and a left-over draft is harmless: only its owner can read it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
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
