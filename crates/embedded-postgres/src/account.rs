//! As whom the server runs.
//!
//! A stock PostgreSQL refuses root. When this process is root, it therefore runs as `nobody`, who must own the
//! data and be able to reach it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// The account the server and `initdb` run as.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
    /// The account's name when it differs from this process's.
    dropped_to: Option<&'static str>,
}

impl Account {
    /// The account for programs that do (`runs_as_root`) or do not accept root.
    pub(crate) fn choose(runs_as_root: bool) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        if uid != 0 || runs_as_root {
            return Self {
                uid,
                gid,
                dropped_to: None,
            };
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (uid, gid) = ids_of(&passwd, "nobody").unwrap_or((65534, 65534));
        Self {
            uid,
            gid,
            dropped_to: Some("nobody"),
        }
    }

    /// Makes `command` run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.dropped_to.is_some() {
            command.gid(self.gid).uid(self.uid);
        }
    }

    /// Whether a file of the user `owner` is this account's or this process's own.
    pub(crate) fn owns(&self, owner: u32) -> bool {
        owner == self.uid || owner == rustix::process::geteuid().as_raw()
    }

    /// Gives one file or directory to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        if self.dropped_to.is_some() {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
                .map_err(Error::io("cannot chown", path))?;
        }
        Ok(())
    }

    /// Makes sure the data belongs to this account: a directory first used by root's bundled server may later be
    /// used by an installed one, and the other way round.
    pub(crate) fn own_tree(&self, root: &Path) -> Result<(), Error> {
        let owner = fs::symlink_metadata(root)
            .map_err(Error::io("cannot read", root))?
            .uid();
        if owner == self.uid {
            return Ok(());
        }
        if rustix::process::geteuid().as_raw() != 0 {
            return Err(Error::WrongOwner {
                directory: root.to_owned(),
                owner,
            });
        }
        self.chown_below(root)?;
        // The top last: it is what the check above looks at, so an interrupted change is taken up again.
        std::os::unix::fs::lchown(root, Some(self.uid), Some(self.gid))
            .map_err(Error::io("cannot chown", root))
    }

    fn chown_below(&self, directory: &Path) -> Result<(), Error> {
        for entry in fs::read_dir(directory).map_err(Error::io("cannot read", directory))? {
            let entry = entry.map_err(Error::io("cannot read", directory))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(Error::io("cannot read", &path))?;
            std::os::unix::fs::lchown(&path, Some(self.uid), Some(self.gid))
                .map_err(Error::io("cannot chown", &path))?;
            if kind.is_dir() {
                self.chown_below(&path)?;
            }
        }
        Ok(())
    }

    /// Lets this account into the data directory itself, by giving it the directory when it is closed to others: a
    /// wider mode would let in everyone. A directory that holds anything but the lock and a cluster's files is someone
    /// else's and stays as it is; [`Self::check_reach`] then says what is wrong.
    pub(crate) fn open_up(&self, data_dir: &Path) -> Result<(), Error> {
        const OWN: [&str; 5] = ["lock", "pgdata", "postgres.log", "runtime-", "run"];
        for entry in fs::read_dir(data_dir).map_err(Error::io("cannot read", data_dir))? {
            let name = entry
                .map_err(Error::io("cannot read", data_dir))?
                .file_name();
            if !OWN
                .iter()
                .any(|own| name.to_string_lossy().starts_with(own))
            {
                return Ok(());
            }
        }
        let metadata = fs::metadata(data_dir).map_err(Error::io("cannot read", data_dir))?;
        if may_enter(
            metadata.mode(),
            metadata.uid() == self.uid,
            metadata.gid() == self.gid,
        ) {
            return Ok(());
        }
        self.give(data_dir)
    }

    /// Fails, naming the directory, when the account may not pass through `path` and all that lies above it.
    pub(crate) fn check_reach(&self, path: &Path, needed_for: &'static str) -> Result<(), Error> {
        let Some(account) = self.dropped_to else {
            return Ok(());
        };
        let mut steps: Vec<&Path> = path.ancestors().collect();
        steps.reverse();
        for directory in steps {
            let metadata = fs::metadata(directory).map_err(Error::io("cannot read", directory))?;
            if !may_enter(
                metadata.mode(),
                metadata.uid() == self.uid,
                metadata.gid() == self.gid,
            ) {
                return Err(Error::Untraversable {
                    account: account.to_owned(),
                    directory: directory.to_owned(),
                    needed_for,
                });
            }
        }
        Ok(())
    }
}

/// The kernel's rule: the first class that matches decides, even when a later one would allow more.
fn may_enter(mode: u32, is_owner: bool, in_group: bool) -> bool {
    let bit = if is_owner {
        0o100
    } else if in_group {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

/// The user and group id of `name` in the text of `/etc/passwd`.
fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        Some((uid, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_line_of_the_account() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody2:x:7:8::/:/x\nnobody:x:65534:65533:nobody:/:/no\n";
        assert_eq!(ids_of(passwd, "nobody"), Some((65534, 65533)));
        assert_eq!(ids_of(passwd, "nobod"), None);
        assert_eq!(ids_of("nobody:x:many", "nobody"), None);
    }

    #[test]
    fn the_first_matching_class_decides() {
        assert!(may_enter(0o700, true, false));
        assert!(!may_enter(0o700, false, true));
        assert!(!may_enter(0o077, true, true));
        assert!(may_enter(0o711, false, false));
    }
}
