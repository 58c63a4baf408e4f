//! How long a user can't sign in after attempts that failed.

use time::{Duration, OffsetDateTime};

/// From this attempt on, each that fails locks the user out.
const LOCKING: i32 = 5;

/// For how long the first of them does. Each further one doubles it.
const FIRST: Duration = Duration::MINUTE;

/// For how long at most.
const LONGEST: Duration = Duration::DAY;

/// The attempts that failed since the last sign-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    /// How many they are.
    pub attempts: i32,
    /// Until when no password is looked at.
    pub until: Option<OffsetDateTime>,
}

impl Lockout {
    /// What is known after one more attempt that fails; none while the user is locked out, when nothing counts.
    pub fn attempt(self, now: OffsetDateTime) -> Option<Self> {
        if self.until.is_some_and(|until| now < until) {
            return None;
        }
        let attempts = self.attempts.saturating_add(1);
        let until = (attempts >= LOCKING).then(|| {
            // Past this it is longer than the longest in any case.
            let doublings = (attempts - LOCKING).clamp(0, 16);
            now + (FIRST * (1_i32 << doublings)).min(LONGEST)
        });
        Some(Self { attempts, until })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn locks_are_longer_each_time() {
        let mut now = datetime!(2026-03-01 12:00 UTC);
        let mut lockout = Lockout::default();
        let mut locks = Vec::new();
        for _ in 0..18 {
            lockout = lockout.attempt(now).expect("not locked");
            if let Some(until) = lockout.until {
                assert_eq!(lockout.attempt(until - Duration::MICROSECOND), None);
                locks.push((until - now).whole_minutes());
                now = until;
            }
        }
        let doubled = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
        assert_eq!(locks[..11], doubled);
        assert_eq!(locks[11..], [1440; 3]);
        let last = Lockout {
            attempts: i32::MAX,
            until: None,
        };
        let next = last.attempt(now).expect("not locked");
        assert_eq!(next.until, Some(now + LONGEST));
    }
}
