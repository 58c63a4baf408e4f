//! The part of `/health` on Consul: whether others find this instance there.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use super::{DEGRADED, HEALTHY, UNHEALTHY};
use crate::registry::Status;
use crate::telemetry::metrics::{Page, Source};

/// What is looked at. Clones look at the same.
#[derive(Clone, Debug)]
pub struct ConsulProbe(pub watch::Receiver<Status>);

/// What is said. Without a session there is no id.
#[derive(Serialize)]
pub(super) struct Consul {
    pub(super) status: &'static str,
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Arc<str>>,
}

impl ConsulProbe {
    /// Consul is asked by who keeps the registration, not here.
    pub(super) fn look(&self) -> Consul {
        let now = self.0.borrow();
        Consul {
            status: if now.is_healthy() {
                HEALTHY
            } else if now.registered {
                DEGRADED
            } else {
                UNHEALTHY
            },
            registered: now.registered,
            session_id: now.session.clone(),
        }
    }
}

impl Source for ConsulProbe {
    fn write(&self, page: &mut Page) {
        let help = "Whether this instance is registered in Consul and holds a session";
        let healthy = self.0.borrow().is_healthy();
        page.gauge("consul_service_health", help)
            .sample(&[], u8::from(healthy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let (sender, receiver) = watch::channel(Status::default());
        let probe = ConsulProbe(receiver);
        let shown = || serde_json::to_string(&probe.look()).unwrap();
        assert_eq!(shown(), r#"{"status":"unhealthy","registered":false}"#);
        sender.send_modify(|status| status.registered = true);
        assert_eq!(shown(), r#"{"status":"degraded","registered":true}"#);
        sender.send_modify(|status| status.session = Some("b5f2".into()));
        assert_eq!(
            shown(),
            r#"{"status":"healthy","registered":true,"session_id":"b5f2"}"#
        );
    }
}
