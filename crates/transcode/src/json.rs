//! ProtoJSON: how generated messages are read from and written to JSON, through serde.
//!
//! A field's [`Kind`] says how its values look in JSON. Generated code names the kinds; everything that is the same for
//! all messages (unknown fields, duplicate keys, nulls, nesting, paths of violations, masks) is written once, here.
//!
//! Reading does not stop at the first field that is wrong: it notes a violation, skips the value and goes on, so that a
//! caller learns of everything at once. Only text that is not JSON ends it.

mod context;
mod field;
pub mod kind;
mod message;
mod number;
mod style;
mod text;
mod whole;

pub(crate) use context::too_deep;
pub use context::{Context, Source};
pub use field::{append, boxed, oneof, optional, singular, skip};
pub use kind::{AnyType, AnyTypes, Decoded, Kind, TextKind};
pub use message::{Field, Message, deserialize, field_from_slice, from_slice};
pub use style::write_canonical;
pub use text::{Binder, bind_message, bind_oneof, bind_repeated, bind_singular};
pub use whole::value_from_slice;

use serde::Serializer;

/// Serializes a value as its kind says.
pub struct As<'a, K: Kind>(pub &'a K::Value);

impl<K: Kind> serde::Serialize for As<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        K::encode(self.0, serializer)
    }
}

/// An enum's names in JSON.
pub trait Enum {
    /// The names a caller may send, for messages.
    const NAMES: &'static [&'static str];

    /// Whether numbers and the names in the proto are refused, since the contract has names of its own for JSON.
    const BY_NAME_ONLY: bool;

    /// The number of a name, be it the one in JSON or the one in the proto.
    fn number(name: &str) -> Option<i32>;

    /// The name of a number in JSON; none for a number the enum does not define.
    fn name(number: i32) -> Option<&'static str>;

    /// As [`number`](Self::number), of the name in the proto where the contract has another one for JSON.
    fn canonical_number(name: &str) -> Option<i32> {
        Self::number(name)
    }

    /// As [`name`](Self::name), the one in the proto where the contract has another one for JSON.
    fn canonical_name(number: i32) -> Option<&'static str> {
        Self::name(number)
    }
}
