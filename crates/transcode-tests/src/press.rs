//! A service without a place in REST. It tells its caller what it saw of a request beside its message.

use prost::Message as _;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};
use transcode::Trailers;
use transcode::connect::GetRequest;

use crate::pb::library::v1::Edition;
use crate::pb::library::v1::press_server::Press;

/// Gives back what it gets.
pub struct Proofs;

/// Adds what was seen of a request.
fn tell(request: &Request<Edition>, answer: &mut MetadataMap) {
    let seen = request.metadata();
    for (asked, told) in [("x-ask", "x-told"), ("grpc-timeout", "x-timeout")] {
        for value in seen.get_all(asked) {
            answer.append(told, value.clone());
        }
    }
    if let Some(value) = seen.get_bin("x-ask-bin") {
        let mut bytes = value.to_bytes().unwrap_or_default().to_vec();
        bytes.reverse();
        answer.insert_bin("x-told-bin", MetadataValue::from_bytes(&bytes));
    }
    if request.extensions().get::<GetRequest>().is_some() {
        answer.insert("x-method", MetadataValue::from_static("GET"));
    }
    // These are not for a handler to say.
    answer.insert("trailer", MetadataValue::from_static("7"));
    answer.insert("connect-x", MetadataValue::from_static("7"));
}

#[tonic::async_trait]
impl Press for Proofs {
    async fn proof(&self, request: Request<Edition>) -> Result<Response<Edition>, Status> {
        if request.get_ref().title == "torn" {
            let details = prost_types::Any {
                type_url: "type.googleapis.com/library.v1.Edition".to_owned(),
                value: request.get_ref().encode_to_vec(),
            };
            let origin = tonic_types::pb::Status {
                code: Code::FailedPrecondition as i32,
                message: "It is torn".to_owned(),
                details: vec![details],
            };
            let details = origin.encode_to_vec().into();
            let mut status = Status::with_details(Code::FailedPrecondition, "It is torn", details);
            tell(&request, status.metadata_mut());
            return Err(status);
        }
        let mut metadata = MetadataMap::new();
        tell(&request, &mut metadata);
        let mut trailers = MetadataMap::new();
        trailers.insert("x-pages", MetadataValue::from_static("7"));
        trailers.insert_bin("x-ink-bin", MetadataValue::from_bytes(b"ink"));
        let mut answer = Response::new(request.into_inner());
        *answer.metadata_mut() = metadata;
        answer.extensions_mut().insert(Trailers(trailers));
        Ok(answer)
    }

    async fn print(&self, request: Request<Edition>) -> Result<Response<Edition>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
