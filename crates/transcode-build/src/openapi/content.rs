//! What stands in bodies: those of requests and of successful answers.

use serde_json::{Map, Value, json};

use super::operation::{in_path, query};
use super::{binary, stream};
use crate::ir::{Api, Binding, Body, HTTP_BODY, Message, Method, Service, Shape, Type};
use crate::schema::{Role, Schemas};

/// The body of a request; none where it takes none.
pub(super) fn body(schemas: &mut Schemas<'_>, method: &Method, binding: &Binding) -> Option<Value> {
    let role = if binding.method == "PATCH" {
        Role::Patch
    } else {
        Role::Input
    };
    let api = schemas.api;
    if api.takes_bytes(&method.input, binding) {
        let required = match &binding.body {
            Body::Field(name) => api.messages[&method.input].field(name)?.required(),
            _ => false,
        };
        let description = match (method.client_streaming, method.options.max_request_bytes) {
            (true, None) => "Bytes of any type and any length, taken as they come.".to_owned(),
            (true, Some(most)) => {
                format!("Bytes of any type, taken as they come. At most {most} bytes.")
            }
            (false, None) => "Bytes of any type.".to_owned(),
            (false, Some(most)) => format!("Bytes of any type. At most {most} bytes."),
        };
        return Some(json!({
            "required": required,
            "description": description,
            "content": {"*/*": {"schema": raw()}},
        }));
    }
    let (schema, example, packed) = match &binding.body {
        Body::None => return None,
        Body::Whole => (
            schemas.message(&method.input, Role::Input),
            schemas.example(&method.input, Role::Input),
            Some(binary::media(&method.input)),
        ),
        Body::Field(name) => {
            let field = api.messages[&method.input].field(name)?;
            let (schema, example) = match &field.ty {
                Type::Message(name) if field.shape != Shape::Repeated => {
                    (schemas.message(name, role), schemas.example(name, role))
                }
                _ => (schemas.field(field, role), Value::Null),
            };
            (schema, example, binary::of_field(field))
        }
    };
    let mut media = json!({"schema": schema});
    if example.is_object() {
        media["example"] = example;
    }
    let most = method.options.max_request_bytes;
    if method.client_streaming {
        let most = most.map_or_else(String::new, |most| {
            format!(" A line has at most {most} bytes.")
        });
        let description = format!(
            "A stream, which may be written without end: each line is JSON of this schema, and the message of an error \
             names the line. Blank lines say nothing. Path and query hold for every line.{most}"
        );
        return Some(json!({
            "required": true,
            "description": description,
            "content": {"application/x-ndjson": media},
        }));
    }
    let form = form(schemas, method, binding);
    let mut body = json!({"required": true});
    if let Some(most) = most {
        body["description"] = json!(format!("At most {most} bytes."));
    }
    body["content"] = json!({"application/json": media});
    if let Some(packed) = packed {
        body["content"][binary::MEDIA] = packed;
    }
    if let Some(form) = form {
        body["content"]["multipart/form-data"] = json!({"schema": form});
    }
    Some(body)
}

/// The schema of a request as a form: files, and what stands in a query elsewhere.
fn form(schemas: &mut Schemas<'_>, method: &Method, binding: &Binding) -> Option<Value> {
    let api = schemas.api;
    let files = api.files(method, binding);
    if files.is_empty() {
        return None;
    }
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in &api.messages[&method.input].fields {
        if in_path(&api.messages[&method.input], binding, field) {
            continue;
        }
        for path in files.iter().filter(|path| path[0].name == field.name) {
            let names: Vec<_> = path.iter().map(|field| field.json_name.as_str()).collect();
            let Some(last) = path.last() else {
                continue;
            };
            let mut schema = match last.shape {
                Shape::Repeated => json!({"type": "array", "items": raw()}),
                _ => raw(),
            };
            if !last.docs.is_empty() {
                schema["description"] = json!(last.docs);
            }
            properties.insert(names.join("."), schema);
            // What is in a message is required only where that is.
            if path.iter().all(|field| field.required()) {
                required.push(json!(names.join(".")));
            }
        }
        if field.is_file() {
            continue;
        }
        let mut parameters = Vec::new();
        let mut open = vec![method.input.clone(), HTTP_BODY.to_owned()];
        query(schemas, field, "", &mut open, &mut parameters);
        for mut parameter in parameters {
            let Some(name) = parameter["name"].as_str().map(str::to_owned) else {
                continue;
            };
            if parameter["required"] == true {
                required.push(json!(name));
            }
            let mut schema = parameter["schema"].take();
            if let Some(description) = parameter.get("description") {
                schema["description"] = description.clone();
            }
            properties.insert(name, schema);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = json!(false);
    Some(schema)
}

/// The name of the error of a body that is of no type which is taken.
pub(super) fn unsupported(api: &Api, method: &Method, binding: &Binding) -> &'static str {
    if api.takes_bytes(&method.input, binding) {
        "UnsupportedEncoding"
    } else if method.client_streaming {
        "UnsupportedLines"
    } else if !api.files(method, binding).is_empty() {
        "UnsupportedForm"
    } else {
        "UnsupportedMediaType"
    }
}

/// Whether an answer has forms of which a caller may take none.
pub(super) fn negotiated(api: &Api, method: &Method, binding: &Binding) -> bool {
    method.options.success_status != 204 && !api.answers_bytes(&method.output, binding)
}

/// Whether a body may be too large, as a whole or in one of its lines.
pub(super) fn limited(api: &Api, method: &Method, binding: &Binding) -> bool {
    let chunks = method.client_streaming && api.takes_bytes(&method.input, binding);
    binding.body != Body::None && (!chunks || method.options.max_request_bytes.is_some())
}

/// The answer of a success.
pub(super) fn success(
    schemas: &mut Schemas<'_>,
    service: &Service,
    method: &Method,
    binding: &Binding,
) -> Value {
    let api = schemas.api;
    if method.options.success_status == 204 {
        return json!({"description": "Done; there is nothing to say."});
    }
    let output = &api.messages[&method.output];
    if api.answers_bytes(&method.output, binding) {
        return bytes(method, output);
    }
    let (data, example, packed) = match binding
        .response_body
        .as_deref()
        .and_then(|name| output.field(name))
    {
        Some(field) => (
            schemas.field(field, Role::Output),
            Value::Null,
            binary::of_answer(field),
        ),
        None => (
            schemas.message(&method.output, Role::Output),
            schemas.example(&method.output, Role::Output),
            Some(binary::media(&method.output)),
        ),
    };
    if method.streaming {
        return stream::answer(schemas, output, &data, &example);
    }
    let mut media = if service.options.envelope {
        let name = schemas.name_with(&method.output, "Envelope");
        let meta = meta(schemas, &service.options.version);
        let envelope = schemas.add(&name, |_| {
            json!({
                "type": "object",
                "description": format!("{} in its envelope.", output.path.join("")),
                "required": ["success", "data", "meta"],
                "properties": {"success": {"const": true}, "data": data, "meta": meta},
            })
        });
        json!({"schema": envelope})
    } else {
        json!({"schema": data})
    };
    if example.is_object() {
        media["example"] = if service.options.envelope {
            json!({"success": true, "data": example, "meta": {
                "requestId": "req_01hm6xkqz0e8s8a3kq5w2v9t4c",
                "timestamp": "2024-01-15T10:30:00Z",
                "version": service.options.version,
            }})
        } else {
            example
        };
    }
    let mut content = json!({"application/json": media});
    if let Some(packed) = packed {
        content[binary::MEDIA] = packed;
    }
    json!({
        "description": output.docs.lines().next().filter(|line| !line.is_empty()).unwrap_or("Success."),
        "content": content,
    })
}

/// The answer that is bytes as they are. Of which type they are is known when there are any.
fn bytes(method: &Method, output: &Message) -> Value {
    let about = output.docs.lines().next().unwrap_or_default();
    let mut description = match about {
        _ if method.output == HTTP_BODY => "Bytes of the type that the answer names.".to_owned(),
        "" => "Success.".to_owned(),
        about => about.to_owned(),
    };
    if method.streaming {
        description.push_str(
            "\n\nThey come as they are made. A later failure ends the body before its end: an answer that does not end \
             as HTTP says, with its last chunk, is not whole.",
        );
    }
    json!({"description": description, "content": {"*/*": {"schema": raw()}}})
}

/// Bytes as they are.
fn raw() -> Value {
    json!({"type": "string", "format": "binary"})
}

fn meta(schemas: &mut Schemas<'_>, version: &str) -> Value {
    let version = version.to_owned();
    schemas.add("Meta", |_| {
        json!({
            "type": "object",
            "description": "About the answer.",
            "required": ["timestamp", "version"],
            "properties": {
                "requestId": {"type": "string", "description": "Identifies the request in the logs.", "examples": ["req_01hm6xkqz0e8s8a3kq5w2v9t4c"]},
                "timestamp": {"type": "string", "format": "date-time", "description": "When the answer was made.", "examples": ["2024-01-15T10:30:00Z"]},
                "version": {"type": "string", "description": "Version of the API.", "examples": [version]},
            },
        })
    })
}
