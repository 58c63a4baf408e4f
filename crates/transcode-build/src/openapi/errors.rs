//! Errors: the answers that operations refer to, and their schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{binary, headers, websocket};
use crate::ir::{Api, Service};
use crate::schema::Schemas;

/// The errors that operations refer to, by name and by whether they are wrapped.
#[derive(Debug, Default)]
pub(super) struct Used(BTreeSet<(&'static str, bool)>);

impl Used {
    /// Refers to an error of an operation of a service.
    pub(super) fn refer(&mut self, api: &Api, service: &Service, name: &'static str) -> Value {
        let envelope = service.options.envelope;
        self.0.insert((name, envelope));
        let name = component(api, name, envelope);
        json!({"$ref": format!("#/components/responses/{name}")})
    }
}

/// The name of an error among the components. Where services of both kinds are in a document, that of one without an
/// envelope says so.
fn component(api: &Api, name: &str, envelope: bool) -> String {
    let wrapped = |service: &Service| service.options.envelope;
    if !envelope && api.services.iter().any(wrapped) {
        format!("{name}Unwrapped")
    } else {
        name.to_owned()
    }
}

/// Describes the errors that operations refer to.
pub(super) fn responses(schemas: &mut Schemas<'_>, used: &Used) -> Value {
    let mut responses = Map::new();
    for envelope in [true, false] {
        let is_used = |name| used.0.contains(&(name, envelope));
        if used.0.iter().any(|(_, found)| *found == envelope) {
            describe(schemas, envelope, is_used, &mut responses);
        }
    }
    Value::Object(responses)
}

/// Describes the errors that are wrapped, or those that are not.
fn describe(
    schemas: &mut Schemas<'_>,
    envelope: bool,
    is_used: impl Fn(&'static str) -> bool,
    responses: &mut Map<String, Value>,
) {
    let error = error(schemas, envelope);
    for (name, code, retry, description, message) in [
        (
            "InvalidParameters",
            3,
            false,
            "Invalid request parameters; `details` names the fields.",
            "Invalid request parameters",
        ),
        (
            "Unauthorized",
            16,
            false,
            "Invalid or expired token.",
            "Invalid or expired token",
        ),
        (
            "Forbidden",
            7,
            false,
            "Insufficient permissions.",
            "Insufficient permissions",
        ),
        (
            "NotFound",
            5,
            false,
            "Resource not found.",
            "Resource not found",
        ),
        (
            "Conflict",
            6,
            false,
            "Resource already exists.",
            "Resource already exists",
        ),
        (
            "NotAcceptable",
            3,
            false,
            "The answer has none of the forms that Accept allows.",
            "The answer is application/json or application/x-protobuf: Accept must allow it",
        ),
        (
            "PreconditionFailed",
            10,
            false,
            "The resource has none of the entity tags that the caller expects.",
            "The resource is not the one that was read: read it again",
        ),
        (
            "BodyTooLarge",
            3,
            false,
            "The body is too large.",
            "The body must not be larger than 1048576 bytes",
        ),
        (
            "UnsupportedMediaType",
            3,
            false,
            "The body is neither JSON nor, where it may be, a binary message, or is coded in a way that is not taken.",
            "Content-Type must be application/json or application/x-protobuf",
        ),
        (
            "UnsupportedLines",
            3,
            false,
            "The body is not lines of JSON, or is compressed.",
            "Content-Type must be application/x-ndjson",
        ),
        (
            "UnsupportedForm",
            3,
            false,
            "The body is neither JSON, nor a binary message, nor a form, or is coded in a way that is not taken.",
            "Content-Type must be application/json, application/x-protobuf or multipart/form-data",
        ),
        (
            "UnsupportedEncoding",
            3,
            false,
            "The body is coded in a way that is not taken.",
            "Content-Encoding is not supported",
        ),
        (
            "UpgradeRequired",
            3,
            false,
            "A WebSocket was asked for in another version than that of RFC 6455.",
            "Sec-WebSocket-Version must be 13",
        ),
        (
            "RateLimited",
            8,
            true,
            "Too many requests.",
            "Too many requests",
        ),
        (
            "InternalError",
            13,
            false,
            "Internal server error.",
            "An unexpected error occurred",
        ),
        (
            "ServiceUnavailable",
            14,
            true,
            "Service temporarily unavailable.",
            "Service temporarily unavailable",
        ),
        (
            "Timeout",
            4,
            false,
            "The request took too long.",
            "The request took too long",
        ),
    ] {
        if !is_used(name) {
            continue;
        }
        let mut example = json!({"success": false, "error": {"code": reason_name(schemas, code), "message": message},
            "meta": {"requestId": "req_01hm6xkqz0e8s8a3kq5w2v9t4c", "timestamp": "2024-01-15T10:30:00Z"}});
        if name == "InvalidParameters" {
            example["error"]["details"] = json!({"limit": "Must be between 1 and 100"});
        }
        let mut media = json!({"schema": error});
        if envelope {
            media["example"] = example;
        }
        let mut response = json!({"description": description, "content": {"application/json": media, binary::MEDIA: binary::media("google.rpc.Status")}});
        let mut headers = if retry {
            headers::retry_after()
        } else {
            Map::new()
        };
        if name == "UpgradeRequired" {
            headers = websocket::version();
        }
        if name == "RateLimited" {
            headers.extend(headers::rate_limit());
        }
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
        responses.insert(component(schemas.api, name, envelope), response);
    }
}

/// The schema of details that are messages.
pub(super) fn typed() -> Value {
    json!({
        "type": "array",
        "description": "Details that nothing else in the answer says, such as `google.rpc.Help`: each with its type and, \
                        where that is of `google.rpc`, its fields.",
        "items": {
            "type": "object",
            "required": ["@type"],
            "properties": {"@type": {"type": "string", "description": "URL of the type."}},
        },
    })
}

fn reason_name(schemas: &Schemas<'_>, code: i32) -> String {
    let named = schemas
        .api
        .enums
        .values()
        .find(|found| found.names_errors());
    let value = named.and_then(|found| {
        found
            .values
            .iter()
            .find(|value| value.options.grpc_codes.contains(&code))
    });
    value.map_or_else(|| code.to_string(), |value| value.json_name.clone())
}

/// The schema of an error.
fn error(schemas: &mut Schemas<'_>, envelope: bool) -> Value {
    let api = schemas.api;
    let mut code = json!({"type": "string", "description": "Why the request failed."});
    if let Some(found) = api.enums.values().find(|found| found.names_errors()) {
        code["enum"] = found
            .callable()
            .map(|value| json!(value.json_name))
            .collect();
        let lines = found
            .callable()
            .map(|value| format!("- `{}`: {}", value.json_name, value.docs.replace('\n', " ")));
        code["description"] = json!(format!(
            "Why the request failed.\n\n{}",
            lines.collect::<Vec<_>>().join("\n")
        ));
    }
    let details = json!({
        "type": "object",
        "description": "What is wrong, by field.",
        "additionalProperties": {"type": "string"},
        "examples": [{"limit": "Must be between 1 and 100"}],
    });
    let typed = typed();
    let message = json!({"type": "string", "description": "For people.", "examples": ["Invalid query parameters"]});
    if !envelope {
        return schemas.add("Error", |_| {
            json!({
                "type": "object",
                "required": ["code", "reason", "message"],
                "properties": {"code": {"type": "integer", "description": "gRPC code."}, "reason": code, "message": message, "details": details, "errorDetails": typed},
            })
        });
    }
    let error = json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": code, "message": message, "details": details, "errorDetails": typed},
    });
    let meta = json!({
        "type": "object",
        "required": ["timestamp"],
        "properties": {
            "requestId": {"type": "string", "description": "Identifies the request in the logs.", "examples": ["req_01hm6xkqz0e8s8a3kq5w2v9t4c"]},
            "timestamp": {"type": "string", "format": "date-time", "description": "When the answer was made.", "examples": ["2024-01-15T10:30:00Z"]},
            "traceId": {"type": "string", "description": "W3C trace the request belongs to.", "examples": ["4bf92f3577b34da6a3ce929d0e0e4736"]},
        },
    });
    schemas.add("ErrorEnvelope", |_| {
        json!({
            "type": "object",
            "description": "An error in its envelope.",
            "required": ["success", "error", "meta"],
            "properties": {"success": {"const": false}, "error": error, "meta": meta},
        })
    })
}
