//! Storing what was read, by the presence of the field.

use serde::de::{Deserialize as _, Deserializer, IgnoredAny};

use super::{Context, Decoded, Kind};

/// Reads a field without presence: null is its default.
pub fn singular<'de, K: Kind, D: Deserializer<'de>>(
    slot: &mut K::Value,
    deserializer: D,
    context: &mut Context,
) -> Result<(), D::Error>
where
    K::Value: Default,
{
    match K::decode(deserializer, context)? {
        Decoded::Value(value) => *slot = value,
        Decoded::Null => *slot = K::Value::default(),
        Decoded::Invalid => {}
    }
    Ok(())
}

/// Reads a field with presence: null is absence.
pub fn optional<'de, K: Kind, D: Deserializer<'de>>(
    slot: &mut Option<K::Value>,
    deserializer: D,
    context: &mut Context,
) -> Result<(), D::Error> {
    match K::decode(deserializer, context)? {
        Decoded::Value(value) => *slot = Some(value),
        Decoded::Null => *slot = None,
        Decoded::Invalid => {}
    }
    Ok(())
}

/// Reads a message that contains itself.
pub fn boxed<'de, K: Kind, D: Deserializer<'de>>(
    slot: &mut Option<Box<K::Value>>,
    deserializer: D,
    context: &mut Context,
) -> Result<(), D::Error> {
    let mut value = None;
    optional::<K, D>(&mut value, deserializer, context)?;
    *slot = value.map(Box::new);
    Ok(())
}

/// Reads a member of a oneof; a sibling that is set already is a violation.
pub fn oneof<'de, K: Kind, O, D: Deserializer<'de>>(
    slot: &mut Option<O>,
    wrap: impl FnOnce(K::Value) -> O,
    members: &'static str,
    deserializer: D,
    context: &mut Context,
) -> Result<(), D::Error> {
    if let Decoded::Value(value) = K::decode(deserializer, context)? {
        if slot.is_some() {
            context
                .violations
                .add(format!("Only one of {members} may be given"));
        } else {
            *slot = Some(wrap(value));
        }
    }
    Ok(())
}

/// Reads a repeated field or a map: null is empty.
pub fn append<'de, K: Kind, D: Deserializer<'de>>(
    slot: &mut K::Value,
    deserializer: D,
    context: &mut Context,
) -> Result<(), D::Error> {
    if let Decoded::Value(value) = K::decode(deserializer, context)? {
        *slot = value;
    }
    Ok(())
}

/// Reads a value of no field. The reader asks only for fields it was told of, so this has nothing to do.
pub fn skip<'de, D: Deserializer<'de>>(deserializer: D, _: &mut Context) -> Result<(), D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| ())
}
