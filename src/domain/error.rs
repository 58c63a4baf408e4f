//! The closed set of ways a use case fails. `Display` is the public message; a cause stays behind
//! [`std::error::Error::source`], for logs only.

use std::error::Error as StdError;

/// Result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// The private cause of a failure: to be logged, never to be sent.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// A field that does not keep its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, such as `price.amount`.
    pub field: String,
    /// What is asked of the field, without its name.
    pub message: String,
}

impl FieldViolation {
    /// A violation of the rules of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller gave values that do not keep the rules; all violations at once.
    #[error("Invalid request parameters")]
    InvalidParameters(Vec<FieldViolation>),
    /// What the caller named does not exist.
    #[error("{} not found", capitalised(resource))]
    NotFound {
        /// Kind of the missing thing, such as `product`.
        resource: &'static str,
        /// How the caller named it.
        id: String,
    },
    /// A value that has to be unique is in use.
    #[error("A {resource} with this {field} already exists")]
    AlreadyExists {
        /// Kind of the thing, such as `product`.
        resource: &'static str,
        /// What has to be unique, such as `SKU`.
        field: &'static str,
    },
    /// The thing has changed meanwhile.
    #[error("The product has changed meanwhile")]
    Conflict,
    /// The caller did not show who it is.
    #[error("{message}")]
    Unauthenticated {
        /// What the caller is told.
        message: &'static str,
        /// What was wrong, for logs only.
        reason: &'static str,
    },
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The thing is not what the caller expects it to be.
    #[error("The product is not the one that was read: read it again")]
    PreconditionFailed,
    /// Something the service depends on does not answer; a later attempt may succeed.
    #[error("Service temporarily unavailable")]
    Unavailable(#[source] Cause),
    /// A fault of the service.
    #[error("Internal server error")]
    Internal(#[source] Cause),
}

impl Error {
    /// A missing product, named as the caller named it.
    pub fn product_not_found(id: impl Into<String>) -> Self {
        Self::NotFound {
            resource: "product",
            id: id.into(),
        }
    }

    /// The violation of one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidParameters(vec![FieldViolation::new(field, message)])
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_public_and_causes_private() {
        assert_eq!(
            Error::product_not_found("x").to_string(),
            "Product not found"
        );
        assert_eq!(
            Error::AlreadyExists {
                resource: "product",
                field: "SKU"
            }
            .to_string(),
            "A product with this SKU already exists"
        );
        let error = Error::Internal("password=secret".into());
        assert_eq!(error.to_string(), "Internal server error");
        assert_eq!(
            error.source().expect("a cause").to_string(),
            "password=secret"
        );
    }
}
