//! Numbers, strings, bytes, booleans and enums.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;

use super::super::number::{integer, is_json_number};
use super::super::style::is_canonical;
use super::super::{Context, Enum as EnumNames};
use super::{Decoded, Expected, Kind, TextKind};

/// A kind that is one JSON token. Each method gets one sort of token; the ones not written refuse it.
pub(super) trait Scalar {
    type Value;

    /// Whether text that is not known is skipped by a reader whose sender may know more.
    const TOLERANT_OF_TEXT: bool = false;

    /// What is expected, for a violation.
    fn expected() -> Expected;

    fn from_str(_: &str) -> Result<Self::Value, Expected> {
        Err(Self::expected())
    }

    fn from_integer(_: i128) -> Result<Self::Value, Expected> {
        Err(Self::expected())
    }

    fn from_f64(_: f64) -> Result<Self::Value, Expected> {
        Err(Self::expected())
    }

    fn from_bool(_: bool) -> Result<Self::Value, Expected> {
        Err(Self::expected())
    }
}

pub(super) fn read<'de, T: Scalar, D: Deserializer<'de>>(
    deserializer: D,
    context: &mut Context,
) -> Result<Decoded<T::Value>, D::Error> {
    deserializer.deserialize_any(Token {
        context,
        kind: PhantomData::<T>,
    })
}

struct Token<'a, T> {
    context: &'a mut Context,
    kind: PhantomData<T>,
}

impl<T: Scalar> Token<'_, T> {
    fn take<E>(self, result: Result<T::Value, Expected>) -> Result<Decoded<T::Value>, E> {
        Ok(match result {
            Ok(value) => Decoded::Value(value),
            Err(expected) => {
                self.context.violations.add(expected);
                Decoded::Invalid
            }
        })
    }
}

impl<'de, T: Scalar> Visitor<'de> for Token<'_, T> {
    type Value = Decoded<T::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        let read = T::from_str(value);
        if read.is_err() && T::TOLERANT_OF_TEXT && self.context.skips_unknown_names() {
            return Ok(Decoded::Invalid);
        }
        self.take(read)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        self.take(T::from_integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        self.take(T::from_integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        self.take(T::from_f64(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        self.take(T::from_bool(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Decoded::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.take(Err(T::expected()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.take(Err(T::expected()))
    }
}

/// Makes a [`Kind`] of a [`Scalar`] by reading one token.
macro_rules! scalar_kind {
    ($kind:ty, $value:ty, $encode:expr) => {
        impl Kind for $kind {
            type Value = $value;

            fn decode<'de, D: Deserializer<'de>>(
                deserializer: D,
                context: &mut Context,
            ) -> Result<Decoded<$value>, D::Error> {
                read::<Self, D>(deserializer, context)
            }

            fn encode<S: Serializer>(value: &$value, serializer: S) -> Result<S::Ok, S::Error> {
                $encode(value, serializer)
            }
        }

        impl TextKind for $kind {
            fn parse(text: &str) -> Result<$value, Expected> {
                <Self as Scalar>::from_str(text)
            }
        }
    };
}

macro_rules! integer_kind {
    ($(#[$doc:meta])* $kind:ident, $value:ty, $expected:literal, $encode:expr) => {
        $(#[$doc])*
        pub struct $kind;

        impl Scalar for $kind {
            type Value = $value;

            fn expected() -> Expected {
                Cow::Borrowed($expected)
            }

            fn from_str(text: &str) -> Result<$value, Expected> {
                Self::from_integer(integer(text).ok_or_else(Self::expected)?)
            }

            fn from_integer(value: i128) -> Result<$value, Expected> {
                <$value>::try_from(value).map_err(|_| Self::expected())
            }

            fn from_f64(value: f64) -> Result<$value, Expected> {
                // 2^100 and more fit no integer type of ours, and below it the cast is exact.
                if value.fract() == 0.0 && value.abs() < 1.2e30 {
                    #[expect(clippy::cast_possible_truncation, reason = "integral and far below 2^127")]
                    Self::from_integer(value as i128)
                } else {
                    Err(Self::expected())
                }
            }
        }

        scalar_kind!($kind, $value, $encode);
    };
}

integer_kind!(
    /// int32, sint32 and sfixed32: a number.
    Int32, i32, "Must be an integer", |value: &i32, s: S| s.serialize_i32(*value)
);
integer_kind!(
    /// uint32 and fixed32: a number.
    UInt32, u32, "Must be an integer of at least 0", |value: &u32, s: S| s.serialize_u32(*value)
);
integer_kind!(
    /// int64, sint64 and sfixed64: a string of digits, since a number would lose some in JavaScript.
    Int64, i64, "Must be an integer", |value: &i64, s: S| s.collect_str(value)
);
integer_kind!(
    /// uint64 and fixed64: a string of digits.
    UInt64, u64, "Must be an integer of at least 0", |value: &u64, s: S| s.collect_str(value)
);

const NUMBER: Expected = Cow::Borrowed("Must be a number");

/// double: a number, or "NaN", "Infinity", "-Infinity".
pub struct Double;

impl Scalar for Double {
    type Value = f64;

    fn expected() -> Expected {
        NUMBER
    }

    fn from_str(text: &str) -> Result<f64, Expected> {
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ if is_json_number(text) => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or(NUMBER),
            _ => Err(NUMBER),
        }
    }

    fn from_integer(value: i128) -> Result<f64, Expected> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a double holds what JSON gives it as nearly as it can"
        )]
        Ok(value as f64)
    }

    fn from_f64(value: f64) -> Result<f64, Expected> {
        Ok(value)
    }
}

fn encode_float<S: Serializer>(
    value: f64,
    finite: impl FnOnce(S) -> Result<S::Ok, S::Error>,
    s: S,
) -> Result<S::Ok, S::Error> {
    // serde_json would write null for these.
    if value.is_nan() {
        s.serialize_str("NaN")
    } else if value.is_infinite() {
        s.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        finite(s)
    }
}

scalar_kind!(Double, f64, |value: &f64, s: S| encode_float(
    *value,
    |s: S| s.serialize_f64(*value),
    s
));

/// float: as [`Double`], within its range.
pub struct Float;

impl Float {
    fn narrow(value: f64) -> Result<f32, Expected> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit is refused"
        )]
        let narrow = value as f32;
        if narrow.is_infinite() && value.is_finite() {
            Err(NUMBER)
        } else {
            Ok(narrow)
        }
    }
}

impl Scalar for Float {
    type Value = f32;

    fn expected() -> Expected {
        NUMBER
    }

    fn from_str(text: &str) -> Result<f32, Expected> {
        Self::narrow(Double::from_str(text)?)
    }

    fn from_integer(value: i128) -> Result<f32, Expected> {
        Self::narrow(Double::from_integer(value)?)
    }

    fn from_f64(value: f64) -> Result<f32, Expected> {
        Self::narrow(value)
    }
}

scalar_kind!(Float, f32, |value: &f32, s: S| encode_float(
    f64::from(*value),
    |s: S| s.serialize_f32(*value),
    s
));

/// bool: true or false.
pub struct Bool;

impl Scalar for Bool {
    type Value = bool;

    fn expected() -> Expected {
        Cow::Borrowed("Must be true or false")
    }

    fn from_bool(value: bool) -> Result<bool, Expected> {
        Ok(value)
    }
}

impl Kind for Bool {
    type Value = bool;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<bool>, D::Error> {
        read::<Self, D>(d, context)
    }

    fn encode<S: Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*value)
    }
}

impl TextKind for Bool {
    // In a path or a query there are only strings; in JSON "true" is not true. Clients in Python write `True` there.
    fn parse(text: &str) -> Result<bool, Expected> {
        match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(true),
            _ if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(Self::expected()),
        }
    }
}

/// string.
pub struct Str;

impl Scalar for Str {
    type Value = String;

    fn expected() -> Expected {
        Cow::Borrowed("Must be a string")
    }

    fn from_str(text: &str) -> Result<String, Expected> {
        Ok(text.to_owned())
    }
}

scalar_kind!(Str, String, |value: &String, s: S| s.serialize_str(value));

/// bytes: base64, of either alphabet, with or without padding.
pub struct Bytes<B = Vec<u8>>(PhantomData<B>);

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl<B: From<Vec<u8>> + AsRef<[u8]>> Scalar for Bytes<B> {
    type Value = B;

    fn expected() -> Expected {
        Cow::Borrowed("Must be base64")
    }

    fn from_str(text: &str) -> Result<B, Expected> {
        let engine = if text.contains(['-', '_']) {
            &URL_SAFE
        } else {
            &STANDARD
        };
        engine
            .decode(text)
            .map(B::from)
            .map_err(|_| Self::expected())
    }
}

impl<B: From<Vec<u8>> + AsRef<[u8]>> Kind for Bytes<B> {
    type Value = B;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<B>, D::Error> {
        read::<Self, D>(d, context)
    }

    fn encode<S: Serializer>(value: &B, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(
            value.as_ref(),
            &STANDARD,
        ))
    }
}

impl<B: From<Vec<u8>> + AsRef<[u8]>> TextKind for Bytes<B> {
    fn parse(text: &str) -> Result<B, Expected> {
        Self::from_str(text)
    }
}

/// An enum, in prost's `i32`: a name, or a number where it has none.
pub struct Enum<E>(PhantomData<E>);

impl<E: EnumNames> Scalar for Enum<E> {
    type Value = i32;

    const TOLERANT_OF_TEXT: bool = true;

    fn expected() -> Expected {
        Cow::Owned(format!("Must be one of: {}", E::NAMES.join(", ")))
    }

    fn from_str(text: &str) -> Result<i32, Expected> {
        E::number(text).ok_or_else(Self::expected)
    }

    fn from_integer(value: i128) -> Result<i32, Expected> {
        match i32::try_from(value) {
            Ok(number) if !E::BY_NAME_ONLY => Ok(number),
            _ => Err(Self::expected()),
        }
    }

    fn from_f64(value: f64) -> Result<i32, Expected> {
        Self::from_integer(Int32::from_f64(value).map_err(|_| Self::expected())?.into())
    }
}

impl<E: EnumNames> Kind for Enum<E> {
    type Value = i32;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<i32>, D::Error> {
        if E::BY_NAME_ONLY && context.is_canonical() {
            read::<Canonical<E>, D>(d, context)
        } else {
            read::<Self, D>(d, context)
        }
    }

    fn encode<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        let name = if E::BY_NAME_ONLY && is_canonical() {
            E::canonical_name(*value)
        } else {
            E::name(*value)
        };
        match name {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_i32(*value),
        }
    }
}

/// An enum with names of the contract's own, by any name that it has, or by number.
struct Canonical<E>(PhantomData<E>);

impl<E: EnumNames> Scalar for Canonical<E> {
    type Value = i32;

    const TOLERANT_OF_TEXT: bool = true;

    fn expected() -> Expected {
        Enum::<E>::expected()
    }

    fn from_str(text: &str) -> Result<i32, Expected> {
        let number = E::canonical_number(text).or_else(|| E::number(text));
        number.ok_or_else(Self::expected)
    }

    fn from_integer(value: i128) -> Result<i32, Expected> {
        i32::try_from(value).map_err(|_| Self::expected())
    }

    fn from_f64(value: f64) -> Result<i32, Expected> {
        Self::from_integer(Int32::from_f64(value).map_err(|_| Self::expected())?.into())
    }
}

impl<E: EnumNames> TextKind for Enum<E> {
    fn parse(text: &str) -> Result<i32, Expected> {
        Self::from_str(text).or_else(|expected| {
            Self::from_integer(text.parse::<i32>().map_err(|_| expected)?.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bool_in_text() {
        for (text, value) in [("true", true), ("True", true), ("FALSE", false)] {
            assert_eq!(Bool::parse(text), Ok(value), "{text}");
        }
        for text in ["", "1", "yes", "true "] {
            assert!(Bool::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_alphabets_of_base64() {
        for text in ["-_8", "+/8", "+/8=", "-_8="] {
            assert_eq!(
                Bytes::<Vec<u8>>::from_str(text),
                Ok(vec![0xfb, 0xff]),
                "{text}"
            );
        }
        assert!(Bytes::<Vec<u8>>::from_str("%%").is_err());
    }
}
