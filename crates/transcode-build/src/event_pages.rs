//! Pages on the events of a contract, for people, in Markdown: one for each event, and an index.

use std::fmt::Write as _;

use serde_json::Value;

use crate::asyncapi::{role, summary};
use crate::error::Error;
use crate::ir::{Api, Direction, Event, Field, Message, Scalar, Shape, Type, WellKnown};
use crate::schema::{Role, Schemas};

/// The name of the index.
const INDEX: &str = "README.md";

/// What generated pages begin with.
const NOTE: &str = "<!-- Generated from the contract: change the .proto instead. -->\n";

/// The names of the files and what is in them, the index first; nothing for a contract without events.
///
/// # Errors
/// When an example can't be written.
pub fn pages(api: &Api) -> Result<Vec<(String, String)>, Error> {
    let events = api.events();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut pages = vec![(INDEX.to_owned(), index(api, &events))];
    for (full_name, message, event) in events {
        let page = page(api, full_name, message, event)?;
        pages.push((format!("{}.md", message.event_type()), page));
    }
    Ok(pages)
}

// Writing to a String can't fail, so that its results are passed over below.

fn index(api: &Api, events: &[(&str, &Message, &Event)]) -> String {
    let mut text = format!("{NOTE}\n# Events\n");
    if !api.info.events_description.is_empty() {
        let _ = write!(text, "\n{}\n", api.info.events_description);
    }
    text.push_str("\n| event | version | | topic | |\n| --- | --- | --- | --- | --- |\n");
    for (_, message, event) in events {
        let name = message.event_type();
        let _ = writeln!(
            text,
            "| [{name}]({name}.md) | {} | {} | `{}` | {} |",
            event.version,
            direction(event),
            event.topic,
            cell(&summary(message)),
        );
    }
    text.push_str(
        "\nThe same for programs: [asyncapi.yaml](asyncapi.yaml), [asyncapi.json](asyncapi.json).\n",
    );
    text
}

fn page(api: &Api, full_name: &str, message: &Message, event: &Event) -> Result<String, Error> {
    let name = message.event_type();
    let role = role(event);
    let mut text = format!("{NOTE}\n# {name}\n\n{}\n", message.docs);
    let mut facts = vec![
        ("topic", format!("`{}`", event.topic)),
        ("version", event.version.clone()),
        ("direction", direction(event).to_owned()),
        ("message", format!("`{full_name}`")),
    ];
    if let Some(topic) = &event.dead_letter_topic {
        facts.push(("dead letter topic", format!("`{topic}`")));
    }
    text.push_str("\n| | |\n| --- | --- |\n");
    for (fact, value) in facts {
        let _ = writeln!(text, "| {fact} | {value} |");
    }
    text.push_str(
        "\n## Fields\n\n| field | type | present | meaning |\n| --- | --- | --- | --- |\n",
    );
    let mut rows = Rows {
        api,
        schemas: Schemas::new(api),
        role,
        text,
    };
    rows.message(message, "", &mut vec![full_name.to_owned()]);
    let example = rows.schemas.example(full_name, role);
    let example = serde_json::to_string_pretty(&example)
        .map_err(|error| Error::Description(error.to_string()))?;
    let mut text = rows.text;
    let _ = write!(text, "\n## Example\n\n```json\n{example}\n```\n");
    Ok(text)
}

/// The rows of a table of fields.
struct Rows<'a> {
    api: &'a Api,
    schemas: Schemas<'a>,
    role: Role,
    text: String,
}

impl Rows<'_> {
    /// The fields of a message, and those of messages in it; `open` are the ones around.
    fn message(&mut self, message: &Message, prefix: &str, open: &mut Vec<String>) {
        for field in &message.fields {
            let suffix = match field.shape {
                Shape::Repeated => "[]",
                Shape::Map(_) => "{}",
                _ => "",
            };
            let path = format!("{prefix}{}{suffix}", field.json_name);
            let present = if self.is_present(field) {
                "always"
            } else {
                "maybe"
            };
            let (kind, meaning) = (self.kind(field), cell(&field.docs));
            let limits = self.limits(field);
            let _ = writeln!(
                self.text,
                "| `{path}` | {kind} | {present} | {meaning}{limits} |"
            );
            if let Type::Message(name) = &field.ty
                && !open.contains(name)
            {
                let api = self.api;
                open.push(name.clone());
                self.message(&api.messages[name], &format!("{path}."), open);
                open.pop();
            }
        }
    }

    fn is_present(&self, field: &Field) -> bool {
        let by_shape = matches!(
            field.shape,
            Shape::Implicit | Shape::Repeated | Shape::Map(_)
        );
        field.required() || self.role == Role::Output && by_shape
    }

    fn kind(&self, field: &Field) -> String {
        match &field.ty {
            Type::Scalar(kind) | Type::Wrapper(kind) => scalar(*kind).to_owned(),
            Type::Decimal(_) => "decimal number".to_owned(),
            Type::Enum(name) => {
                let values = self.api.enums[name].callable();
                let values: Vec<_> = values
                    .map(|value| format!("`{}`", value.json_name))
                    .collect();
                values.join(", ")
            }
            Type::Message(_) => "object".to_owned(),
            Type::WellKnown(kind) => well_known(*kind).to_owned(),
        }
    }

    /// What the rules allow, in the words of the schema.
    fn limits(&mut self, field: &Field) -> String {
        let schema = self.schemas.field(field, self.role);
        let of = |key: &str| {
            schema
                .get(key)
                .filter(|_| !matches!(field.ty, Type::Enum(_)))
        };
        let code = |value: &Value| match value {
            Value::String(text) => format!("`{}`", cell(text)),
            other => format!("`{other}`"),
        };
        let mut limits = Vec::new();
        if let Some(Value::Array(values)) = of("enum") {
            let values: Vec<_> = values.iter().map(code).collect();
            limits.push(values.join(" or "));
        }
        for (key, before, after) in [
            ("pattern", "matches ", ""),
            ("maxLength", "at most ", " characters"),
            ("minItems", "at least ", " items"),
            ("maxItems", "at most ", " items"),
            ("maxProperties", "at most ", " entries"),
        ] {
            if let Some(value) = of(key) {
                limits.push(format!("{before}{}{after}", code(value)));
            }
        }
        // The bounds of the type itself go without saying.
        if field.rules.rules.is_some() {
            for (key, sign) in [
                ("minimum", "≥"),
                ("exclusiveMinimum", ">"),
                ("maximum", "≤"),
                ("exclusiveMaximum", "<"),
            ] {
                let of_the_type = [
                    i64::from(i32::MIN),
                    i64::from(i32::MAX),
                    i64::from(u32::MAX),
                ];
                let own = of(key)
                    .filter(|value| !value.as_i64().is_some_and(|n| of_the_type.contains(&n)));
                if let Some(value) = own {
                    limits.push(format!("{sign} {}", code(value)));
                }
            }
        }
        if limits.is_empty() {
            String::new()
        } else {
            format!(" ({})", limits.join("; "))
        }
    }
}

fn direction(event: &Event) -> &'static str {
    match event.direction {
        Direction::Published => "published",
        Direction::Subscribed => "subscribed to",
    }
}

fn scalar(kind: Scalar) -> &'static str {
    match kind {
        Scalar::Double | Scalar::Float => "number",
        Scalar::Int32 | Scalar::UInt32 => "integer",
        Scalar::Int64 | Scalar::UInt64 => "integer in a string",
        Scalar::Bool => "boolean",
        Scalar::String => "string",
        Scalar::Bytes => "base64",
    }
}

fn well_known(kind: WellKnown) -> &'static str {
    match kind {
        WellKnown::Timestamp => "time, RFC 3339",
        WellKnown::Duration => "duration, `1.5s`",
        WellKnown::FieldMask => "names of fields",
        WellKnown::Struct => "object of anything",
        WellKnown::Value => "anything",
        WellKnown::ListValue => "list of anything",
        WellKnown::NullValue => "null",
        WellKnown::Empty => "empty object",
        WellKnown::Any => "object with its `@type`",
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
