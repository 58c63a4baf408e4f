//! Answers that are streams.

use serde_json::{Value, json};

use super::errors::typed;
use crate::ir::Message;
use crate::schema::Schemas;

/// The answer of an RPC whose answer is a stream.
pub(super) fn answer(
    schemas: &mut Schemas<'_>,
    output: &Message,
    data: &Value,
    example: &Value,
) -> Value {
    let about = output.docs.lines().next().unwrap_or_default();
    let description = format!(
        "{about}\n\nA stream, which may be read without end: the schema is that of one message, the `data` of a \
         server-sent event, a line of JSON or an element of the array. A later failure ends it with the event `error`, \
         or with the line or the last element `{{\"error\": …}}`, of `{{code, reason, message, details, errorDetails}}`, where `code` \
         is the gRPC code."
    );
    let mut media = json!({"schema": data});
    if example.is_object() {
        media["example"] = example.clone();
    }
    let elements = json!({"anyOf": [data, failure(schemas)]});
    json!({
        "description": description.trim_start(),
        "content": {
            "text/event-stream": media.clone(),
            "application/x-ndjson": media,
            "application/json": {"schema": {"type": "array", "items": elements}},
        },
    })
}

/// The last element of an array whose stream failed.
fn failure(schemas: &mut Schemas<'_>) -> Value {
    schemas.add("StreamFailure", |_| {
        json!({
            "type": "object",
            "description": "Why a stream did not come to its end: the last of its elements.",
            "required": ["error"],
            "properties": {"error": {
                "type": "object",
                "required": ["code", "reason", "message"],
                "properties": {
                    "code": {"type": "integer", "description": "gRPC code."},
                    "reason": {"type": "string", "description": "Why the stream failed."},
                    "message": {"type": "string", "description": "For people."},
                    "details": {"type": "object", "additionalProperties": {"type": "string"}},
                    "errorDetails": typed(),
                },
            }},
        })
    })
}
