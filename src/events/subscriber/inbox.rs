//! Keeps the inbox short.

use std::time::Duration;

use tokio::sync::watch;

use crate::lifecycle::State;
use crate::store::PgInbox;

/// How long it is known that an event was handled. After that, its time still tells that it is old.
const HANDLED: Duration = Duration::from_hours(7 * 24);

/// How long it is known why an event was refused.
const REFUSED: Duration = Duration::from_hours(30 * 24);

/// How often old events are forgotten, and how many at a time.
const INTERVAL: Duration = Duration::from_mins(10);
const BATCH: i64 = 5000;

/// Forgets old events until the service stops. Instances need not agree on who does it.
pub async fn keep_short(inbox: PgInbox, mut states: watch::Receiver<State>) {
    loop {
        let state = states.wait_for(|state| matches!(state, State::Ready | State::Stopping));
        if state.await.map_or(true, |state| *state == State::Stopping) {
            return;
        }
        match inbox.forget(HANDLED, REFUSED, BATCH).await {
            Ok(count) if count.cast_signed() >= BATCH => {}
            Ok(_) => tokio::time::sleep(INTERVAL).await,
            Err(error) => {
                tracing::debug!(%error, "old events were not forgotten");
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }
}
