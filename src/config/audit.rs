//! The section on the audit log.

use std::time::Duration;

use super::duration::duration;
use super::parse::boolean;
use super::read::section;

const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);

section! {
    /// The audit log, which `features.enable_audit_logging` turns on.
    Audit {
        /// Whether calls that change nothing are in it, too.
        reads: bool = false => boolean;
        /// How long its records are kept.
        retention: Duration = YEAR => duration(DAY..=10 * YEAR);
    }
}
