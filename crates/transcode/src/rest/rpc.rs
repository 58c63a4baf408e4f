//! Errors as `google.rpc.Status`, for callers who take the binary form.

use prost::Message;
use prost_types::Any;
use tonic_types::pb;

use super::Problem;
use crate::spec::ReasonTable;

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// An error as bytes: with the details its handler gave it, as gRPC sends them, and always with a
/// `google.rpc.ErrorInfo`, whose reason JSON has too. What is for the eyes of developers only is left out.
pub(super) fn status(problem: &Problem, reasons: &ReasonTable) -> Vec<u8> {
    // Another's bytes: what can't be read says nothing.
    let origin = pb::Status::decode(&*problem.origin).unwrap_or_default();
    let mut details = origin.details;
    details.retain(|detail| !is(detail, "google.rpc.DebugInfo"));
    if !details
        .iter()
        .any(|detail| is(detail, "google.rpc.ErrorInfo"))
    {
        let info = pb::ErrorInfo {
            reason: problem.name(reasons).to_owned(),
            domain: reasons.domain.to_owned(),
            ..pb::ErrorInfo::default()
        };
        details.push(any(ERROR_INFO, &info));
    }
    if problem.origin.is_empty() && !problem.details.is_empty() {
        let violation = |(field, description): &(String, String)| pb::bad_request::FieldViolation {
            field: field.clone(),
            description: description.clone(),
            ..pb::bad_request::FieldViolation::default()
        };
        let field_violations = problem.details.iter().map(violation).collect();
        details.push(any(BAD_REQUEST, &pb::BadRequest { field_violations }));
    }
    let status = pb::Status {
        code: problem.code as i32,
        message: problem.message.clone(),
        details,
    };
    status.encode_to_vec()
}

/// Whether a detail is of this type.
fn is(detail: &Any, full_name: &str) -> bool {
    let name = detail.type_url.rsplit('/').next();
    name == Some(full_name)
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec(),
    }
}
