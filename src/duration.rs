//! Durations in the syntax of Go's `time.ParseDuration` ("15m", "0.2s", "1m30s"), which the configuration uses.

use std::time::Duration;

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {0:?}: a number with a unit is expected, such as 15m, 0.2s or 1m30s")]
pub struct DurationError(String);

/// Reads a duration that is not negative: numbers, each with a unit of `ns`, `us`, `µs`, `ms`, `s`, `m` or `h`, added
/// up; or a plain `0`. Fractions of a nanosecond are dropped.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.to_owned());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(error());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(
            rest.find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(error)?,
        );
        let (unit, after) = after.split_at(
            after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len()),
        );
        rest = after;
        let scale: u128 = match unit {
            "ns" => 1,
            // The micro sign and the Greek letter, as in Go.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(error()),
        };
        nanos = nanos
            .checked_add(scaled(number, scale).ok_or_else(error)?)
            .ok_or_else(error)?;
    }
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| error())
}

/// A decimal number times a scale, in integers so that nothing is rounded. `None` when it is no number or too large.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.into()
    };
    // More than fifteen digits cannot change a nanosecond.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = if fraction.is_empty() {
        0
    } else {
        u128::from(fraction.parse::<u64>().ok()?) * scale
            / 10u128.pow(u32::try_from(fraction.len()).ok()?)
    };
    whole.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("15m", 900_000_000_000),
            ("0.2s", 200_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h0.5m", 3_630_000_000_000),
            ("+3us", 3_000),
            ("3µs", 3_000),
            ("1.5ns", 1),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "15",
            "m",
            "-1s",
            "1 m",
            "1.2.3s",
            ".s",
            "1d",
            "1m30",
            "99999999999h",
            "1s ",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
