//! A file that only its owner can read, made on first use.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What the system said of a file or a directory.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = path.display())]
pub struct PrivateFileError {
    /// The file or directory concerned.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Reads a file in a directory, making both first where they are not there.
///
/// The directory has mode 0700, the file 0600. It appears complete or not at all, and of several processes that start at
/// once all end with the same content: the first to link its file into place wins.
///
/// # Errors
/// What `make` says, or what the system does.
pub fn read_or_make<E: From<PrivateFileError>>(
    directory: &Path,
    name: &str,
    make: impl FnOnce() -> Result<String, E>,
) -> Result<Vec<u8>, E> {
    let path = directory.join(name);
    if let Some(content) = read(&path)? {
        return Ok(content);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| failed(directory, source))?;
    let draft = Draft::write(directory, name, make()?.as_bytes())?;
    match fs::hard_link(&draft.0, &path) {
        Ok(()) => {}
        // Another process was faster: its file is the one that counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(failed(&path, source).into()),
    }
    let content = read(&path)?;
    content.ok_or_else(|| failed(&path, io::ErrorKind::NotFound.into()).into())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PrivateFileError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: io::Error) -> PrivateFileError {
    PrivateFileError {
        path: path.to_owned(),
        source,
    }
}

/// The complete file under a name of its own, gone again when dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(directory: &Path, name: &str, content: &[u8]) -> Result<Self, PrivateFileError> {
        let mut suffix = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut suffix)
            .map_err(|_| failed(directory, io::Error::other("no random bytes")))?;
        let path = directory.join(format!(".{name}.{:016x}", u64::from_ne_bytes(suffix)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        let draft = Self(path);
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(|source| failed(&draft.0, source))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and a left-over draft is harmless: only its owner can read it.
        let _ = fs::remove_file(&self.0);
    }
}
