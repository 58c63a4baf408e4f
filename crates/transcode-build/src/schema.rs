//! JSON Schemas of messages and fields.

mod names;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use names::Names;

use crate::ir::{Api, Field, Message, Scalar, Shape, Type, WellKnown};
use crate::options::{
    BEHAVIOR_IMMUTABLE, BEHAVIOR_OUTPUT_ONLY, FieldRules, IGNORE_IF_ZERO_VALUE, TypeRules,
};

/// What a message is described for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Answers: what they always hold is required.
    Output,
    /// Requests: unknown fields are refused.
    Input,
    /// The body of a PATCH: every field may be left out.
    Patch,
    /// Text in a path or a query, where there is no null.
    Parameter,
    /// Events of others: unknown fields are let pass.
    Received,
}

/// The schemas that operations refer to, made as they are asked for.
pub(crate) struct Schemas<'a> {
    pub(crate) api: &'a Api,
    made: BTreeMap<String, Value>,
    exemplary: HashSet<&'a str>,
    names: Names<'a>,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        Self {
            api,
            made: BTreeMap::new(),
            exemplary: exemplary(api),
            names: Names::new(api),
        }
    }

    pub(crate) fn finish(self) -> Value {
        Value::Object(self.made.into_iter().collect())
    }

    /// The name of the schema of a message and something around it, such as `Envelope`.
    pub(crate) fn name_with(&self, full_name: &str, suffix: &str) -> String {
        let name = self.names.of(full_name, &self.api.messages[full_name].path);
        self.names.with(&name, suffix)
    }

    /// Adds a schema by hand.
    pub(crate) fn add(&mut self, name: &str, schema: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.made.contains_key(name) {
            self.made.insert(name.to_owned(), Value::Null);
            let schema = schema(self);
            self.made.insert(name.to_owned(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// A reference to the schema of a message.
    pub(crate) fn message(&mut self, full_name: &str, role: Role) -> Value {
        let api = self.api;
        let message = &api.messages[full_name];
        match &message.well_known {
            Some(Type::WellKnown(kind)) => return well_known(*kind),
            Some(Type::Wrapper(kind)) => return scalar(*kind),
            _ => {}
        }
        let name = self.names.of(full_name, &message.path);
        let name = match role {
            Role::Output => name,
            Role::Input | Role::Parameter if name.ends_with("Request") => name,
            Role::Input | Role::Parameter => self.names.with(&name, "Input"),
            Role::Patch => self.names.with(&name, "Patch"),
            Role::Received if message.event.is_some() => name,
            Role::Received => self.names.with(&name, "Received"),
        };
        self.add(&name, |schemas| schemas.object(message, role))
    }

    fn object(&mut self, message: &Message, role: Role) -> Value {
        let fields = message.fields.iter().filter(|field| described(field, role));
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields {
            if match role {
                Role::Output => {
                    let written = matches!(
                        field.shape,
                        Shape::Implicit | Shape::Repeated | Shape::Map(_)
                    );
                    (written && !self.api.omit_defaults) || field.required()
                }
                Role::Input | Role::Parameter | Role::Received => field.required(),
                Role::Patch => false,
            } {
                required.push(field.json_name.clone());
            }
            properties.insert(field.json_name.clone(), self.field(field, role));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !message.docs.is_empty() {
            schema["description"] = json!(message.docs);
        }
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !matches!(role, Role::Output | Role::Received) {
            schema["additionalProperties"] = json!(false);
        }
        for (index, oneof) in message.oneofs.iter().enumerate() {
            let members: Vec<_> = message
                .fields
                .iter()
                .filter(
                    |field| matches!(field.shape, Shape::Oneof { index: of, .. } if of == index),
                )
                .map(|field| json!({"required": [field.json_name]}))
                .collect();
            let none = json!({"not": {"anyOf": members}});
            let mut choices = members.clone();
            if !oneof.required {
                choices.push(none);
            }
            let all = schema
                .as_object_mut()
                .map(|map| map.entry("allOf").or_insert_with(|| json!([])));
            if let Some(Value::Array(all)) = all {
                all.push(json!({"oneOf": choices}));
            }
        }
        schema
    }

    /// The schema of a field, with what is said of it.
    pub(crate) fn field(&mut self, field: &Field, role: Role) -> Value {
        let mut schema = match &field.shape {
            Shape::Repeated => self.list(field, role),
            Shape::Map(_) => self.map(field, role),
            _ => self.value(field, &field.rules, role),
        };
        let clearable = clearable(field);
        if matches!(role, Role::Input | Role::Patch) && clearable {
            schema = nullable(schema);
        }
        if !field.docs.is_empty() {
            schema["description"] = json!(field.docs);
        }
        if field.deprecated {
            schema["deprecated"] = json!(true);
        }
        if let Some(example) = example(field) {
            schema["examples"] = json!([in_list(field, example)]);
        }
        schema
    }

    fn list(&mut self, field: &Field, role: Role) -> Value {
        let none = FieldRules::default();
        let (min, max, items) = match &field.rules.rules {
            Some(TypeRules::Repeated(rules)) => {
                (rules.min_items, rules.max_items, rules.items.as_deref())
            }
            _ => (None, None, None),
        };
        let mut schema =
            json!({"type": "array", "items": self.value(field, items.unwrap_or(&none), role)});
        set(
            &mut schema,
            "minItems",
            min.or(field.required().then_some(1)),
        );
        set(&mut schema, "maxItems", max);
        schema
    }

    fn map(&mut self, field: &Field, role: Role) -> Value {
        let none = FieldRules::default();
        let (min, max, keys, values) = match &field.rules.rules {
            Some(TypeRules::Map(rules)) => (
                rules.min_pairs,
                rules.max_pairs,
                rules.keys.as_deref(),
                rules.values.as_deref(),
            ),
            _ => (None, None, None, None),
        };
        let mut schema = json!({"type": "object", "additionalProperties": self.value(field, values.unwrap_or(&none), role)});
        if let Some(rules) = keys {
            let mut names = json!({"type": "string"});
            constrain(&mut names, rules, false);
            schema["propertyNames"] = names;
        }
        set(
            &mut schema,
            "minProperties",
            min.or(field.required().then_some(1)),
        );
        set(&mut schema, "maxProperties", max);
        schema
    }

    /// The schema of one value.
    fn value(&mut self, field: &Field, rules: &FieldRules, role: Role) -> Value {
        let api = self.api;
        let mut schema = match &field.ty {
            Type::Scalar(kind) | Type::Wrapper(kind) => scalar(*kind),
            Type::Decimal(decimal) => {
                let limit = 10f64.powi(decimal.integer_digits);
                json!({"type": "number", "minimum": 0, "exclusiveMaximum": limit})
            }
            Type::Enum(name) => {
                let found = &api.enums[name];
                let values: Vec<_> = found
                    .callable()
                    .map(|value| value.json_name.clone())
                    .collect();
                let name = self.names.of(name, &found.path);
                self.add(
                    &name,
                    |_| json!({"type": "string", "enum": values, "description": found.docs}),
                )
            }
            Type::Message(name) => self.message(
                name,
                if role == Role::Patch {
                    Role::Input
                } else {
                    role
                },
            ),
            Type::WellKnown(WellKnown::Struct) if field.no_null_characters => self.text_object(),
            Type::WellKnown(kind) => well_known(*kind),
        };
        let zero_is_absent = rules.ignore == Some(IGNORE_IF_ZERO_VALUE) && role == Role::Output;
        constrain(&mut schema, rules, zero_is_absent);
        if field.required()
            && field.ty == Type::Scalar(Scalar::String)
            && schema.get("minLength").is_none()
        {
            schema["minLength"] = json!(1);
        }
        if field.no_null_characters
            && schema.get("pattern").is_none()
            && field.ty == Type::Scalar(Scalar::String)
        {
            schema["pattern"] = json!(NO_NUL);
        }
        schema
    }

    /// An object of anything, in which no string holds U+0000.
    fn text_object(&mut self) -> Value {
        let value = self.add("JsonValue", |_| {
            json!({
                "description": "Any JSON whose strings hold no null character.",
                "anyOf": [
                    {"type": ["null", "boolean", "number"]},
                    {"type": "string", "pattern": NO_NUL},
                    {"type": "array", "items": {"$ref": "#/components/schemas/JsonValue"}},
                    {
                        "type": "object",
                        "propertyNames": {"pattern": NO_NUL},
                        "additionalProperties": {"$ref": "#/components/schemas/JsonValue"},
                    },
                ],
            })
        });
        json!({"type": "object", "propertyNames": {"pattern": NO_NUL}, "additionalProperties": value})
    }

    /// An example of a message, put together from those of its fields.
    pub(crate) fn example(&self, full_name: &str, role: Role) -> Value {
        if !self.exemplary.contains(full_name) {
            return Value::Null;
        }
        self.example_in(full_name, role, &mut Vec::new())
    }

    /// `open` are the messages around this one: a message that contains itself has an example of one level.
    fn example_in(&self, full_name: &str, role: Role, open: &mut Vec<String>) -> Value {
        open.push(full_name.to_owned());
        let mut object = Map::new();
        let message = &self.api.messages[full_name];
        let mut oneofs = Vec::new();
        for field in &message.fields {
            if !described(field, role) {
                continue;
            }
            if let Shape::Oneof { index, .. } = field.shape {
                if oneofs.contains(&index) {
                    continue;
                }
                oneofs.push(index);
            }
            let value = match (&field.ty, example(field)) {
                (_, Some(example)) => Some(example),
                (Type::Message(name), None)
                    if !open.contains(name) && self.exemplary.contains(name.as_str()) =>
                {
                    Some(self.example_in(name, role, open))
                }
                _ => None,
            };
            if let Some(value) = value {
                object.insert(field.json_name.clone(), in_list(field, value));
            }
        }
        open.pop();
        Value::Object(object)
    }
}

/// The messages with a field, their own or one inside, that has an example. Others have none, which saves looking through
/// all that is inside them, over and over.
fn exemplary(api: &Api) -> HashSet<&str> {
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut open = Vec::new();
    for (name, message) in &api.messages {
        for field in &message.fields {
            if let Type::Message(inner) = &field.ty {
                users.entry(inner).or_default().push(name);
            }
        }
        if message.fields.iter().any(|field| !field.example.is_empty()) {
            open.push(name.as_str());
        }
    }
    let mut found = HashSet::new();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(users.get(name).into_iter().flatten());
        }
    }
    found
}

/// Whether null is a value for a field of a body: it stands for absence, or for a default that the rules allow.
fn clearable(field: &Field) -> bool {
    let rules = field.rules.rules.as_ref();
    match field.shape {
        _ if field.required() => false,
        Shape::Implicit => {
            !matches!(rules, Some(TypeRules::String(rules)) if rules.lengths().0 > Some(0))
        }
        _ => true,
    }
}

/// Whether a field is a part of what callers send or get.
fn described(field: &Field, role: Role) -> bool {
    match role {
        Role::Output | Role::Received => true,
        Role::Input | Role::Parameter => !field.is(BEHAVIOR_OUTPUT_ONLY),
        Role::Patch => !field.is(BEHAVIOR_OUTPUT_ONLY) && !field.is(BEHAVIOR_IMMUTABLE),
    }
}

/// A string without U+0000.
const NO_NUL: &str = r"^[^\x00]*$";

fn set(schema: &mut Value, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        schema[key] = json!(value);
    }
}

fn nullable(mut schema: Value) -> Value {
    if schema["type"] == "null" {
        schema
    } else if let Some(kind @ Value::String(_)) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
        schema
    } else {
        json!({"anyOf": [schema, {"type": "null"}]})
    }
}

fn example(field: &Field) -> Option<Value> {
    if field.example.is_empty() {
        return None;
    }
    let bare = || json!(field.example);
    Some(match &field.ty {
        Type::Scalar(Scalar::String) | Type::Enum(_) | Type::WellKnown(WellKnown::Timestamp) => {
            bare()
        }
        _ => serde_json::from_str(&field.example).unwrap_or_else(|_| bare()),
    })
}

/// An example of one item as one of the list that the field is.
fn in_list(field: &Field, example: Value) -> Value {
    if field.shape == Shape::Repeated && !example.is_array() {
        json!([example])
    } else {
        example
    }
}

fn scalar(kind: Scalar) -> Value {
    match kind {
        Scalar::Double => json!({"type": "number", "format": "double"}),
        Scalar::Float => json!({"type": "number", "format": "float"}),
        Scalar::Int32 => {
            json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
        }
        Scalar::UInt32 => {
            json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
        }
        Scalar::Int64 => json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}),
        Scalar::UInt64 => json!({"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}),
        Scalar::Bool => json!({"type": "boolean"}),
        Scalar::String => json!({"type": "string"}),
        Scalar::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
    }
}

fn well_known(kind: WellKnown) -> Value {
    match kind {
        WellKnown::Timestamp => json!({"type": "string", "format": "date-time"}),
        WellKnown::Duration => json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"}),
        WellKnown::FieldMask => {
            json!({"type": "string", "pattern": r"^([a-zA-Z0-9.]+(,[a-zA-Z0-9.]+)*)?$"})
        }
        WellKnown::Struct => json!({"type": "object", "additionalProperties": true}),
        WellKnown::Value => json!({}),
        WellKnown::ListValue => json!({"type": "array", "items": {}}),
        WellKnown::NullValue => json!({"type": "null"}),
        WellKnown::Empty => json!({"type": "object", "additionalProperties": false}),
        WellKnown::Any => json!({
            "type": "object",
            "properties": {"@type": {"type": "string", "description": "URL of the message's type."}},
            "additionalProperties": true,
        }),
    }
}

/// Adds what rules say to a schema.
fn constrain(schema: &mut Value, rules: &FieldRules, zero_is_absent: bool) {
    match &rules.rules {
        Some(TypeRules::String(rules)) => {
            let (min, max) = rules.lengths();
            set(schema, "minLength", min.filter(|_| !zero_is_absent));
            set(schema, "maxLength", max);
            match (&rules.pattern, &rules.prefix) {
                (Some(pattern), _) if !zero_is_absent => schema["pattern"] = json!(pattern),
                (None, Some(prefix)) => schema["pattern"] = json!(format!("^{}", escape(prefix))),
                _ => {}
            }
            if !rules.r#in.is_empty() {
                schema["enum"] = json!(rules.r#in);
            }
        }
        Some(TypeRules::Bytes(rules)) => {
            // Base64 takes four characters for three bytes.
            set(
                schema,
                "minLength",
                rules.min_len.map(|bytes| bytes.div_ceil(3) * 4),
            );
            set(
                schema,
                "maxLength",
                rules.max_len.map(|bytes| bytes.div_ceil(3) * 4),
            );
        }
        Some(rules) => {
            let Some(bounds) = rules.bounds() else { return };
            // 64-bit integers are strings, which have no bounds.
            if schema["type"] != "string" {
                for (key, replaced, bound) in [
                    ("minimum", "minimum", &bounds.gte),
                    ("exclusiveMinimum", "minimum", &bounds.gt),
                    ("maximum", "maximum", &bounds.lte),
                    ("exclusiveMaximum", "maximum", &bounds.lt),
                ] {
                    if let Some(number) = bound
                        .as_ref()
                        .and_then(|bound| serde_json::from_str::<Value>(bound).ok())
                    {
                        if let Some(map) = schema.as_object_mut() {
                            map.shift_remove(replaced);
                        }
                        schema[key] = number;
                    }
                }
            }
        }
        None => {}
    }
}

/// A text as a regular expression.
fn escape(text: &str) -> String {
    regex::escape(text)
}
