//! What runs beside the requests: publishing events, following the changes of all instances.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::events::feed::Feed;
use crate::events::publisher::InProcess;
use crate::events::relay::{self, Relay};
use crate::lifecycle::{Readiness, State};
use crate::store::{Bell, PgOutbox};
use crate::system::SystemEnvironment;

/// Longest time the last events get when the service stops; what is left, another instance or the next start publishes.
const FLUSH: Duration = Duration::from_secs(1);

/// The tasks that run as long as the service.
pub(super) struct Background {
    stop: oneshot::Sender<()>,
    relay: JoinHandle<()>,
}

impl Background {
    pub(super) fn start(pool: &PgPool, bell: &Bell, readiness: &Readiness) -> Self {
        tokio::spawn(bell.clone().connect(pool.clone()));
        tokio::spawn(follow(
            Feed::new(PgOutbox::new(pool.clone())),
            bell.clone(),
            readiness.clone(),
        ));
        let relay = Relay::new(
            PgOutbox::new(pool.clone()),
            InProcess::default(),
            SystemEnvironment,
            relay::Settings::default(),
        );
        let (stop, stopped) = oneshot::channel();
        let (bell, readiness) = (bell.listen(), readiness.clone());
        let relay = tokio::spawn(async move {
            if has_tables(&readiness).await {
                relay.run(bell, stopped).await;
            }
        });
        Self { stop, relay }
    }

    /// Publishes what is there, and ends.
    pub(super) async fn stop(self) {
        // A relay that has ended already needs no word.
        let _ = self.stop.send(());
        if tokio::time::timeout(FLUSH, self.relay).await.is_err() {
            tracing::info!("stopping: some events are left to be published later");
        }
    }
}

/// Tells the watchers, and those in this process who listen, of all changes.
async fn follow(feed: Feed, bell: Bell, readiness: Readiness) {
    if has_tables(&readiness).await {
        feed.run(bell.listen(), ()).await;
    }
}

/// Waits for the tables, which may not be there yet.
async fn has_tables(readiness: &Readiness) -> bool {
    let mut states = readiness.subscribe();
    states
        .wait_for(|state| matches!(state, State::Ready | State::Stopping))
        .await
        .is_ok()
}
