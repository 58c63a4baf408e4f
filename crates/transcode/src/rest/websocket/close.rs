//! How a WebSocket is closed: the last message of a call that failed, the code of the closing frame and its reason.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tonic::{Code, Status};

use crate::rest::render;
use crate::spec::Binding;

/// The call came to its end.
const NORMAL: u16 = 1000;
/// The frames of the caller break RFC 6455.
pub(super) const PROTOCOL: u16 = 1002;
/// A message that is text where it must be binary, or the other way round.
pub(super) const UNSUPPORTED: u16 = 1003;
/// A message that is not what it should be: text that is no UTF-8 or no JSON, bytes that are no message.
pub(super) const INVALID: u16 = 1007;
/// A message where none may come.
pub(super) const POLICY: u16 = 1008;
/// A message that is too large.
pub(super) const TOO_LARGE: u16 = 1009;
/// A fault of the service.
const UNEXPECTED: u16 = 1011;
/// What the numbers of gRPC are added to. Codes from 4000 are for applications.
const GRPC: u16 = 4000;

/// Longest reason of a closing frame, in bytes.
const LONGEST: usize = 123;

/// What was wrong with the messages of a caller that RFC 6455 has a code of its own for. It goes around the handler, who
/// may have something else to say of it.
#[derive(Clone, Default)]
pub(in crate::rest) struct Faults(Arc<Mutex<Option<Fault>>>);

struct Fault {
    code: Code,
    message: String,
    close: u16,
}

impl Faults {
    /// Notes with which code an error is to be told.
    pub(super) fn note(&self, status: Status, close: u16) -> Status {
        let (code, message) = (status.code(), status.message().to_owned());
        let fault = Fault {
            code,
            message,
            close,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        status
    }

    /// The code of the closing frame of a call that failed.
    fn close_code(&self, status: &Status) -> u16 {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |fault: &&Fault| fault.code == status.code() && fault.message == status.message();
        let noted = noted.as_ref().filter(same).map(|fault| fault.close);
        noted.unwrap_or_else(|| close_code(status.code()))
    }
}

/// The code of the closing frame for a code of gRPC.
fn close_code(code: Code) -> u16 {
    match code {
        Code::Ok => NORMAL,
        Code::Unknown | Code::Internal | Code::DataLoss => UNEXPECTED,
        Code::Cancelled
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Unauthenticated => GRPC + code as u16,
    }
}

/// The closing frame of a call that came to its end.
pub(super) fn normal() -> CloseFrame {
    CloseFrame {
        code: NORMAL.into(),
        reason: Utf8Bytes::default(),
    }
}

/// What ends a call that failed: its last message and its closing frame.
pub(super) fn failed(
    binding: &Binding,
    faults: &Faults,
    status: &Status,
) -> (Option<Utf8Bytes>, CloseFrame) {
    let json = render::rpc_status(binding, status);
    let last = [br#"{"error":"#, &*json, b"}"].concat();
    let code = faults.close_code(status).into();
    let problem = render::problem(binding, status);
    let reason = format!(
        "{}: {}",
        problem.name(binding.spec.reasons),
        problem.message
    );
    let reason = cut(&reason).into();
    // JSON is UTF-8.
    (last.try_into().ok(), CloseFrame { code, reason })
}

/// As much of a text as a closing frame holds.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_grpc_has_one_of_its_own_or_is_a_fault_of_the_service() {
        for number in 0..17 {
            let code = Code::from(number);
            let expected = match number {
                0 => 1000,
                2 | 13 | 15 => 1011,
                _ => 4000 + u16::try_from(number).expect("a code"),
            };
            assert_eq!(close_code(code), expected, "{code}");
        }
    }

    #[test]
    fn a_noted_fault_is_told_of_the_error_it_was_noted_for() {
        let faults = Faults::default();
        let status = faults.note(Status::invalid_argument("a"), TOO_LARGE);
        assert_eq!(faults.close_code(&status), 1009);
        assert_eq!(faults.close_code(&Status::invalid_argument("b")), 4003);
        assert_eq!(faults.close_code(&Status::aborted("a")), 4010);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let text = "x".repeat(122);
        assert_eq!(cut(&format!("{text}y")), format!("{text}y"));
        assert_eq!(cut(&format!("{text}é")), text);
        assert_eq!(cut("short"), "short");
    }
}
