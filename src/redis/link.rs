//! The connection that callers share, and the circuits that keep them from waiting in vain.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use ::redis::aio::ConnectionLike as _;
use ::redis::{RedisResult, Value, cmd};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::circuit::Circuit;
use super::dial::{Connection, Dialer};
use super::error::is_elsewhere;
use super::slot::slot;
use super::{Cause, RedisError, Status};

/// How long Redis is left alone after it was found to be away.
const PAUSE: Duration = Duration::from_secs(1);

/// A cluster has a circuit for each so many of its slots.
const SLOTS_PER_CIRCUIT: u16 = 1024;

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    /// This key.
    Of(&'a [u8]),
    /// No key in particular. In a cluster its failure says nothing about other calls.
    Any,
}

/// A circuit by what it stands for.
#[derive(Clone)]
enum Lane {
    /// The connection as such.
    Whole,
    /// A part of a cluster, which is asked for a key of it.
    Part(usize, Box<[u8]>),
}

pub(super) struct Link {
    dialer: Dialer,
    /// How long a probe waits for its answer.
    probe_timeout: Duration,
    connection: RwLock<Option<Connection>>,
    /// Done when the first connection was made, or failed.
    first: OnceLock<Shared<oneshot::Receiver<()>>>,
    whole: Circuit,
    /// Of a cluster only.
    parts: Box<[Circuit]>,
}

impl Link {
    pub fn new(dialer: Dialer, probe_timeout: Duration) -> Self {
        let parts = if dialer.is_cluster() {
            16384 / SLOTS_PER_CIRCUIT
        } else {
            0
        };
        Self {
            dialer,
            probe_timeout,
            connection: RwLock::new(None),
            first: OnceLock::new(),
            whole: Circuit::default(),
            parts: (0..parts).map(|_| Circuit::default()).collect(),
        }
    }

    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub fn status(&self) -> Status {
        if self.first.get().is_none_or(|first| first.peek().is_none()) {
            return Status::Unused;
        }
        let mut circuits = std::iter::once(&self.whole).chain(&self.parts);
        circuits
            .find_map(Circuit::check)
            .map_or(Status::Connected, |cause| Status::Away(cause.to_string()))
    }

    /// Does something with the connection, in time, unless Redis is known to be away.
    pub async fn call<T>(
        self: &Arc<Self>,
        key: Key<'_>,
        limit: Duration,
        ask: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, RedisError> {
        self.first_connection().await;
        let part = match key {
            Key::Of(key) if !self.parts.is_empty() => {
                Some(usize::from(slot(key) / SLOTS_PER_CIRCUIT))
            }
            _ => None,
        };
        let open = self.whole.check();
        let open = open.or_else(|| self.parts[part?].check());
        if let Some(cause) = open {
            return Err(RedisError::Away(cause));
        }
        let Some(mut connection) = self.current() else {
            // It was given up just now, perhaps after the circuit had been closed.
            let error = RedisError::Away(Cause::new("connecting again"));
            self.trip(Lane::Whole, &error);
            return Err(error);
        };
        let (error, elsewhere) = match timeout(limit, ask(&mut connection)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => (RedisError::from_redis(&error), is_elsewhere(&error)),
            Err(_) => (RedisError::Timeout(limit), false),
        };
        let answers = !matches!(error, RedisError::Connection(_) | RedisError::Timeout(_));
        if answers && !elsewhere {
            return Err(error);
        }
        match (key, part) {
            (Key::Of(key), Some(part)) => self.trip(Lane::Part(part, key.into()), &error),
            (Key::Any, None) if !self.parts.is_empty() => {}
            _ => {
                if elsewhere {
                    self.replace(None);
                }
                self.trip(Lane::Whole, &error);
            }
        }
        Err(error)
    }

    /// Waits for the first connection. It is made in a task, so that a caller who goes away does not end it.
    async fn first_connection(self: &Arc<Self>) {
        let first = self.first.get_or_init(|| {
            let (done, waited) = oneshot::channel();
            let link = self.clone();
            tokio::spawn(async move {
                if let Err(error) = link.dial().await {
                    link.trip(Lane::Whole, &error);
                }
                // Nobody may be waiting any more.
                let _ = done.send(());
            });
            waited.shared()
        });
        if first.peek().is_none() {
            // An error would be that the task panicked; there is no connection then.
            let _ = first.clone().await;
        }
    }

    async fn dial(&self) -> Result<(), RedisError> {
        let connection = self.dialer.dial().await;
        let connection = connection.map_err(|error| RedisError::from_redis(&error))?;
        if !self.dialer.is_cluster() {
            // A server that starts takes connections before it serves.
            self.ask(connection.clone(), None).await?;
        }
        self.replace(Some(connection));
        Ok(())
    }

    fn current(&self) -> Option<Connection> {
        let connection = self.connection.read();
        connection.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, connection: Option<Connection>) {
        let current = self.connection.write();
        *current.unwrap_or_else(PoisonError::into_inner) = connection;
    }

    fn circuit(&self, lane: &Lane) -> &Circuit {
        match lane {
            Lane::Whole => &self.whole,
            Lane::Part(part, _) => &self.parts[*part],
        }
    }

    /// Opens the circuit, and sees that it is closed again.
    fn trip(self: &Arc<Self>, lane: Lane, error: &RedisError) {
        let circuit = self.circuit(&lane);
        if circuit.open(Cause::new(error.to_string())) {
            tracing::warn!(%error, "Redis does not answer");
            tokio::spawn(recover(Arc::downgrade(self), lane));
        }
    }

    async fn probe(&self, lane: &Lane) -> Result<(), RedisError> {
        let alive = match (lane, self.current()) {
            (_, None) => Err(RedisError::Away(Cause::new("not connected"))),
            (Lane::Part(_, key), Some(connection)) => self.ask(connection, Some(key)).await,
            (Lane::Whole, Some(connection)) => self.ask(connection, None).await,
        };
        match lane {
            // The connection to a cluster finds its nodes again by itself.
            Lane::Part(..) => alive,
            Lane::Whole if alive.is_ok() => alive,
            Lane::Whole => {
                self.replace(None);
                self.dial().await
            }
        }
    }

    async fn ask(&self, mut connection: Connection, key: Option<&[u8]>) -> Result<(), RedisError> {
        let mut question = cmd(if key.is_some() { "EXISTS" } else { "PING" });
        question.arg(key);
        match timeout(self.probe_timeout, connection.req_packed_command(&question)).await {
            Ok(answer) => answer
                .and_then(Value::extract_error)
                .map(drop)
                .map_err(|error| RedisError::from_redis(&error)),
            Err(_) => Err(RedisError::Timeout(self.probe_timeout)),
        }
    }
}

/// Probes until Redis answers, at once and then after every pause, as long as anybody holds the link.
async fn recover(link: Weak<Link>, lane: Lane) {
    loop {
        let Some(link) = link.upgrade() else { return };
        let circuit = link.circuit(&lane);
        match link.probe(&lane).await {
            Ok(()) => {
                circuit.close();
                tracing::info!("Redis answers again");
                return;
            }
            Err(error) => {
                circuit.open(Cause::new(error.to_string()));
            }
        }
        drop(link);
        sleep(PAUSE).await;
    }
}
