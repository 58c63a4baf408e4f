//! Values a product is made of. Each is parsed once, at the edge, and is right from then on.
//!
//! A refusal is a message without the name of the field, which only the caller knows. Limits and
//! wording are those of the contract.

use std::fmt;

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value};

/// What is asked of a refused value.
pub type Message = String;

fn no_nul(text: &str) -> Result<(), Message> {
    // PostgreSQL cannot keep U+0000, neither in text nor in jsonb.
    if text.contains('\0') {
        return Err("Must not contain a null character".to_owned());
    }
    Ok(())
}

/// Lengths count characters (Unicode code points), as the contract's rules do.
fn check_text(text: &str, min: usize, max: usize) -> Result<(), Message> {
    // No character takes more than four bytes, so a huge text is not walked.
    if text.len() < min || text.len() > max * 4 || text.chars().count() > max {
        return Err(if min == 0 {
            format!("Must be at most {max} characters long")
        } else {
            format!("Must be {min} to {max} characters long")
        });
    }
    no_nul(text)
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text when it keeps the rules, otherwise says what is asked of it.
            pub fn parse(text: impl Into<String>) -> Result<Self, Message> {
                let text = text.into();
                let check: fn(&str) -> Result<(), Message> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// Stock Keeping Unit: 1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit.
    Sku,
    |text| {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Err(
                "Must be letters, digits, '.', '_' or '-', and begin with a letter or digit"
                    .to_owned(),
            );
        }
        check_text(text, 1, 100)
    }
);
text!(
    /// Display name: 1 to 255 characters.
    ProductName,
    |text| check_text(text, 1, 255)
);
text!(
    /// Description for people: at most 10,000 characters.
    Description,
    |text| check_text(text, 0, 10_000)
);
text!(
    /// Category: 1 to 100 characters.
    Category,
    |text| check_text(text, 1, 100)
);
text!(
    /// Brand: 1 to 100 characters.
    Brand,
    |text| check_text(text, 1, 100)
);
text!(
    /// Code of a warehouse: 1 to 50 characters.
    Warehouse,
    |text| check_text(text, 1, 50)
);
text!(
    /// What is searched for: 1 to 200 characters, a letter or a digit among them.
    SearchText,
    |text| {
        check_text(text, 1, 200)?;
        if !text.chars().any(char::is_alphanumeric) {
            return Err("Must contain a letter or a digit".to_owned());
        }
        Ok(())
    }
);
text!(
    /// ISO 4217 currency code: three capital letters.
    Currency,
    |text| {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(());
        }
        Err("Must be a currency code of three capital letters".to_owned())
    }
);

/// Exact amount of money: at least 0, below 10^15, with at most 4 digits after the point; kept
/// without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    const MESSAGE: &str =
        "Must be at least 0, with at most 15 digits before the point and 4 after it";

    /// Reads digits with at most one point between them: no sign, no exponent.
    pub fn parse(text: &str) -> Result<Self, Message> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, max| {
            (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 15) || !digits(fraction, 4) {
            return Err(Self::MESSAGE.to_owned());
        }
        Self::new(text.parse().map_err(|_| Self::MESSAGE.to_owned())?)
    }

    /// Takes a decimal when it keeps the rules.
    pub fn new(amount: Decimal) -> Result<Self, Message> {
        let amount = amount.normalize();
        let limit = Decimal::from(1_000_000_000_000_000_i64);
        if amount.is_sign_negative() || amount.scale() > 4 || amount >= limit {
            return Err(Self::MESSAGE.to_owned());
        }
        Ok(Self(amount))
    }

    /// The decimal inside.
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount of a currency.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// How much, in units of the currency.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

/// Properties particular to a product: a JSON object of at most 64 KiB and 32 levels.
///
/// A number is a double, as in the contract; a whole one of at most 2^53 is kept as an integer, so
/// that equal attributes compare equal also after they were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    object: Map<String, Value>,
    /// About how many bytes it takes as JSON.
    bytes: usize,
}

impl Attributes {
    /// Most bytes the attributes take as compact JSON.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Most objects and lists inside each other, the outermost object included.
    pub const MAX_DEPTH: usize = 32;

    /// Takes the object when it keeps the rules, otherwise says what is asked of it.
    pub fn parse(mut object: Map<String, Value>) -> Result<Self, Message> {
        let bytes = canonical_object(&mut object, Self::MAX_DEPTH)?;
        // Only what may be too long is written to see whether it is.
        if bytes > Self::MAX_BYTES / LONGEST_ESCAPE {
            let size = serde_json::to_vec(&object)
                .map_err(|error| error.to_string())?
                .len();
            if size > Self::MAX_BYTES {
                return Err(format!("Must be at most {} bytes of JSON", Self::MAX_BYTES));
            }
        }
        Ok(Self { object, bytes })
    }

    /// The object.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.object
    }

    /// About how many bytes they take as compact JSON.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Bytes that one byte of a text becomes in JSON at most, as `\u0001`.
const LONGEST_ESCAPE: usize = 6;

/// Bytes of a number in JSON at most, as `-1.7976931348623157e308`; of `false` and the quotes of a text there are fewer.
const LONGEST_NUMBER: usize = 24;

/// Makes the object canonical and gives about how many bytes it takes as JSON: as many at least, but for escapes.
fn canonical_object(object: &mut Map<String, Value>, depth: usize) -> Result<usize, Message> {
    let mut bytes = 2;
    for (key, value) in object.iter_mut() {
        no_nul(key)?;
        // With its quotes, colon and comma.
        bytes += key.len() + 4 + canonical(value, depth - 1)?;
    }
    Ok(bytes)
}

fn canonical(value: &mut Value, depth: usize) -> Result<usize, Message> {
    if depth == 0 && matches!(value, Value::Array(_) | Value::Object(_)) {
        return Err(format!(
            "Must be nested at most {} levels deep",
            Attributes::MAX_DEPTH
        ));
    }
    match value {
        Value::Null | Value::Bool(_) => Ok(5),
        Value::Number(number) => {
            canonical_number(number);
            Ok(LONGEST_NUMBER)
        }
        Value::String(text) => no_nul(text).map(|()| text.len() + 2),
        Value::Array(items) => {
            let mut bytes = 2;
            for item in items {
                bytes += 1 + canonical(item, depth - 1)?;
            }
            Ok(bytes)
        }
        Value::Object(object) => canonical_object(object, depth),
    }
}

fn canonical_number(number: &mut Number) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Some(double) = number.as_f64() else {
        return;
    };
    if double.fract() == 0.0 && double.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53")]
        let whole = double as i64;
        *number = Number::from(whole);
    } else if let Some(double) = Number::from_f64(double) {
        *number = double;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            panic!("not an object")
        };
        object
    }

    #[test]
    fn skus() {
        for good in ["A", "0", "LAPTOP-001", "a._-", &"x".repeat(100)] {
            assert!(Sku::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "é", "a\0", "a\n", &"x".repeat(101)] {
            assert!(Sku::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_count_characters() {
        assert!(ProductName::parse("é".repeat(255)).is_ok());
        assert!(ProductName::parse("🙂".repeat(255)).is_ok());
        assert_eq!(
            ProductName::parse("é".repeat(256)),
            Err("Must be 1 to 255 characters long".to_owned())
        );
        assert!(ProductName::parse("").is_err());
        assert!(Description::parse("").is_ok());
        assert_eq!(
            Description::parse("x".repeat(10_001)),
            Err("Must be at most 10000 characters long".to_owned())
        );
        assert!(Warehouse::parse("x".repeat(51)).is_err());
    }

    #[test]
    fn null_characters_are_refused_everywhere() {
        let refused = Err("Must not contain a null character".to_owned());
        assert_eq!(ProductName::parse("a\0b"), refused);
        for bad in [
            json!({"a\0": 1}),
            json!({"a": "\0"}),
            json!({"a": [{"b\0": null}]}),
        ] {
            assert_eq!(
                Attributes::parse(object(bad)).map(|_| ()),
                refused.clone().map(|_: ProductName| ())
            );
        }
    }

    #[test]
    fn amounts() {
        for (text, shown) in [
            ("0", "0"),
            ("0.0000", "0"),
            ("1299.90", "1299.9"),
            ("007", "7"),
            ("999999999999999.9999", "999999999999999.9999"),
        ] {
            assert_eq!(
                Amount::parse(text).map(|a| a.to_string()),
                Ok(shown.to_owned())
            );
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1_0",
            "1.00000",
            "1000000000000000",
            "NaN",
            "1.2.3",
            "١",
        ] {
            assert!(Amount::parse(bad).is_err(), "{bad}");
        }
        assert!(Amount::new(Decimal::MAX).is_err());
        assert!(Amount::new(Decimal::NEGATIVE_ONE).is_err());
    }

    #[test]
    fn attributes_are_bounded_and_canonical() {
        assert!(Attributes::parse(object(json!({"a": "x".repeat(65_536 - 8)}))).is_ok());
        assert!(Attributes::parse(object(json!({"a": "x".repeat(65_536 - 7)}))).is_err());
        let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(Attributes::parse(object(nested(32))).is_ok());
        assert!(Attributes::parse(object(nested(33))).is_err());
        assert_eq!(
            Attributes::parse(object(json!({"a": 1.0, "b": 1e18, "c": -0.0}))),
            Attributes::parse(object(
                json!({"a": 1, "b": 1_000_000_000_000_000_000_i64, "c": 0})
            ))
        );
    }

    proptest! {
        #[test]
        fn amounts_read_back(whole in 0_u64..1_000_000_000_000_000, fraction in 0_u32..10_000) {
            let amount = Amount::parse(&format!("{whole}.{fraction:04}")).expect("an amount");
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }
}
