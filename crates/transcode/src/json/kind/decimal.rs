//! Decimals: strings in protobuf, numbers in JSON, floats nowhere.

use std::borrow::Cow;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use super::super::Context;
use super::super::number::is_json_number;
use super::super::style::is_canonical;
use super::{Decoded, Expected, Kind, TextKind};

/// A string field that holds a decimal with at most `PLACES` digits after the point: a JSON number with exactly its
/// digits.
///
/// A JSON number with more places, as arithmetic on doubles makes them (`0.30000000000000004`), is rounded half to
/// even. Works with `serde_json` only, whose raw values are the one way past a float.
pub struct Decimal<const PLACES: u32>;

const EXPECTED: Expected = Cow::Borrowed("Must be a decimal number");

/// Longest number that is read, and largest exponent: 1e999999999 would ask for gigabytes of zeros.
const MAX_LENGTH: usize = 400;

impl<const PLACES: u32> Kind for Decimal<PLACES> {
    type Value = String;

    fn decode<'de, D: Deserializer<'de>>(
        d: D,
        context: &mut Context,
    ) -> Result<Decoded<String>, D::Error> {
        let raw = <Box<RawValue> as serde::Deserialize>::deserialize(d)?;
        if raw.get() == "null" {
            return Ok(Decoded::Null);
        }
        // The string that the field is.
        if context.is_canonical()
            && let Ok(text) = serde_json::from_str(raw.get())
        {
            return Ok(Decoded::Value(text));
        }
        Ok(if let Some(plain) = plain(raw.get(), PLACES as usize) {
            Decoded::Value(plain)
        } else {
            context.violations.add(EXPECTED);
            Decoded::Invalid
        })
    }

    fn encode<S: Serializer>(value: &String, serializer: S) -> Result<S::Ok, S::Error> {
        // A string that is no number, which only a handler could have put there, stays a string.
        if is_json_number(value) && !is_canonical() {
            let raw: &RawValue = serde_json::from_str(value).map_err(serde::ser::Error::custom)?;
            serde::Serialize::serialize(raw, serializer)
        } else {
            serializer.serialize_str(value)
        }
    }
}

impl<const PLACES: u32> TextKind for Decimal<PLACES> {
    fn parse(text: &str) -> Result<String, Expected> {
        plain(text, PLACES as usize).ok_or(EXPECTED)
    }
}

/// A JSON number without an exponent and with at most so many places: `1.5e3` is `1500`. None for what is no number.
fn plain(text: &str, places: usize) -> Option<String> {
    if !is_json_number(text) || text.len() > MAX_LENGTH {
        return None;
    }
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let mut digits = format!("{whole}{fraction}");
    if digits.bytes().all(|digit| digit == b'0') {
        return Some("0".to_owned());
    }
    let limit = i64::try_from(MAX_LENGTH).ok()?;
    if !(-limit..=limit).contains(&exponent) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()? + exponent;
    // Make room for the point inside the digits.
    let point = if let Ok(point) = usize::try_from(point) {
        let missing = point.saturating_sub(digits.len());
        digits.push_str(&"0".repeat(missing));
        point
    } else {
        digits.insert_str(0, &"0".repeat(usize::try_from(-point).ok()?));
        0
    };
    Some(finish(sign, &digits, point, places))
}

/// Rounds digits with a point after the first `point` of them, and writes them.
fn finish(sign: &str, digits: &str, point: usize, places: usize) -> String {
    let (kept, cut) = digits.split_at((point + places).min(digits.len()));
    let mut kept: Vec<u8> = std::iter::once(b'0').chain(kept.bytes()).collect();
    let odd = kept.last().is_some_and(|digit| digit % 2 == 1);
    let up = match cut.as_bytes() {
        [] => false,
        [b'5', rest @ ..] => odd || rest.iter().any(|digit| *digit != b'0'),
        [first, ..] => *first > b'5',
    };
    if up {
        for digit in kept.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
    }
    let text: String = kept.iter().map(|digit| char::from(*digit)).collect();
    let (whole, fraction) = text.split_at(point + 1);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        for (text, expected) in [
            ("1299.99", "1299.99"),
            ("1299.90", "1299.90"),
            ("0", "0"),
            ("-0", "0"),
            ("123456789012345.6789", "123456789012345.6789"),
            ("1e3", "1000"),
            ("1.5e3", "1500"),
            ("1.2345e2", "123.45"),
            ("12e-3", "0.012"),
            ("0.5e-1", "0.05"),
            ("-0.5e1", "-5"),
            ("0e999999999999", "0"),
        ] {
            assert_eq!(plain(text, 4).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn more_places_are_rounded_half_to_even() {
        for (text, expected) in [
            ("0.30000000000000004", "0.3000"),
            ("0.00005", "0.0000"),
            ("0.00015", "0.0002"),
            ("0.000050001", "0.0001"),
            ("9.99996", "10.0000"),
            ("1e-300", "0.0000"),
        ] {
            assert_eq!(plain(text, 4).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "",
            "abc",
            "1e999999999",
            "NaN",
            "1.",
            "+1",
            "\"1\"",
            "1e-999999999999999999999",
            "01",
        ] {
            assert_eq!(plain(text, 4), None, "{text}");
        }
    }
}
