//! The AsyncAPI 3.0 description of the events of a contract.
//!
//! A message is described by what the contract says of it, the payload; the CloudEvent that it travels in is a trait of
//! all messages.

use serde_json::{Map, Value, json};

use crate::ir::{Api, Direction, Event, Message};
use crate::schema::{Role, Schemas};

/// Where the trait of all messages is.
const TRAIT: &str = "cloudEvent";

/// The description of the events of a contract.
pub fn document(api: &Api) -> Value {
    let mut schemas = Schemas::new(api);
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for (full_name, message, event) in api.events() {
        let name = message.event_type();
        messages.insert(
            name.to_owned(),
            described(&mut schemas, full_name, message, event),
        );
        let about = match event.direction {
            Direction::Published => "Events that the service publishes.",
            Direction::Subscribed => "Events that the service subscribes to.",
        };
        add_message(&mut channels, &event.topic, about, name);
        if let Some(topic) = &event.dead_letter_topic {
            let about = format!("What the service could not handle of `{}`.", event.topic);
            add_message(&mut channels, topic, &about, name);
        }
        let (action, title) = match event.direction {
            Direction::Published => ("send", format!("send{name}")),
            Direction::Subscribed => ("receive", format!("receive{name}")),
        };
        let operation = json!({
            "action": action,
            "channel": {"$ref": format!("#/channels/{}", pointer(&event.topic))},
            "summary": summary(message),
            "messages": [{"$ref": format!("#/channels/{}/messages/{name}", pointer(&event.topic))}],
        });
        operations.insert(title, operation);
    }
    let mut components = json!({"messages": messages, "schemas": schemas.finish()});
    if !messages.is_empty() {
        components["messageTraits"] = json!({TRAIT: cloud_event()});
    }
    let mut description = json!({
        "asyncapi": "3.0.0",
        "info": info(api),
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": components,
    });
    separate_references(&mut description);
    description
}

fn info(api: &Api) -> Value {
    let info = &api.info;
    let title = if info.title.is_empty() {
        "API"
    } else {
        &info.title
    };
    let mut about = json!({
        "title": format!("{title} events"),
        "version": if info.version.is_empty() { "1.0" } else { &info.version },
    });
    if !info.events_description.is_empty() {
        about["description"] = json!(info.events_description);
    }
    if !info.license.is_empty() {
        about["license"] = json!({"name": info.license});
    }
    if !info.contact_name.is_empty() {
        about["contact"] = json!({"name": info.contact_name, "url": info.contact_url});
    }
    about
}

/// Adds a message to the channel of a topic, which may have those of the other direction already.
fn add_message(channels: &mut Map<String, Value>, topic: &str, about: &str, name: &str) {
    let channel = channels
        .entry(topic)
        .or_insert_with(|| json!({"address": topic, "description": about, "messages": {}}));
    channel["messages"][name] = json!({"$ref": format!("#/components/messages/{name}")});
}

fn described(
    schemas: &mut Schemas<'_>,
    full_name: &str,
    message: &Message,
    event: &Event,
) -> Value {
    let role = role(event);
    let name = message.event_type();
    let mut described = json!({
        "name": name,
        "title": format!("{name} {}", event.version),
        "summary": summary(message),
        "contentType": "application/json",
        "traits": [{"$ref": format!("#/components/messageTraits/{TRAIT}")}],
        "headers": {"type": "object", "properties": {"type": {"type": "string", "const": name}}},
        "payload": schemas.message(full_name, role),
        "examples": [{"name": name, "payload": schemas.example(full_name, role)}],
        "x-version": event.version,
    });
    if !message.docs.is_empty() {
        described["description"] = json!(message.docs);
    }
    if let Some(topic) = &event.dead_letter_topic {
        described["x-dead-letter-topic"] = json!(topic);
    }
    described
}

/// How the payload of an event is described.
pub(crate) fn role(event: &Event) -> Role {
    match event.direction {
        Direction::Published => Role::Output,
        Direction::Subscribed => Role::Received,
    }
}

/// The first paragraph of what is said of a message.
pub(crate) fn summary(message: &Message) -> String {
    let first = message.docs.split("\n\n").next().unwrap_or_default();
    first.replace('\n', " ")
}

/// The envelope: the attributes of CloudEvents 1.0, with those of its extension for tracing.
fn cloud_event() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let said =
        |description: &str| json!({"type": "string", "minLength": 1, "description": description});
    json!({
        "description": "A CloudEvent 1.0. In its structured form the attributes that stand here as headers are members \
            of one JSON object, beside `data`, which holds the payload.",
        "headers": {
            "type": "object",
            "required": ["id", "source", "specversion", "type"],
            "properties": {
                "id": said("Identifies the event: one that is delivered again has the same."),
                "source": said("Service that the event comes from."),
                "specversion": {"type": "string", "const": "1.0", "description": "Version of CloudEvents."},
                "type": said("Type of the event."),
                "datacontenttype": {
                    "type": "string", "const": "application/json", "description": "What `data` is.",
                },
                "subject": text("What the event is about. Events of one subject are delivered in their order."),
                "time": {"type": "string", "format": "date-time", "description": "When it happened."},
                "traceparent": text("W3C trace context of what caused the event; empty where there is none."),
                "tracestate": text("W3C trace state; empty where there is none."),
            },
        },
    })
}

/// A name in a JSON pointer.
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Draft 7 of JSON Schema, which AsyncAPI takes as it is, has nothing stand beside a `$ref`.
fn separate_references(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(separate_references);
            if map.len() > 1
                && let Some(target @ Value::String(_)) = map.shift_remove("$ref")
            {
                map.insert("allOf".to_owned(), json!([{"$ref": target}]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(separate_references),
        _ => {}
    }
}
