//! Durations, written as in Go.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::parse::{Input, Parsed, refusal};
use crate::duration::parse_duration;

/// A duration in the syntax of Go, in a range.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Input) -> Parsed<Duration> {
    move |input| {
        let parsed = input
            .scalar()
            .and_then(|text| parse_duration(text).ok())
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
            .and_then(|text| bare(text).or_else(|| parse_duration(text).ok()));
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

/// A duration as [`duration`] reads it.
pub(super) fn shown_duration(duration: Duration) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
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
