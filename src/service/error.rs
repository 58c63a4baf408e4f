//! Domain errors as gRPC statuses; REST makes its answers of the same.

use tonic::{Code, Status};
use transcode::Violation;
use transcode::status::{invalid, retry_later, status as named};

use super::watch::RESUME_TOKEN;
use crate::domain::error::Error;
use crate::events::feed::Ended;
use crate::pb::catalog::v1::REASONS;

/// What a caller is told of a fault of the service.
const UNEXPECTED: &str = "An unexpected error occurred";

/// The status of a domain error. Private causes go to the log and nowhere else.
pub fn status(error: &Error) -> Status {
    match error {
        Error::InvalidParameters(violations) => invalid(
            &REASONS,
            violations
                .iter()
                .map(|violation| Violation::of(&violation.field, &violation.message)),
        ),
        Error::NotFound { .. } => named(&REASONS, Code::NotFound, error.to_string()),
        Error::AlreadyExists { .. } => named(&REASONS, Code::AlreadyExists, error.to_string()),
        Error::Unauthenticated { reason, .. } => {
            tracing::info!(reason, "unauthenticated");
            named(&REASONS, Code::Unauthenticated, error.to_string())
        }
        Error::Forbidden(_) => named(&REASONS, Code::PermissionDenied, error.to_string()),
        Error::Conflict => named(&REASONS, Code::Aborted, error.to_string()),
        Error::PreconditionFailed => precondition_failed(&error.to_string()),
        Error::Unavailable(cause) => {
            tracing::warn!(cause = %chain(&**cause), "a dependency does not answer");
            unavailable()
        }
        Error::Internal(cause) => {
            tracing::error!(cause = %chain(&**cause), "unexpected error");
            named(&REASONS, Code::Internal, UNEXPECTED)
        }
    }
}

/// The status of a search where there is none.
pub fn search_is_off() -> Status {
    named(
        &REASONS,
        Code::Unimplemented,
        "Search is switched off: features.enable_search_indexing is false",
    )
}

/// The status of a call whose caller expects another state of the resource.
fn precondition_failed(message: &str) -> Status {
    use tonic_types::{ErrorDetails, StatusExt as _};
    let mut details = ErrorDetails::new();
    details
        .set_error_info(
            REASONS.name(Code::Aborted),
            REASONS.domain,
            std::collections::HashMap::new(),
        )
        .add_precondition_failure_violation("ETAG", "etag", message);
    Status::with_error_details(Code::Aborted, message, details)
}

/// The status of a watch that can't go on.
pub fn ended(ended: &Ended) -> Status {
    use tonic_types::{ErrorDetails, StatusExt as _};
    match ended {
        Ended::Store(error) => status(error),
        // Not INVALID_ARGUMENT: the token was good once, and a caller that kept it for too long has to begin anew.
        Ended::TooOld => {
            let mut details = ErrorDetails::new();
            details
                .set_error_info(
                    REASONS.name(Code::OutOfRange),
                    REASONS.domain,
                    std::collections::HashMap::new(),
                )
                .add_bad_request_violation(
                    RESUME_TOKEN,
                    "Is too old: watch without it and read the list again",
                );
            Status::with_error_details(
                Code::OutOfRange,
                "The changes after this token are not kept any more",
                details,
            )
        }
    }
}

/// The status of a service that can't answer for the moment.
pub fn unavailable() -> Status {
    retry_later(
        &REASONS,
        Code::Unavailable,
        "Service temporarily unavailable",
        std::time::Duration::from_secs(1),
    )
}

/// An error with its causes, for the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
