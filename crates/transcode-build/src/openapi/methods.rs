//! The methods of a path. OpenAPI knows eight, and has no word for all of them.

use serde_json::{Value, json};

use crate::ir::ANY_METHOD;

/// Those that OpenAPI knows.
const KNOWN: [&str; 8] = [
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE",
];

/// Those under which a rule for any method is described.
const USUAL: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// Adds an operation to a path. One with a method that OpenAPI does not know is left out.
pub(super) fn insert(path: &mut Value, method: &str, operation: Value) {
    if method != ANY_METHOD {
        if KNOWN.contains(&method) {
            path[method.to_lowercase()] = operation;
        }
        return;
    }
    for method in USUAL {
        let key = method.to_lowercase();
        // A rule of its own wins, in the description as in the router.
        if path.get(&key).is_some() {
            continue;
        }
        let mut operation = operation.clone();
        let id = operation["operationId"].as_str().unwrap_or_default();
        operation["operationId"] = json!(format!("{id}.{key}"));
        if matches!(method, "GET" | "DELETE")
            && let Some(operation) = operation.as_object_mut()
        {
            operation.shift_remove("requestBody");
        }
        path[key] = operation;
    }
}
