//! From start to stop: whether requests can be answered, and when to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
pub struct Readiness(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    /// Whether the state is that of a service that is about to end, for those who ask all the time.
    stopping: AtomicBool,
    /// Whether requests are taken no more.
    draining: watch::Sender<bool>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: watch::Sender::new(State::Starting),
            stopping: AtomicBool::new(false),
            draining: watch::Sender::new(false),
        }))
    }
}

impl Readiness {
    /// The state now.
    pub fn state(&self) -> State {
        self.0.state.borrow().clone()
    }

    /// Whether calls can be answered: the database is there and has the tables they need. While the service drains,
    /// they can.
    pub fn answers(&self) -> bool {
        matches!(*self.0.state.borrow(), State::Ready | State::Stopping)
    }

    /// Sets the state, but for one that has ended; tells whether it is another than before.
    pub fn set(&self, state: State) -> bool {
        let stopping = state == State::Stopping;
        let changed = self.0.state.send_if_modified(|current| {
            let changed = *current != state && *current != State::Stopping;
            if changed {
                *current = state;
            }
            changed
        });
        self.0.stopping.fetch_or(stopping, Ordering::Relaxed);
        changed
    }

    /// Whether the service is about to end: it still answers, and wants its callers to go elsewhere.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Takes no more requests, and ends with those under way.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Waits until no more requests are taken.
    pub async fn draining(&self) {
        // The sender is in self, so that it can't be gone.
        let _ = self
            .0
            .draining
            .subscribe()
            .wait_for(|&draining| draining)
            .await;
    }

    /// Follows the state.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }
}

/// Waits for SIGTERM or SIGINT and stops: the service is ready no more, goes on for `delay`, until those who send it
/// requests have seen that, and drains. SIGINT comes from a person, who waits for nobody. A second signal ends the
/// process at once, when `last` is done.
///
/// # Errors
/// When signals can't be had.
pub async fn stop_on_signal(
    readiness: Readiness,
    delay: Duration,
    last: impl FnOnce(),
) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => (delay, SignalKind::terminate()),
            _ = interrupt.recv() => (Duration::ZERO, SignalKind::interrupt()),
        }
    };
    let (delay, _) = next().await;
    tracing::info!(?delay, "stopping: requests under way are finished");
    readiness.set(State::Stopping);
    let second = if let Ok((_, second)) = tokio::time::timeout(delay, next()).await {
        second
    } else {
        readiness.drain();
        next().await.1
    };
    tracing::warn!("stopping at once");
    last();
    // As a shell says it of a process that a signal ended.
    std::process::exit(128 + second.as_raw_value());
}
