//! The types of fields.

use prost_reflect::Kind;

use crate::ir::{Scalar, Type, WellKnown};

/// The scalar of a kind; none for messages and enums.
pub(super) fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Scalar::Int32,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Scalar::Int64,
        Kind::Uint32 | Kind::Fixed32 => Scalar::UInt32,
        Kind::Uint64 | Kind::Fixed64 => Scalar::UInt64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

/// The type of a value.
pub(super) fn field_type(kind: &Kind) -> Type {
    let own = match kind {
        Kind::Enum(descriptor) => Type::Enum(descriptor.full_name().to_owned()),
        Kind::Message(descriptor) => Type::Message(descriptor.full_name().to_owned()),
        _ => return Type::Scalar(scalar(kind).unwrap_or(Scalar::String)),
    };
    match &own {
        Type::Enum(name) | Type::Message(name) => well_known(name).unwrap_or(own),
        _ => own,
    }
}

/// The type of a well-known name, where it has a JSON form of its own.
pub(super) fn well_known(name: &str) -> Option<Type> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => Type::WellKnown(WellKnown::Timestamp),
        "Duration" => Type::WellKnown(WellKnown::Duration),
        "FieldMask" => Type::WellKnown(WellKnown::FieldMask),
        "Struct" => Type::WellKnown(WellKnown::Struct),
        "Value" => Type::WellKnown(WellKnown::Value),
        "ListValue" => Type::WellKnown(WellKnown::ListValue),
        "NullValue" => Type::WellKnown(WellKnown::NullValue),
        "Empty" => Type::WellKnown(WellKnown::Empty),
        "Any" => Type::WellKnown(WellKnown::Any),
        "DoubleValue" => Type::Wrapper(Scalar::Double),
        "FloatValue" => Type::Wrapper(Scalar::Float),
        "Int32Value" => Type::Wrapper(Scalar::Int32),
        "Int64Value" => Type::Wrapper(Scalar::Int64),
        "UInt32Value" => Type::Wrapper(Scalar::UInt32),
        "UInt64Value" => Type::Wrapper(Scalar::UInt64),
        "BoolValue" => Type::Wrapper(Scalar::Bool),
        "StringValue" => Type::Wrapper(Scalar::String),
        "BytesValue" => Type::Wrapper(Scalar::Bytes),
        _ => return None,
    })
}
