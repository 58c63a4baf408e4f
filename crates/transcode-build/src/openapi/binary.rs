//! Messages in protobuf's binary form, beside JSON.

use serde_json::{Value, json};

use crate::ir::{Field, Shape, Type};

/// Its media type.
pub(super) const MEDIA: &str = "application/x-protobuf";

/// The media object of a message of this full name.
pub(super) fn media(full_name: &str) -> Value {
    let description = format!("`{full_name}` in protobuf's binary form.");
    json!({"schema": {"type": "string", "format": "binary", "description": description}})
}

/// The media object of a body that is a field, where that is a message by itself.
pub(super) fn of_field(field: &Field) -> Option<Value> {
    let name = match &field.ty {
        _ if !field.is_one_message() => return None,
        Type::Message(name) => name.clone(),
        // They are named as the types of protobuf are.
        Type::WellKnown(kind) => format!("google.protobuf.{kind:?}"),
        Type::Wrapper(scalar) => format!("google.protobuf.{scalar:?}Value"),
        Type::Scalar(_) | Type::Decimal(_) | Type::Enum(_) => return None,
    };
    Some(media(&name))
}

/// As [`of_field`], for the answer, which is no member of a oneof.
pub(super) fn of_answer(field: &Field) -> Option<Value> {
    let alone = !matches!(field.shape, Shape::Oneof { .. });
    alone.then(|| of_field(field)).flatten()
}
