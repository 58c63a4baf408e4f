//! The program that the protobuf conformance suite tests: it answers each request on its output with what the generated
//! JSON mapping and prost make of it. `make conformance` runs it.

use std::io::{Read as _, Write as _};

use prost::Message;
use transcode::json::{Context, from_slice};
use transcode_tests::pb::conformance::conformance_request::Payload;
use transcode_tests::pb::conformance::conformance_response::Result as Outcome;
use transcode_tests::pb::conformance::{
    ConformanceRequest, ConformanceResponse, FailureSet, TestCategory, WireFormat,
};
use transcode_tests::pb::protobuf_test_messages::proto3::TestAllTypesProto3;

fn main() -> std::io::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut length = [0; 4];
    // The suite closes the pipe when it has no more tests.
    while input.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut request)?;
        let outcome = match ConformanceRequest::decode(&*request) {
            Ok(request) => answer(&request),
            Err(error) => Outcome::RuntimeError(error.to_string()),
        };
        let response = ConformanceResponse {
            result: Some(outcome),
        };
        let response = response.encode_to_vec();
        let length = u32::try_from(response.len()).unwrap_or_default();
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}

fn answer(request: &ConformanceRequest) -> Outcome {
    match request.message_type.as_str() {
        // What the suite asks first: the tests that are known to fail. There are none.
        "conformance.FailureSet" => Outcome::ProtobufPayload(FailureSet::default().encode_to_vec()),
        "protobuf_test_messages.proto3.TestAllTypesProto3" => convert(request),
        other => Outcome::Skipped(format!("{other} is not proto3")),
    }
}

fn convert(request: &ConformanceRequest) -> Outcome {
    let message = match &request.payload {
        Some(Payload::ProtobufPayload(bytes)) => match TestAllTypesProto3::decode(&**bytes) {
            Ok(message) => message,
            Err(error) => return Outcome::ParseError(error.to_string()),
        },
        Some(Payload::JsonPayload(json)) => {
            let tolerant = request.test_category() == TestCategory::JsonIgnoreUnknownParsingTest;
            match read(json, tolerant) {
                Ok(message) => message,
                Err(error) => return Outcome::ParseError(error),
            }
        }
        _ => return Outcome::Skipped("neither binary nor JSON".to_owned()),
    };
    match request.requested_output_format() {
        WireFormat::Protobuf => Outcome::ProtobufPayload(message.encode_to_vec()),
        WireFormat::Json => match serde_json::to_string(&message) {
            Ok(json) => Outcome::JsonPayload(json),
            Err(error) => Outcome::SerializeError(error.to_string()),
        },
        _ => Outcome::Skipped("neither binary nor JSON".to_owned()),
    }
}

/// Reads as a body is read.
fn read(json: &str, tolerant: bool) -> Result<TestAllTypesProto3, String> {
    let mut context = if tolerant {
        Context::tolerant()
    } else {
        Context::new()
    };
    let message = from_slice(json.as_bytes(), &mut context).map_err(|error| error.to_string())?;
    let (violations, _) = context.finish();
    let list: Vec<String> = (violations.into_vec().into_iter())
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    if list.is_empty() {
        Ok(message)
    } else {
        Err(list.join("; "))
    }
}
