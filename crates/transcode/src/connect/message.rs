//! Messages as bytes, in both codecs. JSON is ProtoJSON as it is: clients of this protocol are made of the contract by
//! programs that know nothing of the names it has for REST.

use prost::Message;
use tonic::{Code, Status};

use super::protocol::Codec;
use crate::body::Unreadable;
use crate::json::Context;
use crate::rest::ToJson;
use crate::spec::MethodSpec;
use crate::status::{self, UNEXPECTED};
use crate::validate::Validate;
use crate::{Violation, Violations};

/// Room for a message in JSON whose length is not known, in bytes.
const EXPECTED: usize = 512;

/// A message of a request.
pub trait Inbound: Message + Validate + Default + 'static {}

impl<M: Message + Validate + Default + 'static> Inbound for M {}

/// A message of an answer.
pub trait Outbound: Message + Default + 'static {}

impl<M: Message + Default + 'static> Outbound for M {}

/// How the messages of an RPC are JSON; generated.
pub struct Json<Req, Res> {
    /// Reads one of a request.
    pub read: ReadJson<Req>,
    /// Writes one of an answer, as ProtoJSON.
    pub write: ToJson<Res>,
}

/// Reads a message from JSON text; generated.
pub type ReadJson<Req> = fn(&[u8], &mut Context) -> Result<Req, serde_json::Error>;

/// Reads a message. `number` is its place in a stream, from 1.
pub(super) fn decode<M: Inbound>(
    codec: Codec,
    read_json: ReadJson<M>,
    bytes: &[u8],
    spec: &MethodSpec,
    number: Option<usize>,
) -> Result<M, Status> {
    match codec {
        Codec::Proto => {
            M::decode(bytes).map_err(|error| malformed(spec, "protobuf", &error, number))
        }
        Codec::Json => {
            let mut context = Context::canonical();
            let message = read_json(bytes, &mut context)
                .map_err(|error| malformed(spec, "JSON", &error, number))?;
            let (violations, _) = context.finish();
            check(spec, violations, number)?;
            Ok(message)
        }
    }
}

/// Checks a message against the contract.
pub(super) fn validate<M: Inbound>(spec: &MethodSpec, message: &M) -> Result<(), Status> {
    let mut violations = Violations::new();
    message.validate(&mut violations);
    check(spec, violations, None)
}

fn check(spec: &MethodSpec, violations: Violations, number: Option<usize>) -> Result<(), Status> {
    match number {
        Some(number) => {
            status::check_at(spec.reasons, violations, &format_args!("message {number}"))
        }
        None => status::check(spec.reasons, violations),
    }
}

/// The error of a message that can't be read.
fn malformed(
    spec: &MethodSpec,
    codec: &str,
    error: &dyn std::error::Error,
    number: Option<usize>,
) -> Status {
    let place = number.map_or_else(String::new, |number| format!(" in message {number}"));
    status::refuse(
        spec.reasons,
        Code::InvalidArgument,
        format!("Malformed {codec}{place}"),
        [Violation {
            field: "body".to_owned(),
            description: error.to_string(),
        }],
    )
}

/// Writes a message behind so many zeros. Fails on what has no form in the codec.
pub(super) fn encode<M: Outbound>(
    codec: Codec,
    write_json: ToJson<M>,
    message: &M,
    zeros: usize,
) -> Result<Vec<u8>, Status> {
    let room = match codec {
        Codec::Proto => message.encoded_len(),
        Codec::Json => EXPECTED,
    };
    let mut bytes = Vec::with_capacity(zeros + room);
    bytes.resize(zeros, 0);
    let written = match codec {
        Codec::Proto => message.encode(&mut bytes).is_ok(),
        Codec::Json => write_json(message, &mut bytes).is_ok(),
    };
    // Such as a time out of range.
    written
        .then_some(bytes)
        .ok_or_else(|| Status::new(Code::Internal, UNEXPECTED))
}

/// The status of a body, or of a message in it, that can't be read. What is wrong is the protocol's: the contract has no
/// name for it.
pub(super) fn unreadable(why: Unreadable) -> Status {
    match why {
        Unreadable::TooLarge(max) => {
            Status::resource_exhausted(format!("A message must not be larger than {max} bytes"))
        }
        Unreadable::EndedEarly => Status::invalid_argument("The body ended early"),
        Unreadable::NotCoded => {
            Status::invalid_argument("The message is not compressed as it says")
        }
        Unreadable::SeveralCodings => {
            Status::unimplemented("Messages must be compressed once, not several times")
        }
        Unreadable::UnknownCoding => Status::unimplemented("The compression is not supported"),
        Unreadable::Fault => Status::internal(UNEXPECTED),
    }
}
