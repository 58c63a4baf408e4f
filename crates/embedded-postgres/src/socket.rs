//! The directory of the server's socket: private, and short enough for the system.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::account::Account;

/// The port is only a part of the socket's name: nothing listens on the network.
pub(crate) const PORT: u16 = 5432;
/// The longest socket path every system takes is 103 bytes (macOS), 107 on Linux.
const LONGEST_PATH: usize = 100;

/// Makes the directory for the socket: inside `data_dir`, or where that path is too long, below the directory for
/// temporary files. The caller holds the lock of `data_dir`, whose path decides the name.
pub(crate) fn prepare(data_dir: &Path, account: &Account) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    let uid = rustix::process::geteuid().as_raw();
    // The same name at every start, so that a killed program does not leave one more directory each time.
    let name = format!("postgres-{uid}-{:016x}", hasher.finish());
    let candidates = [
        data_dir.join("run"),
        std::env::temp_dir().join(&name),
        Path::new("/tmp").join(&name),
    ];
    let mut reasons = Vec::new();
    for directory in candidates {
        match usable(&directory, account) {
            Ok(()) => return Ok(directory),
            Err(reason) => reasons.push(format!("{}: {reason}", directory.display())),
        }
    }
    Err(Error::NoSocketDirectory(reasons.join("; ")))
}

/// Why `directory` cannot be the one, or it exists and only `account` can enter it.
fn usable(directory: &Path, account: &Account) -> Result<(), String> {
    let socket = directory.join(format!(".s.PGSQL.{PORT}.lock"));
    if !socket.is_absolute() || socket.as_os_str().len() >= LONGEST_PATH {
        return Err("the path is too long for a Unix socket".to_owned());
    }
    // It becomes a part of a URL, which is text.
    if directory.to_str().is_none() {
        return Err("the path is not UTF-8".to_owned());
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error.to_string());
        }
        _ => {}
    }
    // In a directory open to all, the name could have been taken by someone else, or lead elsewhere.
    let metadata = fs::symlink_metadata(directory).map_err(|error| error.to_string())?;
    if !metadata.is_dir() || !account.owns(metadata.uid()) {
        return Err("it is not a directory of our own".to_owned());
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700))
        .map_err(|error| error.to_string())?;
    account.give(directory).map_err(|error| error.to_string())?;
    if let Some(parent) = directory.parent() {
        account
            .check_reach(parent, "the server's socket")
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Removes the socket's directory, which after an orderly stop is empty.
pub(crate) fn remove(directory: &Path) {
    // Only tidiness: what is left over is found and used again at the next start.
    let _ = fs::remove_dir(directory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_moves_to_the_directory_for_temporary_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let account = Account::choose(true);
        assert_eq!(
            prepare(directory.path(), &account).expect("short"),
            directory.path().join("run")
        );

        let deep = directory.path().join("x".repeat(120));
        fs::create_dir(&deep).expect("made");
        let socket = prepare(&deep, &account).expect("made elsewhere");
        assert!(!socket.starts_with(&deep));
        assert_eq!(fs::metadata(&socket).expect("there").mode() & 0o777, 0o700);
        assert_eq!(prepare(&deep, &account).expect("again"), socket);
        remove(&socket);
        assert!(!socket.exists());
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("run");
        std::os::unix::fs::symlink(elsewhere.path(), &link).expect("linked");
        assert!(usable(&link, &Account::choose(true)).is_err());
    }
}
