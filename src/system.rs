//! The real time and the real randomness.

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
        let now = OffsetDateTime::now_utc();
        // What PostgreSQL keeps, so that an answer and a later read show the same.
        now.replace_microsecond(now.microsecond()).unwrap_or(now)
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
