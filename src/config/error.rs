//! Why a configuration is refused.

use std::fmt;
use std::path::PathBuf;

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In this file.
    File(PathBuf),
    /// In this environment variable.
    Environment(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, " in {}", file.display()),
            Self::Environment(name) => write!(f, " ({name})"),
        }
    }
}

/// A refused configuration; its text is one line and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or cannot be read.
    #[error("cannot read the configuration {}: {cause}; -conf must name a directory with a config.yaml", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{} is not valid YAML: {cause}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        cause: String,
    },
    /// A key that does not exist.
    #[error("{key}{origin}: unknown key; {hint}")]
    UnknownKey {
        /// Its whole path.
        key: String,
        /// The file.
        origin: Origin,
        /// The key that was probably meant, or the keys there are.
        hint: String,
    },
    /// A value that is not allowed.
    #[error("{key}{origin}: {value} is not allowed; must be {allowed}")]
    Value {
        /// The path of the key.
        key: String,
        /// Where the value is from.
        origin: Origin,
        /// The value as it may be shown.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A value that another one leaves no room for.
    #[error("{key}: {value} is not allowed: {because}")]
    Without {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The other one, and why.
        because: &'static str,
    },
    /// Two values that exclude each other.
    #[error("{key}: {value} is not allowed; must differ from {other}")]
    Conflict {
        /// The key.
        key: &'static str,
        /// The other one.
        other: &'static str,
        /// The value of both.
        value: String,
    },
}
