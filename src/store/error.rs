//! The one place where a database error becomes an error of the domain: by the name of the
//! constraint, otherwise by the class of the SQLSTATE.

use std::borrow::Borrow;

use crate::domain::Error;
use crate::domain::error::Cause;

/// What a failed statement means to a caller. An `Arc` shares it among callers.
pub(super) fn from_sqlx<E: Borrow<sqlx::Error> + Into<Cause>>(error: E) -> Error {
    match error.borrow() {
        sqlx::Error::Database(database) => {
            if database.is_unique_violation() {
                match database.constraint() {
                    Some("idx_products_sku") => return already_exists("product", "SKU"),
                    Some("idx_users_email_index") => {
                        return already_exists("user", "e-mail address");
                    }
                    _ => {}
                }
            }
            // Another call with the key was made: what it came to is the answer of both.
            if database.constraint() == Some("idempotency_keys_pkey") {
                return Error::Conflict;
            }
            match database.code() {
                Some(code) if is_passing(&code) => Error::Unavailable(error.into()),
                _ => Error::Internal(error.into()),
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Error::Unavailable(error.into()),
        _ => Error::Internal(error.into()),
    }
}

/// A value that has to be unique is in use.
pub(super) const fn already_exists(resource: &'static str, field: &'static str) -> Error {
    Error::AlreadyExists { resource, field }
}

/// Whether the same statement may succeed later: connection lost (08), out of resources (53),
/// shut down (57P0x), cancelled by the statement timeout, read-only after a failover,
/// serialisation failure, deadlock, lock timeout, a database that takes no connections for now (55000).
fn is_passing(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("53")
        || code.starts_with("57P0")
        || matches!(
            code,
            "57014" | "25006" | "40001" | "40P01" | "55000" | "55P03"
        )
}

/// A row that does not keep the rules of the domain: written by another hand.
pub(super) fn corrupt(column: &'static str, message: impl std::fmt::Display) -> Error {
    Error::Internal(format!("products.{column} of a stored row: {message}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_failures_are_told_from_faults() {
        for code in [
            "08006", "53300", "57P01", "57P03", "57014", "40P01", "55000",
        ] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "23514", "22001", "42P01", "XX000"] {
            assert!(!is_passing(code), "{code}");
        }
        assert!(matches!(
            from_sqlx(sqlx::Error::PoolTimedOut),
            Error::Unavailable(_)
        ));
        assert!(matches!(
            from_sqlx(sqlx::Error::RowNotFound),
            Error::Internal(_)
        ));
    }
}
