//! Where `postgres` and `initdb` are, and which version they have.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Binaries, Error, bundle};

/// Directories whose children each hold one PostgreSQL version, and where its programs are in them.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// One PostgreSQL.
#[derive(Debug)]
pub(crate) struct Programs {
    bin: PathBuf,
    version: String,
    bundled: bool,
}

impl Programs {
    /// Finds, or unpacks, what `binaries` asks for.
    pub(crate) fn resolve(binaries: &Binaries, data_dir: &Path) -> Result<Self, Error> {
        match binaries {
            Binaries::Auto if bundle::AVAILABLE => Self::at(bundle::unpack(data_dir)?, true),
            Binaries::Bundled => Self::at(bundle::unpack(data_dir)?, true),
            Binaries::Auto | Binaries::Installed(None) => Self::at(search()?, false),
            Binaries::Installed(Some(directory)) => {
                let bin = [directory.clone(), directory.join("bin")]
                    .into_iter()
                    .find(|bin| is_complete(bin))
                    .ok_or_else(|| Error::NotInstalled {
                        looked_in: directory.display().to_string(),
                    })?;
                let bin = bin.canonicalize().map_err(Error::io("cannot read", &bin))?;
                Self::at(bin, false)
            }
        }
    }

    fn at(bin: PathBuf, bundled: bool) -> Result<Self, Error> {
        let postgres = bin.join("postgres");
        let output = Command::new(&postgres)
            .arg("--version")
            .output()
            .map_err(Error::io("cannot run", &postgres))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = version_in(&text).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            Error::io("no version from", &postgres)(std::io::Error::other(format!(
                "{} {}",
                text.trim(),
                said.trim()
            )))
        })?;
        Ok(Self {
            bin,
            version: version.to_owned(),
            bundled,
        })
    }

    /// The directory of the programs.
    pub(crate) fn directory(&self) -> &Path {
        &self.bin
    }

    /// The path of one program.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Such as `17.5`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The part of the version that decides whether data can be read.
    pub(crate) fn major(&self) -> &str {
        major(&self.version)
    }

    /// Whether they came with this binary. Those also run as root.
    pub(crate) fn bundled(&self) -> bool {
        self.bundled
    }
}

/// Digits up to the first other character: `17.5` and `18beta1` give 17 and 18.
pub(crate) fn major(version: &str) -> &str {
    let end = version
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(version.len());
    &version[..end]
}

/// The version in the answer of `postgres --version`, such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn version_in(answer: &str) -> Option<&str> {
    let version = answer
        .split_once("(PostgreSQL)")?
        .1
        .split_whitespace()
        .next()?;
    version
        .starts_with(|character: char| character.is_ascii_digit())
        .then_some(version)
}

fn is_complete(bin: &Path) -> bool {
    bin.join("postgres").is_file() && bin.join("initdb").is_file()
}

/// The newest PostgreSQL in the places where packages put it, then the first on the PATH.
fn search() -> Result<PathBuf, Error> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for &(parent, prefix, bin) in VERSIONED {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            if let Some(number) = versioned_name(&entry.file_name(), prefix) {
                let bin = entry.path().join(bin);
                if is_complete(&bin) {
                    found.push((number, bin));
                }
            }
        }
    }
    // Stable, so among equal versions the place named first above wins.
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&on_path).filter(|bin| bin.is_absolute() && is_complete(bin));
    // A link on the PATH leads to the directory that has the library files beside the programs.
    let on_path = on_path.map(|bin| {
        bin.join("postgres")
            .canonicalize()
            .ok()
            .and_then(|p| p.parent().map(Path::to_owned))
            .filter(|real| is_complete(real))
            .unwrap_or(bin)
    });
    found
        .into_iter()
        .map(|(_, bin)| bin)
        .chain(on_path)
        .next()
        .ok_or_else(|| Error::NotInstalled {
            looked_in:
                "/usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, Homebrew's places and the PATH"
                    .to_owned(),
        })
}

/// The version in a directory's name: `15`, `pgsql-16`, `postgresql@17`. 0 for `postgresql`, which has none.
fn versioned_name(name: &OsStr, prefix: &str) -> Option<u32> {
    let rest = name.to_str()?.strip_prefix(prefix)?;
    if rest.is_empty() && !prefix.is_empty() {
        return Some(0);
    }
    major(rest.strip_prefix('@').unwrap_or(rest)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_programs_answer() {
        assert_eq!(
            version_in("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some("15.14")
        );
        assert_eq!(version_in("postgres (PostgreSQL) 18beta1"), Some("18beta1"));
        assert_eq!(version_in("something else"), None);
        assert_eq!(major("18beta1"), "18");
        assert_eq!(major("9.6.24"), "9");
    }

    #[test]
    fn directory_names_give_comparable_versions() {
        let number = |name: &str, prefix| versioned_name(OsStr::new(name), prefix);
        assert_eq!(number("15", ""), Some(15));
        assert_eq!(number("postgresql@17", "postgresql"), Some(17));
        assert_eq!(number("postgresql", "postgresql"), Some(0));
        assert_eq!(number("latest", ""), None);
        assert_eq!(number("lib", "pgsql-"), None);
    }
}
