//! Requests that are a well-known type as a whole: they are read by its kind, and have no fields that a path or a query
//! could fill, nor rules.

use super::{Binder, Context, Decoded, Kind};
use crate::Violations;
use crate::validate::{MaskPath, Validate};

/// Reads a request from JSON text, as its kind says.
///
/// # Errors
/// As [`super::from_slice`].
pub fn value_from_slice<K: Kind>(
    json: &[u8],
    context: &mut Context,
) -> Result<K::Value, serde_json::Error>
where
    K::Value: Default,
{
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = K::decode(&mut deserializer, context)?;
    deserializer.end()?;
    Ok(match decoded {
        Decoded::Value(value) => value,
        Decoded::Null => {
            context.violations.add("Must not be null");
            K::Value::default()
        }
        Decoded::Invalid => K::Value::default(),
    })
}

macro_rules! without_fields {
    ($($type:ty),*) => {
        $(
            impl Binder for $type {
                fn bind(&mut self, path: &str, _: &str, context: &mut Context) {
                    context.unknown(path.split_once('.').map_or(path, |(name, _)| name));
                }
            }

            impl Validate for $type {
                fn validate(&self, _: &mut Violations) {}

                fn path(_: &str) -> MaskPath {
                    MaskPath::Unknown
                }
            }
        )*
    };
}

without_fields!(
    (),
    bool,
    f32,
    f64,
    i32,
    i64,
    u32,
    u64,
    String,
    Vec<u8>,
    prost_types::Any,
    prost_types::Duration,
    prost_types::FieldMask,
    prost_types::ListValue,
    prost_types::Struct,
    prost_types::Timestamp,
    prost_types::Value
);
