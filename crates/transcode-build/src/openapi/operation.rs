//! Operations: parameters, bodies, answers. What they share of errors is in [`super::errors`].

use serde_json::{Map, Value, json};

use super::errors::Used;
use super::{content, headers, websocket};
use crate::ir::{Api, Binding, Body, Field, Message, Method, Service, Shape, Type, WellKnown};
use crate::schema::{Role, Schemas};
use crate::template::Segment;

/// A path as OpenAPI writes it, where a variable is always one segment.
pub(super) struct Route {
    pub(super) path: String,
    /// Names of the parameters, with the field that each holds or is a part of.
    params: Vec<(String, Vec<String>)>,
}

impl Route {
    pub(super) fn new(binding: &Binding) -> Self {
        let template = &binding.template;
        let mut params: Vec<(String, Vec<String>)> = Vec::new();
        let mut path = String::new();
        for (index, segment) in template.segments.iter().enumerate() {
            path.push('/');
            let variable = template
                .variables
                .iter()
                .find(|variable| (variable.start..variable.end).contains(&index));
            match (segment, variable) {
                (Segment::Literal(word), _) => path.push_str(&escaped(word)),
                (_, variable) => {
                    let field = variable
                        .map(|variable| variable.field.clone())
                        .unwrap_or_default();
                    let stem = field
                        .last()
                        .map_or_else(|| "segment".to_owned(), |name| camel(name));
                    let mut name = stem.clone();
                    let mut number = 1;
                    while params.iter().any(|(other, _)| *other == name) {
                        number += 1;
                        name = format!("{stem}{number}");
                    }
                    path.extend(["{", &name, "}"]);
                    params.push((name, field));
                }
            }
        }
        if let Some(verb) = &template.verb {
            path.push(':');
            path.push_str(&escaped(verb));
        }
        Self { path, params }
    }
}

impl Route {
    /// Takes the names of another path, which differs in them only.
    pub(super) fn adopt(&mut self, path: &str) {
        path.clone_into(&mut self.path);
        let names = path.split('{').skip(1);
        let names = names.filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
        for ((name, _), known) in self.params.iter_mut().zip(names) {
            known.clone_into(name);
        }
    }
}

/// A word as it stands in a path: with all escaped that has a meaning there, or in a template.
fn escaped(word: &str) -> String {
    const SPECIAL: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'/')
        .add(b':')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'`')
        .add(b'{')
        .add(b'}');
    percent_encoding::utf8_percent_encode(word, SPECIAL).to_string()
}

/// A path without the names of its variables.
pub(super) fn shape(path: &str) -> String {
    let mut shape = String::new();
    let mut inside = false;
    for character in path.chars() {
        match character {
            '{' => {
                inside = true;
                shape.push_str("{}");
            }
            '}' => inside = false,
            _ if inside => {}
            _ => shape.push(character),
        }
    }
    shape
}

fn camel(name: &str) -> String {
    use heck::ToLowerCamelCase as _;
    name.to_lower_camel_case()
}

pub(super) fn operation(
    schemas: &mut Schemas<'_>,
    errors: &mut Used,
    service: &Service,
    method: &Method,
    index: usize,
    route: &Route,
    id: &str,
) -> Value {
    let binding = &method.bindings[index];
    let summary = method
        .docs
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let tag = if service.options.tag.is_empty() {
        &service.name
    } else {
        &service.options.tag
    };
    let mut operation = json!({
        "operationId": if index == 0 { id.to_owned() } else { format!("{id}{}", index + 1) },
        "summary": if index == 0 { summary.to_owned() } else { format!("{summary} ({})", route.path) },
        "description": method.docs,
        "tags": [tag],
        "parameters": parameters(schemas, method, binding, route),
    });
    if method.deprecated {
        operation["deprecated"] = json!(true);
    }
    operation["security"] = if method.options.public {
        json!([])
    } else {
        json!([{"bearerAuth": method.options.scopes}])
    };
    if let Some(body) = content::body(schemas, method, binding) {
        operation["requestBody"] = body;
    }
    operation["responses"] = answers(schemas, errors, service, method, binding);
    operation
}

/// What an update does without a mask.
const MASK: &str = "Without it an update changes the fields that its body in JSON names.";

/// What of that is particular to a body that may be binary.
const BINARY_MASK: &str = " A binary body does not say which fields it names, and needs it.";

fn parameters(
    schemas: &mut Schemas<'_>,
    method: &Method,
    binding: &Binding,
    route: &Route,
) -> Vec<Value> {
    let api = schemas.api;
    let input = &api.messages[&method.input];
    let mut parameters = Vec::new();
    for (name, path) in &route.params {
        let mut parameter =
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        if let Some(field) = resolve(schemas, input, path) {
            if !field.docs.is_empty() {
                parameter["description"] = json!(field.docs);
            }
            if route
                .params
                .iter()
                .filter(|(_, other)| other == path)
                .count()
                == 1
            {
                parameter["schema"] = parameter_schema(schemas, field);
            }
        }
        parameters.push(parameter);
    }
    if binding.body != Body::Whole {
        let skip = |field: &Field| {
            let in_body = matches!(&binding.body, Body::Field(name) if *name == field.name);
            in_body || in_path(input, binding, field)
        };
        for field in input.fields.iter().filter(|field| !skip(field)) {
            query(
                schemas,
                field,
                "",
                &mut vec![method.input.clone()],
                &mut parameters,
            );
        }
        // What is in the path stands nowhere else, be it a field of a message in the request.
        let in_path: Vec<_> = binding
            .template
            .variables
            .iter()
            .map(|variable| json_path(api, input, &variable.field))
            .collect();
        parameters.retain(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default();
            parameter["in"] != "query" || !in_path.iter().any(|path| path == name)
        });
        // The mask of a PATCH is made of the keys of its body.
        let mask = input.field("update_mask").filter(|field| {
            binding.method == "PATCH"
                && field.ty == Type::WellKnown(WellKnown::FieldMask)
                && !api.takes_bytes(&method.input, binding)
        });
        let name = mask.map(|field| &field.json_name);
        for parameter in &mut parameters {
            if name.is_some_and(|name| parameter["name"] == **name && parameter["in"] == "query") {
                let docs = parameter["description"].as_str().unwrap_or_default();
                let binary = if method.client_streaming {
                    ""
                } else {
                    BINARY_MASK
                };
                let docs = format!("{docs}\n\n{MASK}{binary}");
                parameter["description"] = json!(docs.trim_start());
                if let Some(parameter) = parameter.as_object_mut() {
                    parameter.remove("required");
                }
            }
        }
    }
    parameters.extend(last_event_id(schemas, method, input));
    parameters.extend(conditions(method, binding, input));
    if method.options.idempotency_key {
        parameters.push(headers::idempotency_key());
    }
    parameters
}

/// A path of fields by their names in JSON.
fn json_path(api: &Api, input: &Message, path: &[String]) -> String {
    let mut names = Vec::new();
    let mut message = Some(input);
    for name in path {
        let field = message.and_then(|message| message.field(name));
        names.push(field.map_or(name.as_str(), |field| field.json_name.as_str()));
        message = field.and_then(|field| match &field.ty {
            Type::Message(name) => api.messages.get(name),
            _ => None,
        });
    }
    names.join(".")
}

/// Whether a field, or another one of its oneof, is in the path.
pub(super) fn in_path(input: &Message, binding: &Binding, field: &Field) -> bool {
    let variables = &binding.template.variables;
    let itself = variables
        .iter()
        .any(|variable| variable.field == [field.name.clone()]);
    // A oneof has one member: with one in the path the others can't be given.
    let sibling = variables.iter().any(|variable| {
        let bound = variable.field.first().and_then(|name| input.field(name));
        matches!((bound.map(|bound| &bound.shape), &field.shape),
            (Some(Shape::Oneof { index: a, .. }), Shape::Oneof { index: b, .. }) if a == b)
    });
    itself || sibling
}

/// Adds the query parameters of a field: itself, or the fields of a message with dots between.
pub(super) fn query(
    schemas: &mut Schemas<'_>,
    field: &Field,
    prefix: &str,
    open: &mut Vec<String>,
    parameters: &mut Vec<Value>,
) {
    let name = format!("{prefix}{}", field.json_name);
    match &field.ty {
        Type::Message(message) if !matches!(field.shape, Shape::Repeated | Shape::Map(_)) => {
            if open.contains(message) {
                return;
            }
            open.push(message.clone());
            let api = schemas.api;
            for inner in &api.messages[message].fields {
                query(schemas, inner, &format!("{name}."), open, parameters);
            }
            open.pop();
        }
        _ if !field.ty.is_text() || matches!(field.shape, Shape::Map(_)) => {}
        _ => {
            let mut parameter =
                json!({"name": name, "in": "query", "schema": parameter_schema(schemas, field)});
            if !field.docs.is_empty() {
                parameter["description"] = json!(field.docs);
            }
            if field.required() {
                parameter["required"] = json!(true);
            }
            parameters.push(parameter);
        }
    }
}

/// The header that a reader of a stream comes back with.
fn last_event_id(schemas: &mut Schemas<'_>, method: &Method, input: &Message) -> Option<Value> {
    let field = input.field(&method.options.last_event_id)?;
    Some(json!({
        "name": "Last-Event-ID",
        "in": "header",
        "schema": parameter_schema(schemas, field),
        "description": format!(
            "The last `id` of an event that was seen, as browsers send it when they come back. It wins over `{}`.",
            field.json_name
        ),
    }))
}

/// The headers that compare entity tags.
fn conditions(method: &Method, binding: &Binding, input: &Message) -> Vec<Value> {
    let header = |name: &str, description: String| json!({"name": name, "in": "header", "schema": {"type": "string"}, "description": description});
    let mut conditions = Vec::new();
    if !method.etag.is_empty() && binding.method == "GET" {
        let text = "Entity tags that the caller has, or `*`: where the answer's is among them, it is 304 without a body.";
        conditions.push(header("If-None-Match", text.to_owned()));
    }
    if let Some(field) = input.field(&method.options.if_match) {
        let text = format!(
            "Entity tags one of which the resource must have, or `*`: otherwise nothing is done, and the answer is 412. \
             It wins over `{}`.",
            field.json_name
        );
        conditions.push(header("If-Match", text));
    }
    conditions
}

/// A parameter's schema: the field's, without the description that stands beside it.
fn parameter_schema(schemas: &mut Schemas<'_>, field: &Field) -> Value {
    let mut schema = schemas.field(field, Role::Parameter);
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("description");
    }
    schema
}

fn resolve<'a>(schemas: &Schemas<'a>, message: &'a Message, path: &[String]) -> Option<&'a Field> {
    let (first, rest) = path.split_first()?;
    let field = message.field(first)?;
    match (&field.ty, rest) {
        (_, []) => Some(field),
        (Type::Message(name), rest) => resolve(schemas, &schemas.api.messages[name], rest),
        _ => None,
    }
}

fn answers(
    schemas: &mut Schemas<'_>,
    errors: &mut Used,
    service: &Service,
    method: &Method,
    binding: &Binding,
) -> Value {
    let mut answers = Map::new();
    let takes_websocket = schemas.api.takes_websocket(method, binding);
    if takes_websocket {
        let answer = websocket::answer(schemas.api, method, binding);
        answers.insert("101".to_owned(), answer);
    }
    let status = method.options.success_status.max(200).to_string();
    let mut success = content::success(schemas, service, method, binding);
    success["headers"] = Value::Object(success_headers(method, binding));
    answers.insert(status, success);
    if !method.etag.is_empty() && binding.method == "GET" {
        let text = "The caller has what would be answered: `If-None-Match` names its entity tag.";
        let mut headers = headers::rate_limit();
        headers.insert("ETag".to_owned(), etag_header());
        answers.insert(
            "304".to_owned(),
            json!({"description": text, "headers": headers}),
        );
    }
    let reason = |name: &str| method.options.reasons.iter().any(|reason| reason == name);
    for (status, name, applies) in [
        ("400", "InvalidParameters", true),
        (
            "401",
            "Unauthorized",
            !method.options.public || reason("UNAUTHORIZED"),
        ),
        (
            "403",
            "Forbidden",
            !method.options.public || takes_websocket,
        ),
        ("404", "NotFound", reason("NOT_FOUND")),
        (
            "409",
            "Conflict",
            reason("CONFLICT") || reason("ALREADY_EXISTS") || method.options.idempotency_key,
        ),
        (
            "406",
            "NotAcceptable",
            content::negotiated(schemas.api, method, binding),
        ),
        (
            "412",
            "PreconditionFailed",
            !method.options.if_match.is_empty(),
        ),
        (
            "413",
            "BodyTooLarge",
            content::limited(schemas.api, method, binding),
        ),
        (
            "415",
            content::unsupported(schemas.api, method, binding),
            binding.body != Body::None,
        ),
        ("426", "UpgradeRequired", takes_websocket),
        ("429", "RateLimited", true),
        ("500", "InternalError", true),
        ("503", "ServiceUnavailable", true),
        ("504", "Timeout", true),
    ] {
        if applies {
            let error = errors.refer(schemas.api, service, name);
            answers.insert(status.to_owned(), error);
        }
    }
    Value::Object(answers)
}

/// What a successful answer has beside its body.
fn success_headers(method: &Method, binding: &Binding) -> Map<String, Value> {
    let text =
        |description: &str| json!({"description": description, "schema": {"type": "string"}});
    let mut headers = Map::new();
    if !method.location.is_empty() {
        headers.insert("Location".to_owned(), text("Path of the new resource."));
    }
    if !method.etag.is_empty() {
        headers.insert("ETag".to_owned(), etag_header());
    }
    if method.links.are_in(binding) {
        let links = "Other pages of the list, as RFC 8288 has it: `first`, `prev`, `next` and `last`, or `first` \
                     and `next` for a caller who came by a token.";
        headers.insert("Link".to_owned(), text(links));
    }
    if method.options.idempotency_key {
        let replayed =
            "`true` when this is the answer to an earlier call with the same Idempotency-Key.";
        headers.insert("Idempotency-Replayed".to_owned(), text(replayed));
    }
    headers.extend(headers::rate_limit());
    headers
}

fn etag_header() -> Value {
    json!({"description": "Entity tag of the resource, for `If-None-Match` and `If-Match`.", "schema": {"type": "string"}})
}
