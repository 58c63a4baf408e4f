//! Headers that many answers have.

use serde_json::{Map, Value, json};

use crate::ir::Api;

/// What an answer says of the caller's budget, by header.
const RATE_LIMIT: [(&str, &str); 3] = [
    (
        "RateLimit-Limit",
        "Requests that the caller may make in a window.",
    ),
    ("RateLimit-Remaining", "What is left of them."),
    ("RateLimit-Reset", "Seconds until the next window begins."),
];

/// The headers that answers refer to.
pub(super) fn all(api: &Api) -> Value {
    let mut headers = Map::new();
    if !api.services.is_empty() {
        for (name, description) in RATE_LIMIT {
            let schema = json!({"type": "integer", "minimum": 0});
            headers.insert(
                name.to_owned(),
                json!({"description": description, "schema": schema}),
            );
        }
    }
    Value::Object(headers)
}

/// Those of an answer that was let in or refused by the caller's budget.
pub(super) fn rate_limit() -> Map<String, Value> {
    let refer = |name| json!({"$ref": format!("#/components/headers/{name}")});
    RATE_LIMIT
        .iter()
        .map(|(name, _)| ((*name).to_owned(), refer(name)))
        .collect()
}

/// How long to wait before the next attempt.
pub(super) fn retry_after() -> Map<String, Value> {
    let header = json!({"description": "Seconds to wait.", "schema": {"type": "integer"}});
    Map::from_iter([("Retry-After".to_owned(), header)])
}

/// With which a caller has a call made once, however often it is sent.
pub(super) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "Makes the call once, however often it is sent: the first answer, unless it is one that may pass, \
                        is given again to every call of the same caller with the same key. The key is of the caller's \
                        choice, such as a UUID, and goes with one request: another one with it is a conflict.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]+$",
        },
    })
}
