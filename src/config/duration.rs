//! Durations, written as in Go.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::parse::{Input, Parsed, refusal};

/// A duration in the syntax of Go, in a range.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Input) -> Parsed<Duration> {
    move |input| {
        let parsed = input
            .scalar()
            .and_then(go_duration)
            .filter(|duration| range.contains(duration));
        parsed.ok_or_else(|| {
            refusal(format!(
                r#"a duration such as "1s", "0.2s" or "1m30s", {}"#,
                shown_range(&range)
            ))
        })
    }
}

/// As [`duration`], where a bare whole number counts seconds.
pub(super) fn seconds(range: RangeInclusive<Duration>) -> impl Fn(&Input) -> Parsed<Duration> {
    move |input| {
        let bare = |text: &str| text.parse().ok().map(Duration::from_secs);
        let parsed = input
            .scalar()
            .and_then(|text| bare(text).or_else(|| go_duration(text)));
        let parsed = parsed.filter(|duration| range.contains(duration));
        parsed.ok_or_else(|| {
            refusal(format!(
                r#"seconds or a duration such as "3600" or "1h", {}"#,
                shown_range(&range)
            ))
        })
    }
}

fn shown_range(range: &RangeInclusive<Duration>) -> String {
    format!(
        "from {} to {}",
        shown_duration(*range.start()),
        shown_duration(*range.end())
    )
}

fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        format!("{}ms", duration.as_millis())
    } else if seconds > 0 && seconds.is_multiple_of(3600) {
        format!("{}h", seconds / 3600)
    } else if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// Parses numbers with units one after another, as Go's `time.ParseDuration`; nothing negative.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number = &rest[..rest.find(|c: char| !c.is_ascii_digit() && c != '.')?];
        rest = &rest[number.len()..];
        let unit = &rest[..rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        nanos = nanos.checked_add(whole.checked_mul(scale)?)?;
        let mut digit_scale = scale;
        for digit in fraction.bytes() {
            // Each product is below the unit: what falls below a nanosecond is dropped.
            digit_scale /= 10;
            nanos = nanos.checked_add(u64::from(digit - b'0') * digit_scale)?;
        }
    }
    (!text.is_empty()).then(|| Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    #[test]
    fn durations_are_those_of_go() {
        let good = [
            ("1s", 1_000_000_000),
            ("0.2s", 200_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("15m", 900_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h0.5m", 3_630_000_000_000),
            ("2us3ns", 2_003),
            ("3µs", 3_000),
            ("0", 0),
        ];
        for (text, nanos) in good {
            assert_eq!(
                go_duration(text),
                Some(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
        for bad in [
            "",
            "1",
            "s",
            ".s",
            "-1s",
            "+1s",
            "1 s",
            "1s ",
            "1d",
            "1..s",
            "1.2.3s",
            "soon",
            "99999999999999h",
            "1é",
        ] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn bare_numbers_are_seconds_only_where_asked() {
        let range = Duration::ZERO..=Duration::from_hours(24);
        assert_eq!(
            seconds(range.clone())(&Input::Plain("3600".into())),
            Ok(Duration::from_hours(1))
        );
        assert_eq!(
            seconds(range.clone())(&text("1h")),
            Ok(Duration::from_hours(1))
        );
        assert!(duration(range)(&text("3600")).is_err());
    }
}
