//! `audit`: what may be asked of the audit log.

use clap::{Subcommand, ValueEnum};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::duration::parse_duration;

/// What to do with the audit log.
// The comments on fields and variants are the help text, hence without full stops.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// Show records, the latest first
    List {
        /// Not before this: a time such as 2024-01-15T10:30:00Z, or how long ago, such as 90m or 24h
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = since)]
        since: Since,
        /// Only those of this caller, for example user_456
        #[arg(long, value_name = "SUBJECT")]
        user: Option<String>,
        /// Only those about this, for example the id of a product
        #[arg(long, value_name = "ID")]
        resource: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// How they are written
        #[arg(long, value_enum, default_value_t)]
        format: AuditFormat,
    },
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This one.
    At(OffsetDateTime),
    /// So long ago.
    Ago(std::time::Duration),
}

impl Since {
    /// The time it stands for.
    pub fn time(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => time::Duration::try_from(duration)
                .ok()
                .and_then(|duration| now.checked_sub(duration))
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        }
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// A line each, for people
    #[default]
    Text,
    /// An object per line, for programs
    Json,
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Since::At(time));
    }
    let ago = parse_duration(text).map(Since::Ago);
    ago.map_err(|_| "must be a time such as 2024-01-15T10:30:00Z, or a duration such as 24h".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_and_durations() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_hours(100);
        let of = |text| since(text).map(|since| since.time(now));
        assert_eq!(of("90m"), Ok(now - Duration::from_mins(90)));
        assert_eq!(
            of("1970-01-01T01:00:00+01:00"),
            Ok(OffsetDateTime::UNIX_EPOCH)
        );
        for text in ["", "yesterday", "2024-01-15", "-1h"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
