//! Errors: the answers that operations refer to, and their schema.

use serde_json::{Map, Value, json};

use super::content::{limited, negotiated, unsupported};
use super::{binary, headers, websocket};
use crate::ir::Body;
use crate::schema::Schemas;

/// The errors that operations refer to.
pub(super) fn responses(schemas: &mut Schemas<'_>) -> Value {
    let api = schemas.api;
    let takes_websockets = api
        .services
        .iter()
        .flat_map(|s| &s.methods)
        .flat_map(|m| m.bindings.iter().map(move |b| (m, b)))
        .any(|(m, b)| api.takes_websocket(m, b));
    let used = |name: &str| match name {
        "NotFound" => api.services.iter().any(|s| {
            s.methods
                .iter()
                .any(|m| m.options.reasons.iter().any(|r| r == "NOT_FOUND"))
        }),
        "Conflict" => api.services.iter().any(|s| {
            s.methods.iter().any(|m| {
                m.options
                    .reasons
                    .iter()
                    .any(|r| r == "CONFLICT" || r == "ALREADY_EXISTS")
                    || m.options.idempotency_key
            })
        }),
        "UnsupportedMediaType" | "UnsupportedLines" | "UnsupportedForm" | "UnsupportedEncoding" => {
            api.services
                .iter()
                .flat_map(|s| &s.methods)
                .flat_map(|m| m.bindings.iter().map(move |b| (m, b)))
                .any(|(m, b)| b.body != Body::None && unsupported(api, m, b) == name)
        }
        "BodyTooLarge" => api
            .services
            .iter()
            .flat_map(|s| &s.methods)
            .flat_map(|m| m.bindings.iter().map(move |b| (m, b)))
            .any(|(m, b)| limited(api, m, b)),
        "PreconditionFailed" => api
            .services
            .iter()
            .flat_map(|s| &s.methods)
            .any(|m| !m.options.if_match.is_empty() && !m.bindings.is_empty()),
        "NotAcceptable" => api.services.iter().flat_map(|s| &s.methods).any(|m| {
            let mut bindings = m.bindings.iter();
            bindings.any(|b| negotiated(api, m, b))
        }),
        "Unauthorized" => api
            .services
            .iter()
            .flat_map(|s| &s.methods)
            .any(|m| !m.options.public || m.options.reasons.iter().any(|r| r == "UNAUTHORIZED")),
        "Forbidden" => api
            .services
            .iter()
            .flat_map(|s| &s.methods)
            .any(|m| !m.options.public || takes_websockets),
        "UpgradeRequired" => takes_websockets,
        _ => true,
    };
    let error = error(schemas);
    let mut responses = Map::new();
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
        if api.services.is_empty() || !used(name) {
            continue;
        }
        let mut example = json!({"success": false, "error": {"code": reason_name(schemas, code), "message": message},
            "meta": {"requestId": "req_01hm6xkqz0e8s8a3kq5w2v9t4c", "timestamp": "2024-01-15T10:30:00Z"}});
        if name == "InvalidParameters" {
            example["error"]["details"] = json!({"limit": "Must be between 1 and 100"});
        }
        let mut media = json!({"schema": error});
        if api.services.iter().any(|service| service.options.envelope) {
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
        responses.insert(name.to_owned(), response);
    }
    Value::Object(responses)
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

fn error(schemas: &mut Schemas<'_>) -> Value {
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
    if !api.services.iter().any(|service| service.options.envelope) {
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
