//! Events for those in the same process who want them: the default where there is no broker.

use tokio::sync::broadcast;

use super::{Outgoing, Publisher, Rejection, Unavailable};

/// How many events a subscriber may be behind before it misses some.
const CAPACITY: usize = 4096;

/// A bus within the process. Events that nobody listens for are gone.
#[derive(Clone, Debug)]
pub struct InProcess(broadcast::Sender<Outgoing>);

impl Default for InProcess {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl InProcess {
    /// Hears all events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Outgoing> {
        self.0.subscribe()
    }
}

impl Publisher for InProcess {
    fn keeps_order(&self) -> bool {
        true
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Rejection>, Unavailable> {
        if self.0.receiver_count() > 0 {
            for event in batch {
                // Without a receiver left there is nobody to tell.
                let _ = self.0.send(event.clone());
            }
        }
        Ok(Vec::new())
    }
}
