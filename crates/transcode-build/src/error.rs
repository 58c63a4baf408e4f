//! Why a contract can't be built, and where in it.

use std::fmt;

/// An error in a contract, with the place a person should look at.
#[derive(thiserror::Error)]
pub enum Error {
    /// The contract is not valid protobuf, or uses a rule that can't be compiled.
    #[error("{0}")]
    Proto(Box<protox::Error>),
    /// The contract is valid protobuf, but not a service that can be built.
    #[error("{place}: {message}")]
    Contract {
        /// Where.
        place: Place,
        /// What.
        message: String,
    },
    /// A setting of the build does not go with the contract.
    #[error("{0}")]
    Setting(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The generator made code that does not parse, which is a fault of its own.
    #[error("generated code does not parse: {0}")]
    Generated(#[from] syn::Error),
    /// The API description could not be written.
    #[error("the API description can't be written: {0}")]
    Description(String),
}

/// As [`fmt::Display`]: a build script that returns an error from `main` shows it by this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<protox::Error> for Error {
    fn from(error: protox::Error) -> Self {
        Self::Proto(Box::new(error))
    }
}

/// A place in a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File, as imports name it.
    pub file: String,
    /// Line from 1; 0 when it is not known.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// Full name of what is there, such as `catalog.v1.CatalogService.GetProduct`.
    pub subject: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(
                f,
                "{}:{}:{}: {}",
                self.file, self.line, self.column, self.subject
            )
        } else {
            write!(f, "{}: {}", self.file, self.subject)
        }
    }
}
