//! Messages, lists and maps.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};

use super::super::{As, Context, message};
use super::{Bool, Decoded, Expected, Int32, Int64, Kind, Str, TextKind, UInt32, UInt64};

/// A generated message.
pub struct Message<M>(PhantomData<M>);

impl<M: message::Message + serde::Serialize> Kind for Message<M> {
    type Value = M;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<M>, D::Error> {
        message::read(d, context)
    }

    fn encode<S: Serializer>(value: &M, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

/// A value inside a list or a map, where null stands for nothing that could be left out.
struct Element<'a, K> {
    context: &'a mut Context,
    kind: PhantomData<K>,
}

impl<'de, K: Kind> DeserializeSeed<'de> for Element<'_, K> {
    type Value = Option<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Ok(match K::decode(deserializer, self.context)? {
            Decoded::Value(value) => Some(value),
            Decoded::Null => {
                self.context.violations.add("Must not be null");
                None
            }
            Decoded::Invalid => None,
        })
    }
}

/// A repeated field: an array.
pub struct Repeated<K>(PhantomData<K>);

impl<K: Kind> Kind for Repeated<K> {
    type Value = Vec<K::Value>;

    fn decode<'de, D: Deserializer<'de>>(
        deserializer: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        context.descend()?;
        let decoded = deserializer.deserialize_any(ListVisitor::<K> {
            context,
            kind: PhantomData,
        })?;
        context.ascend();
        Ok(decoded)
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(value.len()))?;
        for item in value {
            seq.serialize_element(&As::<K>(item))?;
        }
        seq.end()
    }
}

struct ListVisitor<'a, K> {
    context: &'a mut Context,
    kind: PhantomData<K>,
}

/// The visitor methods that refuse what is neither a list nor null.
macro_rules! refuse_scalars {
    ($expected:literal) => {
        refuse_scalars!(@ $expected, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Decoded::Null)
        }
    };
    (@ $expected:literal, $($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            self.context.violations.add($expected);
            Ok(Decoded::Invalid)
        })*
    };
}

impl<'de, K: Kind> Visitor<'de> for ListVisitor<'_, K> {
    type Value = Decoded<Vec<K::Value>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    refuse_scalars!("Must be an array");

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        for index in 0.. {
            self.context.violations.push_index(index);
            let element = seq.next_element_seed(Element::<K> {
                context: &mut *self.context,
                kind: PhantomData,
            })?;
            self.context.violations.pop();
            match element {
                Some(item) => list.extend(item),
                None => break,
            }
        }
        Ok(Decoded::Value(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.context.violations.add("Must be an array");
        Ok(Decoded::Invalid)
    }
}

/// A kind that can be the key of a map; keys are strings in JSON.
pub trait MapKey: TextKind {
    /// The key as a string.
    fn text(value: &Self::Value) -> String;
}

macro_rules! map_keys {
    ($($kind:ty),*) => {
        $(impl MapKey for $kind {
            fn text(value: &Self::Value) -> String {
                value.to_string()
            }
        })*
    };
}
map_keys!(Bool, Int32, Int64, Str, UInt32, UInt64);

/// A map field: an object.
pub struct Map<K, V>(PhantomData<(K, V)>);

impl<K: MapKey, V: Kind> Kind for Map<K, V>
where
    K::Value: Ord,
{
    type Value = std::collections::BTreeMap<K::Value, V::Value>;

    fn decode<'de, D: Deserializer<'de>>(
        deserializer: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        context.descend()?;
        let decoded = deserializer.deserialize_any(MapVisitor::<K, V> {
            context,
            kind: PhantomData,
        })?;
        context.ascend();
        Ok(decoded)
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(value.len()))?;
        for (key, value) in value {
            map.serialize_entry(&K::text(key), &As::<V>(value))?;
        }
        map.end()
    }
}

struct MapVisitor<'a, K, V> {
    context: &'a mut Context,
    kind: PhantomData<(K, V)>,
}

impl<'de, K: MapKey, V: Kind> Visitor<'de> for MapVisitor<'_, K, V>
where
    K::Value: Ord,
{
    type Value = Decoded<std::collections::BTreeMap<K::Value, V::Value>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    refuse_scalars!("Must be an object");

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = std::collections::BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            self.context.violations.push_key(&name);
            let key: Result<K::Value, Expected> = K::parse(&name);
            let value = map.next_value_seed(Element::<V> {
                context: &mut *self.context,
                kind: PhantomData,
            })?;
            match key {
                Ok(key) if entries.contains_key(&key) => {
                    self.context.violations.add("Given more than once");
                }
                Ok(key) => {
                    if let Some(value) = value {
                        entries.insert(key, value);
                    }
                }
                Err(expected) => self.context.violations.add(format!("As a key: {expected}")),
            }
            self.context.violations.pop();
        }
        Ok(Decoded::Value(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.context.violations.add("Must be an object");
        Ok(Decoded::Invalid)
    }
}
