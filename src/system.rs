//! The real time and the real randomness.

use std::time::SystemTime;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::Environment;

/// The clock and the random source of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the operating system"
)]
impl Environment for SystemEnvironment {
    fn now(&self) -> OffsetDateTime {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 is none.
        let now = now.unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // In steps of two: to add a duration to a time takes many times as long.
        let time = OffsetDateTime::from_unix_timestamp(seconds);
        // What PostgreSQL keeps, so that an answer and a later read show the same.
        let time = time.and_then(|time| time.replace_microsecond(now.subsec_micros()));
        time.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn new_uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_microseconds_and_ids_ascend() {
        assert_eq!(SystemEnvironment.now().nanosecond() % 1000, 0);
        let ids: Vec<_> = (0..1000).map(|_| SystemEnvironment.new_uuid()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].get_version_num(), 7);
    }
}
