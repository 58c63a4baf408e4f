//! The well-known types that have a JSON form of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _, Serializer};
use time::format_description::well_known::Rfc3339;

use super::super::{As, Context};
use super::scalar::{Scalar, read};
use super::{Decoded, Expected, Kind, TextKind};
use crate::clock_text::{to_seconds, write_digits};

/// Makes a kind of a well-known type that is a string in JSON.
macro_rules! string_kind {
    ($kind:ident, $value:ty, $expected:literal, $parse:expr, $format:expr) => {
        impl Scalar for $kind {
            type Value = $value;

            fn expected() -> Expected {
                Cow::Borrowed($expected)
            }

            fn from_str(text: &str) -> Result<$value, Expected> {
                $parse(text).ok_or_else(Self::expected)
            }
        }

        impl Kind for $kind {
            type Value = $value;

            fn decode<'de, D: Deserializer<'de>>(
                d: D,
                context: &mut Context,
            ) -> Result<Decoded<$value>, D::Error> {
                read::<Self, D>(d, context)
            }

            fn encode<S: Serializer>(value: &$value, serializer: S) -> Result<S::Ok, S::Error> {
                let text: Option<String> = $format(value);
                match text {
                    Some(text) => serializer.serialize_str(&text),
                    None => Err(S::Error::custom(concat!(
                        stringify!($kind),
                        " out of range"
                    ))),
                }
            }
        }

        impl TextKind for $kind {
            fn parse(text: &str) -> Result<$value, Expected> {
                Self::from_str(text)
            }
        }
    };
}

/// `google.protobuf.Timestamp`: RFC 3339, written with `Z` and 0, 3, 6 or 9 fractional digits.
pub struct Timestamp;

string_kind!(
    Timestamp,
    prost_types::Timestamp,
    "Must be a time in RFC 3339, such as 2024-01-15T10:30:00Z",
    parse_timestamp,
    format_timestamp
);

fn parse_timestamp(text: &str) -> Option<prost_types::Timestamp> {
    // RFC 3339 takes lower case and a space, ProtoJSON does not; a leap second has no place in a Timestamp.
    if text.contains(['t', 'z', ' ']) || text.get(17..19) == Some("60") {
        return None;
    }
    let time = time::OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let utc = time.checked_to_offset(time::UtcOffset::UTC)?;
    (1..=9999)
        .contains(&utc.year())
        .then(|| prost_types::Timestamp {
            seconds: utc.unix_timestamp(),
            nanos: i32::try_from(utc.nanosecond()).unwrap_or_default(),
        })
}

fn format_timestamp(value: &prost_types::Timestamp) -> Option<String> {
    let time = time::OffsetDateTime::from_unix_timestamp(value.seconds).ok()?;
    if !(1..=9999).contains(&time.year()) || !(0..1_000_000_000).contains(&value.nanos) {
        return None;
    }
    let digits = to_seconds(time);
    let mut text = String::with_capacity("0000-00-00T00:00:00.000000000Z".len());
    text.push_str(&String::from_utf8_lossy(&digits));
    push_fraction(&mut text, value.nanos.unsigned_abs());
    text.push('Z');
    Some(text)
}

/// Appends nanoseconds with 0, 3, 6 or 9 digits.
fn push_fraction(text: &mut String, nanos: u32) {
    let length = match nanos {
        0 => return,
        n if n % 1_000_000 == 0 => 4,
        n if n % 1_000 == 0 => 7,
        _ => 10,
    };
    let mut fraction = *b".000000000";
    write_digits(&mut fraction[1..], nanos);
    text.push_str(&String::from_utf8_lossy(&fraction[..length]));
}

/// `google.protobuf.Duration`: seconds with `s`, such as `1.500s`.
pub struct Duration;

string_kind!(
    Duration,
    prost_types::Duration,
    "Must be a duration in seconds, such as 1.5s",
    parse_duration,
    format_duration
);

/// Seconds in 10,000 years, the range of a Duration.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

fn parse_duration(text: &str) -> Option<prost_types::Duration> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = number
        .strip_prefix('-')
        .map_or((1, number), |rest| (-1, rest));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    (seconds <= MAX_DURATION_SECONDS).then(|| prost_types::Duration {
        seconds: sign * seconds,
        nanos: i32::try_from(sign).unwrap_or(1) * nanos,
    })
}

fn format_duration(value: &prost_types::Duration) -> Option<String> {
    let (seconds, nanos) = (value.seconds, value.nanos);
    let signs_differ = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if signs_differ || seconds.abs() > MAX_DURATION_SECONDS || nanos.abs() >= 1_000_000_000 {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", seconds.abs());
    push_fraction(&mut text, nanos.unsigned_abs());
    text.push('s');
    Some(text)
}

/// `google.protobuf.FieldMask`: paths in lowerCamelCase with commas between.
pub struct FieldMask;

string_kind!(
    FieldMask,
    prost_types::FieldMask,
    "Must be field names in lowerCamelCase with commas between",
    parse_mask,
    format_mask
);

fn parse_mask(text: &str) -> Option<prost_types::FieldMask> {
    if text.is_empty() {
        return Some(prost_types::FieldMask::default());
    }
    text.split(',')
        .map(snake_case)
        .collect::<Option<Vec<_>>>()
        .map(|paths| prost_types::FieldMask { paths })
}

fn snake_case(path: &str) -> Option<String> {
    // All fields, as Google's APIs have it.
    if path == "*" {
        return Some(path.to_owned());
    }
    let mut snake = String::with_capacity(path.len() + 4);
    for character in path.chars() {
        match character {
            'A'..='Z' => {
                snake.push('_');
                snake.push(character.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' | '.' => snake.push(character),
            _ => return None,
        }
    }
    (!path.is_empty()).then_some(snake)
}

fn format_mask(value: &prost_types::FieldMask) -> Option<String> {
    let paths: Option<Vec<_>> = value.paths.iter().map(|path| camel_case(path)).collect();
    paths.map(|paths| paths.join(","))
}

/// The JSON form of a path; none for one that would not come back the same.
pub(crate) fn camel_case(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '_' => camel.push(
                characters
                    .next()
                    .filter(char::is_ascii_lowercase)?
                    .to_ascii_uppercase(),
            ),
            'A'..='Z' => return None,
            _ => camel.push(character),
        }
    }
    Some(camel)
}

/// `google.protobuf.Empty`: an object without fields.
pub struct Empty;

impl Kind for Empty {
    type Value = ();

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<()>, D::Error> {
        Ok(match Struct::decode(d, context)? {
            Decoded::Value(object) => {
                if context.refuses_unknown() {
                    for name in object.fields.keys() {
                        context
                            .violations
                            .key(name, |violations| violations.add("Unknown field"));
                    }
                }
                Decoded::Value(())
            }
            Decoded::Null => Decoded::Null,
            Decoded::Invalid => Decoded::Invalid,
        })
    }

    fn encode<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

/// `google.protobuf.NullValue`: null.
pub struct NullValue;

impl Kind for NullValue {
    type Value = i32;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<i32>, D::Error> {
        Ok(match Value::decode(d, context)? {
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::NullValue(_)),
            }) => Decoded::Value(0),
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::StringValue(name)),
            }) if name == "NULL_VALUE" => Decoded::Value(0),
            _ => {
                context.violations.add("Must be null");
                Decoded::Invalid
            }
        })
    }

    fn encode<S: Serializer>(_: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// `google.protobuf.Value`: any JSON.
pub struct Value;

impl Kind for Value {
    type Value = prost_types::Value;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        context.descend()?;
        let value = d.deserialize_any(ValueVisitor(context))?;
        context.ascend();
        Ok(Decoded::Value(value))
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        use prost_types::value::Kind as V;
        match &value.kind {
            None | Some(V::NullValue(_)) => serializer.serialize_unit(),
            Some(V::NumberValue(number)) if !number.is_finite() => Err(S::Error::custom(
                "a Value can't hold a number that is not finite",
            )),
            // JavaScript's way: a number without a fraction is written without one.
            Some(V::NumberValue(number))
                if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53")]
                serializer.serialize_i64(*number as i64)
            }
            Some(V::NumberValue(number)) => serializer.serialize_f64(*number),
            Some(V::StringValue(text)) => serializer.serialize_str(text),
            Some(V::BoolValue(value)) => serializer.serialize_bool(*value),
            Some(V::StructValue(value)) => Struct::encode(value, serializer),
            Some(V::ListValue(value)) => ListValue::encode(value, serializer),
        }
    }
}

struct ValueVisitor<'a>(&'a mut Context);

impl<'de> DeserializeSeed<'de> for ValueVisitor<'_> {
    type Value = prost_types::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.descend()?;
        let value = deserializer.deserialize_any(ValueVisitor(&mut *self.0))?;
        self.0.ascend();
        Ok(value)
    }
}

fn value<E>(kind: prost_types::value::Kind) -> Result<prost_types::Value, E> {
    Ok(prost_types::Value { kind: Some(kind) })
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = prost_types::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::NullValue(0))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::BoolValue(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::NumberValue(v))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a Value holds its numbers as doubles"
    )]
    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::NumberValue(v as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a Value holds its numbers as doubles"
    )]
    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::NumberValue(v as f64))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        value(prost_types::value::Kind::StringValue(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        for index in 0.. {
            self.0.violations.push_index(index);
            let item = seq.next_element_seed(ValueVisitor(&mut *self.0))?;
            self.0.violations.pop();
            match item {
                Some(item) => values.push(item),
                None => break,
            }
        }
        value(prost_types::value::Kind::ListValue(
            prost_types::ListValue { values },
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            self.0.violations.push_key(&name);
            if let std::collections::btree_map::Entry::Vacant(e) = fields.entry(name) {
                let item = map.next_value_seed(ValueVisitor(&mut *self.0))?;
                e.insert(item);
            } else {
                self.0.violations.add("Given more than once");
                map.next_value::<IgnoredAny>()?;
            }
            self.0.violations.pop();
        }
        value(prost_types::value::Kind::StructValue(prost_types::Struct {
            fields,
        }))
    }
}

/// `google.protobuf.Struct`: an object of anything.
pub struct Struct;

impl Kind for Struct {
    type Value = prost_types::Struct;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        Ok(match Value::decode(d, context)? {
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::StructValue(object)),
            }) => Decoded::Value(object),
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::NullValue(_)),
            }) => Decoded::Null,
            _ => {
                context.violations.add("Must be an object");
                Decoded::Invalid
            }
        })
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(value.fields.len()))?;
        for (name, value) in &value.fields {
            map.serialize_entry(name, &As::<Value>(value))?;
        }
        map.end()
    }
}

/// `google.protobuf.ListValue`: an array of anything.
pub struct ListValue;

impl Kind for ListValue {
    type Value = prost_types::ListValue;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<Self::Value>, D::Error> {
        Ok(match Value::decode(d, context)? {
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::ListValue(list)),
            }) => Decoded::Value(list),
            Decoded::Value(prost_types::Value {
                kind: Some(prost_types::value::Kind::NullValue(_)),
            }) => Decoded::Null,
            _ => {
                context.violations.add("Must be an array");
                Decoded::Invalid
            }
        })
    }

    fn encode<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(value.values.len()))?;
        for value in &value.values {
            seq.serialize_element(&As::<Value>(value))?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_come_back_as_they_went() {
        for text in [
            "2024-01-15T10:30:00Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00.001Z",
            "1969-12-31T23:59:59.000001Z",
        ] {
            let value = parse_timestamp(text).expect(text);
            assert_eq!(format_timestamp(&value).as_deref(), Some(text));
        }
        let value = parse_timestamp("2024-01-15T12:30:00+02:00").expect("an offset");
        assert_eq!(
            format_timestamp(&value).as_deref(),
            Some("2024-01-15T10:30:00Z")
        );
    }

    #[test]
    fn what_is_no_timestamp() {
        for text in [
            "",
            "2024-01-15",
            "2024-01-15t10:30:00Z",
            "2024-01-15T10:30:00z",
            "2024-01-15 10:30:00Z",
            "2024-01-15T10:30:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2016-12-31T23:59:60Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, back) in [
            ("1s", "1s"),
            ("1.5s", "1.500s"),
            ("-0.000001s", "-0.000001s"),
            ("0s", "0s"),
        ] {
            assert_eq!(
                parse_duration(text)
                    .and_then(|value| format_duration(&value))
                    .as_deref(),
                Some(back)
            );
        }
        for text in [
            "",
            "1",
            "s",
            "1.s",
            ".5s",
            "1.0000000001s",
            "315576000001s",
            "+1s",
            "- 1s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn masks() {
        let mask = parse_mask("name,price.amount,createdAt").expect("a mask");
        assert_eq!(mask.paths, ["name", "price.amount", "created_at"]);
        assert_eq!(
            format_mask(&mask).as_deref(),
            Some("name,price.amount,createdAt")
        );
        assert_eq!(parse_mask("").map(|mask| mask.paths.len()), Some(0));
        for text in ["created_at", "a,,b", "a b"] {
            assert_eq!(parse_mask(text), None, "{text}");
        }
    }
}
