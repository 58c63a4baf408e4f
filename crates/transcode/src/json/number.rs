//! Integers written in any of the ways JSON can write a number.

/// The integer that a JSON number stands for, when it is one: `100`, `1e2`, `100.0` and `-0` are, `1.5`, ` 1`, `+1`
/// and `01` are not.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (mantissa, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(fraction)
        || (whole.len() > 1 && whole.starts_with('0'))
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    if value == 0 {
        return Some(0);
    }
    let mut scale = exponent - i64::try_from(fraction.len()).ok()?;
    while scale < 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        scale += 1;
    }
    value = value.checked_mul(10i128.checked_pow(u32::try_from(scale).ok()?)?)?;
    Some(if negative { -value } else { value })
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A longer exponent names no integer of ours but zero, whose exponent does not matter.
    let value: i64 = digits
        .parse()
        .unwrap_or(i64::from(i32::MAX))
        .min(i64::from(i32::MAX));
    Some(if text.starts_with('-') { -value } else { value })
}

/// Whether the text is a number as JSON writes them.
pub(crate) fn is_json_number(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = rest
        .split_once(['e', 'E'])
        .map_or((rest, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| parse_exponent(exponent).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_every_notation() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("100", 100),
            ("1e2", 100),
            ("1E+2", 100),
            ("100.0", 100),
            ("1.5e1", 15),
            ("1500e-2", 15),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("1.8446744073709551615e19", i128::from(u64::MAX)),
            ("0e999999999999", 0),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer() {
        for text in [
            "", "-", "+1", " 1", "1 ", "01", "1.", ".5", "1.5", "1e", "1e-1", "0x10", "1e99999",
            "NaN", "1_0",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn json_numbers() {
        for text in ["0", "-1", "1.25", "1e9", "1.0E-7"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in ["", "1.", ".1", "+1", "01", "1e", "NaN", "Infinity", "1 "] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
