//! Reading a message: the fields' names, nulls, duplicates and what is unknown.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::kind::TYPE;
use super::{Binder, Context, Decoded, Kind};
use crate::Violation;

/// A field as the reader knows it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Position in the message, for [`Message::decode_field`].
    pub index: u16,
    /// Name in JSON.
    pub json_name: &'static str,
    /// Name in the proto.
    pub proto_name: &'static str,
    /// Whether an update mask names the field itself, not what is in it.
    pub leaf: bool,
}

impl Field {
    /// A field; used by generated code.
    pub const fn new(
        index: u16,
        json_name: &'static str,
        proto_name: &'static str,
        leaf: bool,
    ) -> Self {
        Self {
            index,
            json_name,
            proto_name,
            leaf,
        }
    }
}

/// What the generator writes for each message.
pub trait Message: Default + Binder {
    /// The field of a JSON or proto name.
    fn field(name: &str) -> Option<&'static Field>;

    /// Reads the value of one field.
    fn decode_field<'de, D: Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut Context,
    ) -> Result<(), D::Error>;
}

/// Reads a message; a value that is not an object is a violation.
pub(crate) fn read<'de, M: Message, D: Deserializer<'de>>(
    deserializer: D,
    context: &mut Context,
) -> Result<Decoded<M>, D::Error> {
    read_with::<M, D>(false, deserializer, context)
}

/// Reads a message beside whose fields its type stands, as in an Any.
pub(crate) fn read_typed<'de, M: Message, D: Deserializer<'de>>(
    deserializer: D,
    context: &mut Context,
) -> Result<Decoded<M>, D::Error> {
    read_with::<M, D>(true, deserializer, context)
}

fn read_with<'de, M: Message, D: Deserializer<'de>>(
    typed: bool,
    deserializer: D,
    context: &mut Context,
) -> Result<Decoded<M>, D::Error> {
    context.descend()?;
    let mut message = M::default();
    let decoded = deserializer.deserialize_any(MessageVisitor {
        message: &mut message,
        typed,
        context,
    })?;
    context.ascend();
    Ok(match decoded {
        Decoded::Value(()) => Decoded::Value(message),
        Decoded::Null => Decoded::Null,
        Decoded::Invalid => Decoded::Invalid,
    })
}

/// Reads a message and fails with all that is wrong in one error: what generated `serde::Deserialize` does.
pub fn deserialize<'de, M: Message, D: Deserializer<'de>>(deserializer: D) -> Result<M, D::Error> {
    use serde::de::Error as _;
    let mut context = Context::new();
    let decoded = read::<M, D>(deserializer, &mut context)?;
    let (violations, _) = context.finish();
    let list: Vec<String> = violations
        .into_vec()
        .into_iter()
        .map(|Violation { field, description }| format!("{field}: {description}"))
        .collect();
    match decoded {
        Decoded::Value(message) if list.is_empty() => Ok(message),
        Decoded::Null => Err(D::Error::custom("null is not an object")),
        _ => Err(D::Error::custom(list.join("; "))),
    }
}

/// Reads a message from JSON text.
///
/// # Errors
/// When the text is not JSON, goes on after its end, or is nested too deeply. What is wrong with fields stands in the
/// context instead.
pub fn from_slice<M: Message>(json: &[u8], context: &mut Context) -> Result<M, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = read::<M, _>(&mut deserializer, context)?;
    deserializer.end()?;
    Ok(match decoded {
        Decoded::Value(message) => message,
        Decoded::Null => {
            context.violations.add("Must be an object");
            M::default()
        }
        Decoded::Invalid => M::default(),
    })
}

/// Reads the value of one field of a request from JSON text: a body that is a field. `field` is its name in JSON and in
/// the proto, under which violations and the mask have it.
///
/// # Errors
/// As [`from_slice`].
pub fn field_from_slice<K: Kind>(
    json: &[u8],
    field: (&'static str, &'static str),
    context: &mut Context,
) -> Result<Option<K::Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    context.enter_field(field.0, field.1);
    let decoded = K::decode(&mut deserializer, context)?;
    if matches!(decoded, Decoded::Null) {
        context.violations.add("Must not be null");
    }
    context.leave_field(false);
    deserializer.end()?;
    Ok(match decoded {
        Decoded::Value(value) => Some(value),
        Decoded::Null | Decoded::Invalid => None,
    })
}

struct MessageVisitor<'a, M> {
    message: &'a mut M,
    /// Whether its type stands beside its fields.
    typed: bool,
    context: &'a mut Context,
}

impl<M> MessageVisitor<'_, M> {
    fn refuse<E>(self) -> Result<Decoded<()>, E> {
        self.context.violations.add("Must be an object");
        Ok(Decoded::Invalid)
    }
}

impl<'de, M: Message> Visitor<'de> for MessageVisitor<'_, M> {
    type Value = Decoded<()>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self {
            message,
            typed,
            context,
        } = self;
        let mut seen = Seen::default();
        while let Some(key) = map.next_key_seed(KeySeed::<M>(PhantomData))? {
            match key {
                Key::Known(field) => {
                    context.enter_field(field.json_name, field.proto_name);
                    if seen.insert(field.index) {
                        context.violations.add("Given more than once");
                        map.next_value::<IgnoredAny>()?;
                        context.leave_field(false);
                        continue;
                    }
                    let before = context.mask_len();
                    let seed = FieldSeed {
                        message: &mut *message,
                        index: field.index,
                        context: &mut *context,
                    };
                    if field.leaf {
                        let FieldSeed {
                            message,
                            index,
                            context,
                        } = seed;
                        context.sealed(|context| {
                            map.next_value_seed(FieldSeed {
                                message,
                                index,
                                context,
                            })
                        })?;
                    } else {
                        map.next_value_seed(seed)?;
                    }
                    // A message that named no field of its own (null, {}) stands for itself.
                    let leaf = field.leaf || context.mask_len() == before;
                    context.leave_field(leaf);
                }
                Key::Unknown(name) => {
                    if context.refuses_unknown() && !(typed && name == TYPE) {
                        context.violations.push_key(&name);
                        context.violations.add("Unknown field");
                        context.violations.pop();
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Decoded::Value(()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Decoded::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        self.refuse()
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        self.refuse()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        self.refuse()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        self.refuse()
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        self.refuse()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse()
    }
}

struct FieldSeed<'a, M> {
    message: &'a mut M,
    index: u16,
    context: &'a mut Context,
}

impl<'de, M: Message> DeserializeSeed<'de> for FieldSeed<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.message
            .decode_field(self.index, deserializer, self.context)
    }
}

enum Key {
    Known(&'static Field),
    Unknown(String),
}

struct KeySeed<M>(PhantomData<M>);

impl<'de, M: Message> DeserializeSeed<'de> for KeySeed<M> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<M: Message> Visitor<'_> for KeySeed<M> {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(M::field(name).map_or_else(|| Key::Unknown(name.to_owned()), Key::Known))
    }
}

/// Which fields were met: a word for the first 128, a list for messages with more.
#[derive(Default)]
struct Seen {
    word: u128,
    more: Vec<u16>,
}

impl Seen {
    /// Notes a field and tells whether it had been met.
    fn insert(&mut self, index: u16) -> bool {
        if let Some(bit) = 1u128.checked_shl(u32::from(index)) {
            let met = self.word & bit != 0;
            self.word |= bit;
            met
        } else {
            let met = self.more.contains(&index);
            self.more.push(index);
            met
        }
    }
}
