//! The part of `/health` on events: whether they are published, and what is left.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::{DEGRADED, HEALTHY, PING_TIMEOUT, uptime};
use crate::events::relay::Status;
use crate::store::PgOutbox;
use crate::store::outbox::Backlog;

/// How long an event may wait before someone should look.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is looked at.
pub struct EventsProbe {
    /// Where events wait.
    pub outbox: PgOutbox,
    /// Where they go.
    pub publisher: &'static str,
    /// How the relay of this instance is.
    pub status: watch::Receiver<Status>,
}

/// What is said. Without an answer of the database the numbers are absent.
#[derive(Serialize, Debug)]
pub(super) struct Events {
    pub(super) status: &'static str,
    publisher: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_unpublished: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<i64>,
}

impl EventsProbe {
    pub(super) async fn look(&self) -> Events {
        let backlog = tokio::time::timeout(PING_TIMEOUT, self.outbox.backlog()).await;
        let backlog = backlog.ok().and_then(Result::ok);
        judge(self.publisher, &self.status.borrow(), backlog.as_ref())
    }
}

fn judge(publisher: &'static str, status: &Status, backlog: Option<&Backlog>) -> Events {
    let state = match status {
        Status::Starting => "starting",
        Status::Publishing => "publishing",
        Status::StandingBy => "standing_by",
        // Why is in the log: it may name hosts, and anyone may ask here.
        Status::Failing(_) => "failing",
    };
    let oldest = backlog.and_then(|backlog| backlog.oldest);
    let parked = backlog.map(|backlog| backlog.parked);
    // A relay that stands by knows nothing of the one that publishes; the age does.
    let healthy = !matches!(status, Status::Failing(_))
        && oldest.is_none_or(|age| age <= LONGEST_WAIT)
        && parked.is_none_or(|count| count == 0);
    Events {
        status: if healthy { HEALTHY } else { DEGRADED },
        publisher,
        state,
        oldest_unpublished: oldest.map(uptime),
        refused: backlog.map(|backlog| backlog.refused),
        parked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_healthy() {
        let fine = Backlog::default();
        let late = Backlog {
            oldest: Some(Duration::from_secs(75)),
            ..fine
        };
        let brief = Backlog {
            oldest: Some(Duration::from_secs(1)),
            waiting: 3,
            refused: 2,
            parked: 0,
        };
        let parked = Backlog { parked: 1, ..fine };
        let failing = Status::Failing("10.0.0.7 is away".to_owned());
        for (status, backlog, expected) in [
            (Status::Starting, None, HEALTHY),
            (Status::Publishing, Some(&fine), HEALTHY),
            (Status::Publishing, Some(&brief), HEALTHY),
            (Status::StandingBy, Some(&late), DEGRADED),
            (Status::StandingBy, Some(&parked), DEGRADED),
            (failing.clone(), Some(&fine), DEGRADED),
            (failing, None, DEGRADED),
        ] {
            let events = judge("redis", &status, backlog);
            assert_eq!(events.status, expected, "{events:?}");
        }
        let shown = judge("redis", &Status::StandingBy, Some(&late));
        assert_eq!(
            serde_json::to_string(&shown).unwrap(),
            concat!(
                r#"{"status":"degraded","publisher":"redis","state":"standing_by","oldest_unpublished":"1m15s","#,
                r#""refused":0,"parked":0}"#
            )
        );
    }
}
