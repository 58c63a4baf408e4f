//! Connections for the statements of requests, over the one pool.
//!
//! The pool asks the server after every use whether the connection still works, a second round trip for each
//! statement. Here a connection that was used a moment ago is used again as it is, the latest first. A connection goes
//! back to the pool when nobody has used it for a while, and some stay there for work in the background. One whose
//! statement was cut off half-way is closed, never used again.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgPool, PgSeverity};
use sqlx::{Connection as _, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections of the pool are never held here. A pool that has not many more is used as it is.
const RESERVE: u32 = 4;
const SMALL_POOL: u32 = 2 * RESERVE;

/// How long an unused connection is kept, and trusted to work.
const IDLE: Duration = Duration::from_secs(1);

/// How long a connection is away from the pool, which decides about its age, at most.
const AWAY: Duration = Duration::from_mins(1);

/// The connections of a pool, for statements of requests.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pool: PgPool,
    /// None for a small pool.
    held: Option<Arc<Held>>,
}

/// What is held of the pool.
#[derive(Debug)]
struct Held {
    /// One permit for each connection that may be in use.
    turns: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one that was used last at the end.
    connections: Vec<Unused>,
    /// Whether a task looks after those that nobody uses.
    tended: bool,
}

#[derive(Debug)]
struct Unused {
    connection: PoolConnection<Postgres>,
    /// When it was taken from the pool.
    taken: Instant,
    /// When it was used last.
    used: Instant,
}

/// A connection for one statement. Closed when it is dropped, unless [`finish`](Self::finish) was told how it went.
#[derive(Debug)]
pub(super) struct Lease {
    /// Present until the end.
    connection: Option<PoolConnection<Postgres>>,
    taken: Instant,
    held: Option<(Arc<Held>, OwnedSemaphorePermit)>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        let most = pool.options().get_max_connections();
        let held = (most >= SMALL_POOL).then(|| {
            Arc::new(Held {
                turns: Arc::new(Semaphore::new((most - RESERVE) as usize)),
                idle: Mutex::default(),
            })
        });
        Self { pool, held }
    }

    /// A connection for one statement; `fresh` means none of those that are held.
    pub(super) async fn lease(&self, fresh: bool) -> sqlx::Result<Lease> {
        if let (Some(held), false) = (&self.held, fresh)
            && let Ok(turn) = held.turns.clone().try_acquire_owned()
            && let Some(unused) = held.latest()
        {
            return Ok(Lease::of(unused, held.clone(), turn));
        }
        // Apart, as it is seldom and would make every request larger.
        Box::pin(within(
            self.pool.options().get_acquire_timeout(),
            self.wait(fresh),
        ))
        .await
    }

    /// As [`lease`](Self::lease), when there may be none at once.
    async fn wait(&self, fresh: bool) -> sqlx::Result<Lease> {
        let Some(held) = &self.held else {
            return self.take(None, fresh).await;
        };
        let turn = held.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        if !fresh {
            if let Some(unused) = held.latest() {
                return Ok(Lease::of(unused, held.clone(), turn));
            }
            // Not to hold more than is allowed: the others are too old.
            held.give_back();
        }
        self.take(Some((held.clone(), turn)), true).await
    }

    /// A connection of the pool, asked whether it works when `check` says so. One that does not is closed, which makes
    /// place for a new one.
    async fn take(
        &self,
        held: Option<(Arc<Held>, OwnedSemaphorePermit)>,
        check: bool,
    ) -> sqlx::Result<Lease> {
        let mut lease = Lease {
            connection: None,
            taken: Instant::now(),
            held,
        };
        loop {
            lease.connection = Some(self.pool.acquire().await?);
            if !check || lease.ping().await.is_ok() {
                return Ok(lease);
            }
            lease.close();
        }
    }
}

/// How the connections of a pool are used.
#[derive(Clone, Debug)]
pub struct ConnectionUse(pub(super) Connections);

/// Counts of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// In use.
    pub active: usize,
    /// Open, and waiting for work.
    pub idle: usize,
    /// Most that may be open.
    pub max: u32,
}

impl ConnectionUse {
    /// The counts now.
    pub fn count(&self) -> ConnectionCounts {
        let Connections { pool, held } = &self.0;
        let held = held
            .as_ref()
            .map_or(0, |held| held.idle().connections.len());
        let idle = pool.num_idle() + held;
        let open = usize::try_from(pool.size()).unwrap_or(usize::MAX);
        ConnectionCounts {
            // The two are not of one moment.
            active: open.saturating_sub(idle),
            idle,
            max: pool.options().get_max_connections(),
        }
    }
}

async fn within<T>(wait: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let result = tokio::time::timeout(wait, work).await;
    result.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

impl Held {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, when that was a moment ago.
    fn latest(&self) -> Option<Unused> {
        self.idle()
            .connections
            .pop_if(|unused| unused.used.elapsed() < IDLE)
    }

    /// Keeps a connection for the next statement.
    fn keep(self: &Arc<Self>, connection: PoolConnection<Postgres>, taken: Instant) {
        let used = Instant::now();
        if used.duration_since(taken) > AWAY {
            return;
        }
        let mut idle = self.idle();
        idle.connections.push(Unused {
            connection,
            taken,
            used,
        });
        if !idle.tended {
            idle.tended = true;
            tokio::spawn(tend(Arc::downgrade(self)));
        }
    }

    /// Gives back to the pool what nobody has used for a while; tells whether anything is left.
    fn give_back(&self) -> bool {
        let mut idle = self.idle();
        let old = idle
            .connections
            .partition_point(|unused| unused.used.elapsed() >= IDLE);
        let old: Vec<_> = idle.connections.drain(..old).collect();
        idle.tended = !idle.connections.is_empty();
        let tended = idle.tended;
        drop(idle);
        drop(old);
        tended
    }

    /// Closes all that are idle: the server they were connected to is gone.
    fn close(&self) {
        let gone = std::mem::take(&mut self.idle().connections);
        for mut unused in gone {
            unused.connection.close_on_drop();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.idle().connections);
        for unused in idle {
            // Not back to the pool, which takes a task: the runtime may have ended.
            drop(unused.connection.detach());
        }
    }
}

/// Gives back what nobody uses, as long as something is held.
async fn tend(held: Weak<Held>) {
    loop {
        tokio::time::sleep(IDLE).await;
        if !held.upgrade().is_some_and(|held| held.give_back()) {
            return;
        }
    }
}

impl Lease {
    fn of(unused: Unused, held: Arc<Held>, turn: OwnedSemaphorePermit) -> Self {
        Self {
            connection: Some(unused.connection),
            taken: unused.taken,
            held: Some((held, turn)),
        }
    }

    fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }

    /// Ends the use of the connection; tells whether it was lost. It is kept when the server has answered, be it with
    /// an error.
    pub(super) fn finish<T>(mut self, result: &sqlx::Result<T>) -> bool {
        let lost = result.as_ref().is_err_and(lost);
        match (result, &self.held) {
            (Ok(_) | Err(sqlx::Error::Database(_)), Some((held, _))) if !lost => {
                if let Some(connection) = self.connection.take() {
                    held.keep(connection, self.taken);
                }
            }
            // Back to the pool, which asks whether it works.
            (Ok(_) | Err(sqlx::Error::Database(_)), None) if !lost => drop(self.connection.take()),
            (_, Some((held, _))) if lost => held.close(),
            _ => {}
        }
        lost
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(PRESENT)
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(PRESENT)
    }
}

const PRESENT: &str = "a lease has its connection until it ends";

/// Runs a statement that reads; once more, on a connection that surely works, when the first one was lost.
macro_rules! read {
    ($connections:expr, $connection:ident => $statement:expr) => {{
        let connections: &$crate::store::connections::Connections = &$connections;
        let mut again = false;
        loop {
            let mut lease = match connections.lease(again).await {
                Ok(lease) => lease,
                Err(error) => break Err(error),
            };
            let $connection: &mut sqlx::PgConnection = &mut lease;
            let result = $statement.await;
            if lease.finish(&result) && !again {
                again = true;
            } else {
                break result;
            }
        }
    }};
}

pub(super) use read;

/// Whether the connection was lost, and with it most likely all others.
fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        _ => false,
    }
}
