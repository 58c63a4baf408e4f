//! `google.protobuf.Any`: a message of any type, which its JSON names.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize as _, Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::context::MAX_DEPTH;
use super::super::{As, Context, message};
use super::{
    Bool, Bytes, Decoded, Double, Duration, Empty, FieldMask, Float, Int32, Int64, Kind, ListValue,
    Str, Struct, Timestamp, UInt32, UInt64, Value,
};

/// Where the type stands.
pub(crate) const TYPE: &str = "@type";
/// Where the value of a type stands whose JSON is not an object of its fields.
const VALUE: &str = "value";

/// The messages that an Any can hold; the generator writes it for a contract.
pub trait AnyTypes {
    /// The type of a full name, such as `catalog.v1.Product`.
    fn find(full_name: &str) -> Option<&'static AnyType>;
}

/// How one type goes from JSON to the bytes of an Any and back.
pub struct AnyType {
    read: Read,
    write: fn(&[u8]) -> Result<String, String>,
}

/// What reading JSON to bytes comes to.
type ReadResult = Result<Decoded<Vec<u8>>, serde_json::Error>;

enum Read {
    /// There is nothing to read: `google.protobuf.Empty`, which is written without a value and by some with an empty one.
    Nothing,
    /// From the object that also has the type.
    Fields(fn(&str, &mut Context) -> ReadResult),
    /// From what stands under [`VALUE`].
    Value(fn(&str, &mut Context) -> ReadResult),
}

impl AnyType {
    /// A generated message.
    pub const fn message<M: message::Message + Serialize + prost::Message>() -> Self {
        Self {
            read: Read::Fields(|json, context| {
                let mut deserializer = serde_json::Deserializer::from_str(json);
                Ok(bytes(message::read_typed::<M, _>(
                    &mut deserializer,
                    context,
                )?))
            }),
            write: |bytes| {
                let message = M::decode(bytes).map_err(|error| error.to_string())?;
                serde_json::to_string(&message).map_err(|error| error.to_string())
            },
        }
    }

    /// A type with a JSON of its own.
    const fn of<K: Kind>() -> Self
    where
        K::Value: prost::Message + Default,
    {
        Self {
            read: Read::Value(|json, context| {
                let mut deserializer = serde_json::Deserializer::from_str(json);
                Ok(bytes(K::decode(&mut deserializer, context)?))
            }),
            write: |bytes| {
                let value = <K::Value as prost::Message>::decode(bytes)
                    .map_err(|error| error.to_string())?;
                serde_json::to_string(&As::<K>(&value)).map_err(|error| error.to_string())
            },
        }
    }
}

fn bytes<M: prost::Message>(decoded: Decoded<M>) -> Decoded<Vec<u8>> {
    match decoded {
        Decoded::Value(message) => Decoded::Value(message.encode_to_vec()),
        Decoded::Null => Decoded::Null,
        Decoded::Invalid => Decoded::Invalid,
    }
}

/// The type of a well-known name; `T` are the types that an Any in the Any can hold.
pub fn well_known<T: AnyTypes + 'static>(full_name: &str) -> Option<&'static AnyType> {
    const EMPTY: &AnyType = &AnyType {
        read: Read::Nothing,
        write: |_| Ok("{}".to_owned()),
    };
    macro_rules! find {
        ($($name:literal => $kind:ty,)*) => {
            match full_name.strip_prefix("google.protobuf.")? {
                "Empty" => Some(EMPTY),
                $($name => Some(const { &AnyType::of::<$kind>() }),)*
                _ => None,
            }
        };
    }
    find! {
        "Any" => Any<T>,
        "BoolValue" => Bool,
        "BytesValue" => Bytes,
        "DoubleValue" => Double,
        "Duration" => Duration,
        "FieldMask" => FieldMask,
        "FloatValue" => Float,
        "Int32Value" => Int32,
        "Int64Value" => Int64,
        "ListValue" => ListValue,
        "StringValue" => Str,
        "Struct" => Struct,
        "Timestamp" => Timestamp,
        "UInt32Value" => UInt32,
        "UInt64Value" => UInt64,
        "Value" => Value,
    }
}

/// `google.protobuf.Any`: an object with the URL of its type as `@type`, and the fields of the message, or for a type
/// with a JSON of its own that as `value`. Works with `serde_json` only, as the type may stand anywhere in the object.
///
/// A message whose type is not among `T` can't be read. It is written with its bytes in base64 as `value`.
pub struct Any<T>(PhantomData<T>);

impl<T: AnyTypes + 'static> Kind for Any<T> {
    type Value = prost_types::Any;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        use serde::de::Error as _;
        let raw = <Box<RawValue>>::deserialize(d)?;
        context.descend()?;
        let decoded = read::<T>(raw.get(), context).map_err(D::Error::custom)?;
        context.ascend();
        Ok(decoded)
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        let json = write::<T>(value).map_err(S::Error::custom)?;
        RawValue::from_string(json)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

fn read<T: AnyTypes>(
    json: &str,
    context: &mut Context,
) -> Result<Decoded<prost_types::Any>, serde_json::Error> {
    if json == "null" {
        return Ok(Decoded::Null);
    }
    if !json.starts_with('{') {
        context.violations.add("Must be an object");
        return Ok(Decoded::Invalid);
    }
    let outline = serde_json::Deserializer::from_str(json).deserialize_map(Outline::default())?;
    if outline.is_empty() {
        return Ok(Decoded::Value(prost_types::Any::default()));
    }
    let Some((url, found)) = outline.resolve::<T>(context) else {
        return Ok(Decoded::Invalid);
    };
    let value = match found.read {
        Read::Fields(read) => read(json, context)?,
        Read::Value(read) => outline.read_value(read, context)?,
        Read::Nothing if outline.values.is_empty() => {
            outline.refuse_others(context);
            Decoded::Value(Vec::new())
        }
        Read::Nothing => outline.read_value(
            |json, context| {
                let mut deserializer = serde_json::Deserializer::from_str(json);
                Ok(bytes(Empty::decode(&mut deserializer, context)?))
            },
            context,
        )?,
    };
    Ok(match value {
        Decoded::Value(value) => Decoded::Value(prost_types::Any {
            type_url: url,
            value,
        }),
        Decoded::Null => {
            refuse(context, VALUE, "Must not be null");
            Decoded::Invalid
        }
        Decoded::Invalid => Decoded::Invalid,
    })
}

fn refuse(context: &mut Context, name: &str, message: &'static str) {
    context
        .violations
        .key(name, |violations| violations.add(message));
}

/// What an object says, to find its type, which may stand anywhere in it.
#[derive(Default)]
struct Outline<'a> {
    urls: Vec<&'a RawValue>,
    values: Vec<&'a RawValue>,
    others: Vec<String>,
}

impl Outline<'_> {
    fn is_empty(&self) -> bool {
        self.urls.is_empty() && self.values.is_empty() && self.others.is_empty()
    }

    /// The URL of the type and what it stands for.
    fn resolve<T: AnyTypes>(&self, context: &mut Context) -> Option<(String, &'static AnyType)> {
        let complaint = match self.urls.as_slice() {
            [] => "Must be given",
            [url] => {
                let url: Option<String> = serde_json::from_str(url.get()).ok();
                let found = url.and_then(|url| {
                    let (_, name) = url.rsplit_once('/')?;
                    let found = T::find(name)?;
                    Some((url, found))
                });
                if found.is_some() {
                    return found;
                }
                "Must be the URL of a type of this API, such as type.googleapis.com/package.Message"
            }
            _ => "Given more than once",
        };
        refuse(context, TYPE, complaint);
        None
    }

    fn refuse_others(&self, context: &mut Context) {
        if context.refuses_unknown() {
            for name in &self.others {
                refuse(context, name, "Unknown field");
            }
        }
    }

    /// Reads what stands under [`VALUE`], where there is nothing else.
    fn read_value(
        &self,
        read: fn(&str, &mut Context) -> ReadResult,
        context: &mut Context,
    ) -> ReadResult {
        self.refuse_others(context);
        let complaint = match self.values.as_slice() {
            [value] => {
                context.violations.push_key(VALUE);
                let value = read(value.get(), context);
                context.violations.pop();
                return value;
            }
            [] => "Must be given",
            _ => "Given more than once",
        };
        refuse(context, VALUE, complaint);
        Ok(Decoded::Invalid)
    }
}

impl<'de> Visitor<'de> for Outline<'de> {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value()?;
            match name.as_str() {
                TYPE => self.urls.push(value),
                VALUE => self.values.push(value),
                _ => self.others.push(name),
            }
        }
        Ok(self)
    }
}

thread_local! {
    /// How many Any are being written inside one another.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

fn write<T: AnyTypes>(any: &prost_types::Any) -> serde_json::Result<String> {
    if any.type_url.is_empty() && any.value.is_empty() {
        return Ok("{}".to_owned());
    }
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    let found = (any.type_url.rsplit_once('/'))
        .filter(|_| depth < MAX_DEPTH)
        .and_then(|(_, name)| T::find(name));
    let written = found.and_then(|found| Some((found, (found.write)(&any.value).ok()?)));
    DEPTH.set(depth);
    let url = serde_json::to_string(&any.type_url)?;
    Ok(match written {
        Some((found, json)) if !matches!(found.read, Read::Value(_)) => {
            let fields = json.strip_prefix('{').unwrap_or_default();
            let comma = if fields.starts_with('}') { "" } else { "," };
            format!(r#"{{"{TYPE}":{url}{comma}{fields}"#)
        }
        Some((_, json)) => format!(r#"{{"{TYPE}":{url},"{VALUE}":{json}}}"#),
        None => {
            let bytes = STANDARD.encode(&any.value);
            format!(r#"{{"{TYPE}":{url},"{VALUE}":"{bytes}"}}"#)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A contract without messages.
    struct None_;

    impl AnyTypes for None_ {
        fn find(full_name: &str) -> Option<&'static AnyType> {
            well_known::<Self>(full_name)
        }
    }

    fn decode(json: &str) -> (Option<prost_types::Any>, Vec<String>) {
        let mut context = Context::new();
        let decoded =
            Any::<None_>::decode(&mut serde_json::Deserializer::from_str(json), &mut context);
        let (violations, _) = context.finish();
        let list = violations.into_vec().into_iter();
        let list = list.map(|violation| format!("{}: {}", violation.field, violation.description));
        let value = match decoded {
            Ok(Decoded::Value(value)) => Some(value),
            _ => None,
        };
        (value, list.collect())
    }

    fn encode(any: &prost_types::Any) -> String {
        serde_json::to_string(&As::<Any<None_>>(any)).expect("JSON")
    }

    #[test]
    fn well_known_types_have_their_own_json_as_value() {
        for json in [
            r#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}"#,
            r#"{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"7"}"#,
            r#"{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"a":[1,null]}}"#,
            r#"{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.BoolValue","value":true}}"#,
            r#"{"@type":"x/google.protobuf.Empty"}"#,
            "{}",
        ] {
            let (value, violations) = decode(json);
            assert_eq!(violations, Vec::<String>::new(), "{json}");
            assert_eq!(encode(&value.expect(json)), json);
        }
        let (empty, _) = decode(r#"{"@type":"x/google.protobuf.Empty","value":{}}"#);
        assert!(empty.expect("a value").value.is_empty());
        let (unordered, _) = decode(r#"{"value":"1s","@type":"x/google.protobuf.Duration"}"#);
        assert_eq!(unordered.expect("a value").value, [8, 1]);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        for (json, complaint) in [
            ("7", ": Must be an object"),
            (r#"{"value":"1s"}"#, "@type: Must be given"),
            (
                r#"{"@type":"nonsense","value":1}"#,
                "@type: Must be the URL",
            ),
            (r#"{"@type":7}"#, "@type: Must be the URL"),
            (r#"{"@type":"x/no.Such"}"#, "@type: Must be the URL"),
            (
                r#"{"@type":"x/google.protobuf.Any","@type":"x/google.protobuf.Any"}"#,
                "@type: Given more than once",
            ),
            (
                r#"{"@type":"x/google.protobuf.Duration"}"#,
                "value: Must be given",
            ),
            (
                r#"{"@type":"x/google.protobuf.Duration","value":"1s","value":"2s"}"#,
                "value: Given more than once",
            ),
            (
                r#"{"@type":"x/google.protobuf.Duration","value":"soon"}"#,
                "value: Must be a duration",
            ),
            (
                r#"{"@type":"x/google.protobuf.Duration","value":null}"#,
                "value: Must not be null",
            ),
            (
                r#"{"@type":"x/google.protobuf.Duration","value":"1s","more":1}"#,
                "more: Unknown field",
            ),
        ] {
            let (_, violations) = decode(json);
            assert_eq!(violations.len(), 1, "{json}: {violations:?}");
            assert!(
                violations[0].starts_with(complaint),
                "{json}: {violations:?}"
            );
        }
    }

    #[test]
    fn a_type_that_is_not_known_and_one_without_end_are_written_as_bytes() {
        let unknown = prost_types::Any {
            type_url: "x/no.Such".to_owned(),
            value: vec![8, 1],
        };
        assert_eq!(encode(&unknown), r#"{"@type":"x/no.Such","value":"CAE="}"#);
        let mut deep = unknown;
        for _ in 0..1_000 {
            deep = prost_types::Any {
                type_url: "x/google.protobuf.Any".to_owned(),
                value: prost::Message::encode_to_vec(&deep),
            };
        }
        let json = encode(&deep);
        assert_eq!(json.matches(TYPE).count(), MAX_DEPTH + 1);
    }
}
