//! Errors: gRPC statuses with typed details, and what they are in HTTP.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::spec::ReasonTable;
use crate::{Violation, Violations};

/// Message of an error about fields.
pub(crate) const INVALID: &str = "Invalid request parameters";

/// What a caller is told of a fault of the service.
pub(crate) const UNEXPECTED: &str = "An unexpected error occurred";

/// A status with the contract's name for its code, as `google.rpc.ErrorInfo`.
pub fn status(reasons: &ReasonTable, code: Code, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reasons, code))
}

/// As [`status`], for a caller who may come again after `delay`, as `google.rpc.RetryInfo`.
pub fn retry_later(
    reasons: &ReasonTable,
    code: Code,
    message: impl Into<String>,
    delay: Duration,
) -> Status {
    let mut details = details(reasons, code);
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

/// The status of a request with violations, as `google.rpc.BadRequest` and `google.rpc.ErrorInfo`.
pub fn invalid(reasons: &ReasonTable, violations: impl IntoIterator<Item = Violation>) -> Status {
    refuse(reasons, Code::InvalidArgument, INVALID, violations)
}

/// As [`invalid`], with words of its own.
pub(crate) fn refuse(
    reasons: &ReasonTable,
    code: Code,
    message: impl Into<String>,
    violations: impl IntoIterator<Item = Violation>,
) -> Status {
    let mut details = details(reasons, code);
    for Violation { field, description } in violations {
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(code, message, details)
}

/// Turns violations into an error, if there are any.
pub fn check(reasons: &ReasonTable, violations: Violations) -> Result<(), Status> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(invalid(reasons, violations.into_vec()))
    }
}

/// As [`check`], for one of several messages: the error says which.
pub(crate) fn check_at(
    reasons: &ReasonTable,
    violations: Violations,
    place: &fmt::Arguments<'_>,
) -> Result<(), Status> {
    if violations.is_empty() {
        return Ok(());
    }
    let message = format!("{INVALID} in {place}");
    let violations = violations.into_vec();
    Err(refuse(reasons, Code::InvalidArgument, message, violations))
}

fn details(reasons: &ReasonTable, code: Code) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reasons.name(code), reasons.domain, HashMap::new());
    details
}

/// The HTTP status of a gRPC code.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // "Client closed request": in no RFC, but what proxies log for it.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}
