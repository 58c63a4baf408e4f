//! Budgets without Redis, at times that the tests set.

use std::net::{IpAddr, Ipv4Addr};

use time::macros::datetime;
use uuid::Uuid;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// Nothing without Redis asks for the time.
#[derive(Clone)]
struct NoTime;

impl Environment for NoTime {
    fn now(&self) -> OffsetDateTime {
        NOW
    }

    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
}

fn limits(default: u32, read: Option<u32>, write: Option<u32>) -> RateLimits<NoTime> {
    let settings = Settings {
        requests_per_minute: default,
        read_requests_per_minute: read,
        write_requests_per_minute: write,
        prefix: "test".to_owned(),
        longest_wait: Duration::from_secs(1),
    };
    RateLimits::new(settings, None, NoTime)
}

async fn draw(limits: &RateLimits<NoTime>, caller: &str, class: RateClass, seconds: i64) -> Quota {
    let now = NOW + time::Duration::seconds(seconds);
    limits.draw(Caller::Subject(caller), class, now).await
}

#[tokio::test]
async fn a_window_ends_for_each_caller_at_its_own_second() {
    let limits = limits(3, None, None);
    let first = draw(&limits, "user_1", RateClass::Read, 0).await;
    assert!((1..=60).contains(&first.reset));
    assert_eq!((first.open, first.limit, first.remaining), (true, 3, 2));
    for remaining in [1, 0] {
        let next = draw(&limits, "user_1", RateClass::Write, 0).await;
        assert_eq!((next.open, next.remaining), (true, remaining));
    }
    let last = i64::from(first.reset) - 1;
    for second in [0, last] {
        let refused = draw(&limits, "user_1", RateClass::Default, second).await;
        assert_eq!((refused.open, refused.remaining), (false, 0));
        assert_eq!(i64::from(refused.reset), i64::from(first.reset) - second);
    }
    let next = draw(&limits, "user_1", RateClass::Read, last + 1).await;
    assert_eq!((next.open, next.remaining, next.reset), (true, 2, 60));
    // Those of others begin at other seconds.
    let mut resets = Vec::new();
    for number in 0..20 {
        resets.push(
            draw(&limits, &format!("user_{number}"), RateClass::Read, 0)
                .await
                .reset,
        );
    }
    resets.sort_unstable();
    resets.dedup();
    assert!(resets.len() > 5, "{resets:?}");
}

#[tokio::test]
async fn callers_and_classes_have_budgets_of_their_own() {
    let limits = limits(2, Some(1), None);
    for (caller, class, open) in [
        ("a", RateClass::Read, true),
        ("a", RateClass::Read, false),
        ("a", RateClass::Write, true),
        ("a", RateClass::Default, true),
        ("a", RateClass::Write, false),
        ("b", RateClass::Read, true),
    ] {
        assert_eq!(
            draw(&limits, caller, class, 0).await.open,
            open,
            "{caller} {class:?}"
        );
    }
    // A user whose name is an address is not the one who calls from there.
    for caller in [
        Caller::Subject("192.0.2.1"),
        Caller::Address([192, 0, 2, 1].into()),
    ] {
        assert!(limits.draw(caller, RateClass::Read, NOW).await.open);
    }
}

#[tokio::test]
async fn a_million_callers_do_not_fill_the_process() {
    let limits = limits(1, None, None);
    for address in 0..1_000_000_u32 {
        let caller = Caller::Address(IpAddr::V4(Ipv4Addr::from(address)));
        assert!(limits.draw(caller, RateClass::Read, NOW).await.open);
    }
    assert!(limits.0.callers.len() <= MOST_CALLERS);
}

#[test]
fn headers_of_an_answer() {
    let mut quota = Quota {
        open: true,
        limit: 1000,
        remaining: 998,
        reset: 37,
    };
    let headers = |quota: Quota| {
        let mut headers = http::HeaderMap::new();
        quota.annotate(&mut headers);
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        [
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "retry-after",
        ]
        .map(text)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        headers(quota),
        [some("1000"), some("998"), some("37"), None]
    );
    (quota.open, quota.remaining) = (false, 0);
    assert_eq!(
        headers(quota),
        [some("1000"), some("0"), some("37"), some("37")]
    );
}
