//! From start to stop: whether requests can be answered, and when to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Name of the service.
pub const NAME: &str = "catalog-service";

/// Version of the service.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Longest time that requests under way get when the service stops: less than the ten seconds that container engines
/// wait before they kill.
pub const DRAIN: Duration = Duration::from_secs(8);

/// Why requests can or can't be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is known yet.
    Starting,
    /// They can.
    Ready,
    /// The database does not answer.
    DatabaseDown,
    /// The database lacks these migrations.
    PendingMigrations(Vec<String>),
    /// A migration to this version began and did not end.
    DirtyMigration(i64),
    /// The service is about to end.
    Stopping,
}

impl State {
    /// The state in words, for `/ready` and the log.
    pub fn describe(&self) -> String {
        match self {
            Self::Starting => "starting".to_owned(),
            Self::Ready => "ready".to_owned(),
            Self::DatabaseDown => "the database does not answer".to_owned(),
            Self::PendingMigrations(files) => format!("pending migrations: {}", files.join(", ")),
            Self::DirtyMigration(version) => {
                format!("migration {version} began and did not end: repair it by hand")
            }
            Self::Stopping => "stopping".to_owned(),
        }
    }
}

/// The state, for all who ask.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// The state now.
    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// Whether calls can be answered: the database is there and has the tables they need. While the service drains,
    /// they can.
    pub fn answers(&self) -> bool {
        matches!(*self.0.borrow(), State::Ready | State::Stopping)
    }

    /// Sets the state, but for one that has ended; tells whether it is another than before.
    pub fn set(&self, state: State) -> bool {
        self.0.send_if_modified(|current| {
            let changed = *current != state && *current != State::Stopping;
            if changed {
                *current = state;
            }
            changed
        })
    }

    /// Waits until the service is to stop.
    pub async fn stopping(&self) {
        // The sender is in self, so that it can't be gone.
        let _ = self
            .0
            .subscribe()
            .wait_for(|state| *state == State::Stopping)
            .await;
    }

    /// Follows the state.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }
}

/// Waits for SIGTERM or SIGINT, begins to stop, and ends the process at once at a second one.
///
/// # Errors
/// When signals can't be had.
pub async fn stop_on_signal(readiness: Readiness) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut next =
        async || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
    next().await;
    tracing::info!("stopping: requests under way are finished");
    readiness.set(State::Stopping);
    next().await;
    tracing::warn!("stopping at once");
    std::process::exit(130);
}
