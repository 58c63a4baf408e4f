//! The one client of Redis: a server, servers behind Sentinels, or a cluster, all used alike.
//!
//! A [`Redis`] connects when it is first asked, shares one connection among all its callers, and connects again by
//! itself. A call is answered in time or fails: one that reads waits for `read_timeout`, one that writes for
//! `write_timeout`, one that may do both for the longer of them. (Whoever calls first waits for the connection too, for
//! `dial_timeout`, and in a cluster for up to three times that.) The crate beneath writes in a task of its own, so that
//! the wait is for the answer, not for the bytes to leave.
//!
//! While Redis is away calls fail at once with [`RedisError::Away`], so that callers do not each wait in vain: the
//! first failure opens a circuit, which a task in the background probes at once and then every second, and closes when
//! Redis answers. In a cluster there is a circuit for each sixteenth of the slots: what is on the other nodes goes on.

mod circuit;
mod dial;
mod error;
mod link;
mod slot;

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionLike as _;
use ::redis::{Cmd, Pipeline, Script, Value, cmd};

pub use error::{Cause, RedisError};

use crate::config;
use dial::Dialer;
use error::is_elsewhere;
use link::{Key, Link};

/// What a call comes to.
pub type Result<T> = std::result::Result<T, RedisError>;

/// A client. Clones share its connection.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    limits: Limits,
}

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    read: Duration,
    write: Duration,
}

impl Limits {
    fn longer(self) -> Duration {
        self.read.max(self.write)
    }
}

/// How Redis is, for `/health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was asked of it yet.
    Unused,
    /// The last that is known is that it answers.
    Connected,
    /// It does not answer, or a part of the cluster does not. Says why.
    Away(String),
}

impl Redis {
    /// A client of what `settings` name, `None` where they name nothing. Does not connect, so it never waits or fails.
    pub fn new(settings: &config::Redis) -> Option<Self> {
        let limits = Limits {
            read: settings.read_timeout,
            write: settings.write_timeout,
        };
        let dialer = Dialer::new(settings, limits.longer())?;
        Some(Self {
            link: Arc::new(Link::new(dialer, settings.read_timeout)),
            limits,
        })
    }

    /// A client of the same Redis with a connection and circuits of its own, whose calls may each take `limit`: for
    /// what takes long and must not be waited behind, such as a blocking read or a large batch.
    #[must_use]
    pub fn separate(&self, limit: Duration) -> Self {
        let dialer = self.link.dialer().with_response_limit(limit);
        Self {
            link: Arc::new(Link::new(dialer, self.limits.read.min(limit))),
            limits: Limits {
                read: limit,
                write: limit,
            },
        }
    }

    /// Whether the keys are spread over the nodes of a cluster, so that a transaction is of one slot only.
    pub fn is_cluster(&self) -> bool {
        self.link.dialer().is_cluster()
    }

    /// How it is. Asks nothing and does not wait.
    pub fn status(&self) -> Status {
        self.link.status()
    }

    /// The value of a key.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut command = Cmd::with_capacity(2, 3 + key.len());
        command.arg("GET").arg(key);
        let value = self.run(key.as_bytes(), &command, self.limits.read).await?;
        match value {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(Some(value)),
            other => Err(RedisError::unexpected("GET", &other)),
        }
    }

    /// Sets the value of a key, for `ttl`, at least a millisecond.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<()> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = Cmd::with_capacity(5, 32 + key.len() + value.len());
        command.arg("SET").arg(key).arg(value).arg("PX").arg(ttl);
        let limit = self.limits.write;
        self.run(key.as_bytes(), &command, limit).await.map(drop)
    }

    /// Removes a key. Says whether it was there.
    pub async fn del(&self, key: &str) -> Result<bool> {
        let mut command = cmd("DEL");
        command.arg(key);
        let limit = self.limits.write;
        let value = self.run(key.as_bytes(), &command, limit).await?;
        Ok(value == Value::Int(1))
    }

    /// Runs any command; `key` is the one that it is about.
    pub async fn command(&self, key: &str, command: &Cmd) -> Result<Value> {
        self.run(key.as_bytes(), command, self.limits.longer())
            .await
    }

    /// Runs a pipeline, in a cluster one whose keys are all of one slot.
    ///
    /// Answers with the value of each command, a [`Value::ServerError`] for one that was refused. Of a transaction
    /// (`atomic`) of which a command was not even taken, nothing was done, and that is an error of the whole.
    pub async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>> {
        let Some(first) = pipeline.cmd_iter().next() else {
            return Ok(Vec::new());
        };
        let key = match first.args_iter().nth(1) {
            Some(::redis::Arg::Simple(key)) => Key::Of(key),
            _ => Key::Any,
        };
        let count = pipeline.len();
        let is_transaction = pipeline.is_transaction();
        let (offset, answers) = if is_transaction {
            (count + 1, 1)
        } else {
            (0, count)
        };
        let limit = self.limits.longer();
        let mut values = self
            .link
            .call(key, limit, async |connection| {
                let values = connection
                    .req_packed_commands(pipeline, offset, answers)
                    .await?;
                // Where one was to be sent elsewhere, so were all.
                match values.iter().find_map(elsewhere) {
                    Some(error) => Err(error),
                    None => Ok(values),
                }
            })
            .await?;
        if is_transaction {
            values = match values.pop() {
                Some(Value::Array(values)) => values,
                Some(Value::ServerError(error)) => {
                    return Err(error.into());
                }
                other => return Err(RedisError::unexpected("EXEC", &other.unwrap_or(Value::Nil))),
            };
        }
        if values.len() != count {
            let text = format!("{} answers to {count} commands", values.len());
            return Err(RedisError::unexpected(&text, &Value::Nil));
        }
        Ok(values)
    }

    /// Runs a script, which is sent once and then named by its hash. In a cluster its keys are all of one slot.
    pub async fn script(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> Result<Value> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(*key);
        }
        for arg in args {
            invocation.arg(*arg);
        }
        let key = keys.first().map_or(Key::Any, |key| Key::Of(key.as_bytes()));
        self.link
            .call(key, self.limits.longer(), async |connection| {
                invocation.invoke_async(connection).await
            })
            .await
    }

    /// Whether it answers; of a cluster, whether all masters do.
    pub async fn ping(&self) -> Result<()> {
        self.link
            .call(Key::Any, self.limits.read, async |connection| {
                connection
                    .req_packed_command(&cmd("PING"))
                    .await
                    .and_then(Value::extract_error)
            })
            .await
            .map(drop)
    }

    async fn run(&self, key: &[u8], command: &Cmd, limit: Duration) -> Result<Value> {
        self.link
            .call(Key::Of(key), limit, async |connection| {
                connection
                    .req_packed_command(command)
                    .await
                    .and_then(Value::extract_error)
            })
            .await
    }
}

/// The error of a value that another server should be asked for.
fn elsewhere(value: &Value) -> Option<::redis::RedisError> {
    match value {
        Value::ServerError(error) => {
            let error = ::redis::RedisError::from(error.clone());
            is_elsewhere(&error).then_some(error)
        }
        _ => None,
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
