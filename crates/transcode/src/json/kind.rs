//! The ways a value can look in JSON.

mod any;
mod decimal;
mod scalar;
mod structured;
mod wkt;

pub(super) use any::TYPE;
pub use any::{Any, AnyType, AnyTypes, well_known};
pub use decimal::Decimal;
pub use scalar::{Bool, Bytes, Double, Enum, Float, Int32, Int64, Str, UInt32, UInt64};
pub use structured::{Map, MapKey, Message, Repeated};
pub(crate) use wkt::camel_case;
pub use wkt::{Duration, Empty, FieldMask, ListValue, NullValue, Struct, Timestamp, Value};

use std::borrow::Cow;

use serde::{Deserializer, Serializer};

use super::Context;

/// What reading a value came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<T> {
    /// A value.
    Value(T),
    /// JSON's null.
    Null,
    /// Something else than was expected: the context has a violation, unless it skips what it does not know.
    Invalid,
}

/// How the values of a field are read from and written to JSON.
pub trait Kind {
    /// The type of the field in Rust, as prost has it.
    type Value;

    /// Reads a value. Fails only where the text is not JSON.
    fn decode<'de, D: Deserializer<'de>>(
        deserializer: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error>;

    /// Writes a value.
    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error>;
}

/// What a text should have been, as a sentence without a full stop.
pub type Expected = Cow<'static, str>;

/// A kind whose values can stand in a path or a query string.
pub trait TextKind: Kind {
    /// Reads a value from text.
    fn parse(text: &str) -> Result<Self::Value, Expected>;
}
