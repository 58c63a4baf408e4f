//! Metadata: headers of a request to a handler, and what a handler answers beside its messages as headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;

use crate::rest::RESERVED;

/// What stands before the name of a trailer of a unary answer.
const TRAILER: &str = "trailer-";

/// Whether metadata of a name is for a caller, and not what HTTP or a protocol says itself.
pub(super) fn is_answer(name: &HeaderName) -> bool {
    let name = name.as_str();
    !RESERVED.contains(&name) && !name.starts_with("grpc-") && !name.starts_with("connect-")
}

/// Adds the metadata of an answer to its headers. What is bytes is base64, here as in gRPC.
pub(super) fn answer(metadata: &MetadataMap, headers: &mut HeaderMap) {
    if metadata.is_empty() {
        return;
    }
    for (name, value) in AsRef::<HeaderMap>::as_ref(metadata) {
        if is_answer(name) {
            headers.append(name, value.clone());
        }
    }
}

/// Adds what comes after the message of a unary answer to its headers.
pub(super) fn trailers(metadata: &MetadataMap, headers: &mut HeaderMap) {
    for (name, value) in AsRef::<HeaderMap>::as_ref(metadata) {
        if !is_answer(name) {
            continue;
        }
        let name = [TRAILER, name.as_str()].concat();
        if let Ok(name) = HeaderName::try_from(name) {
            headers.append(name, HeaderValue::clone(value));
        }
    }
}
