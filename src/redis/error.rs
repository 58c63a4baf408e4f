//! What can go wrong with Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{ErrorKind, ServerError, Value};

/// A call that failed. All but `Refused` may succeed later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedisError {
    /// It is known to be away: nothing was sent.
    #[error("Redis is away: {0}")]
    Away(Cause),
    /// No answer in time; it may have been done all the same.
    #[error("Redis did not answer in {0:?}")]
    Timeout(Duration),
    /// The connection broke; it may have been done all the same.
    #[error("the connection to Redis broke: {0}")]
    Connection(Cause),
    /// The server cannot do it now: it is starting, a replica, out of memory or of disk.
    #[error("Redis cannot serve now: {0}")]
    NotNow(Cause),
    /// The server will not do it: a wrong type, no permission, a bad command, an answer that is none.
    #[error("Redis refused: {0}")]
    Refused(Cause),
}

/// What the connection or the server said; for people, and for the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(Arc<str>);

impl Cause {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a server says when it cannot do now what it could do later.
const NOT_NOW: &[&str] = &[
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "TRYAGAIN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
    "UNBLOCKED",
];

/// Those that another server may answer better: after a failover, or while a server starts.
const ELSEWHERE: &[&str] = &["LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY"];

impl RedisError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    pub(super) fn from_redis(error: &::redis::RedisError) -> Self {
        let cause = Cause::new(text(error));
        match error.kind() {
            ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed => Self::Connection(cause),
            _ if has_code(error, NOT_NOW) => Self::NotNow(cause),
            _ => Self::Refused(cause),
        }
    }

    pub(crate) fn unexpected(to: &str, value: &Value) -> Self {
        let kind = match value {
            Value::Nil => "nothing",
            Value::Int(_) => "a number",
            Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a text",
            Value::Array(_) => "a list",
            _ => "something else",
        };
        Self::Refused(Cause::new(format!("{to}: {kind} was not expected")))
    }
}

/// The error of one command of a pipeline.
impl From<ServerError> for RedisError {
    fn from(error: ServerError) -> Self {
        Self::from_redis(&error.into())
    }
}

/// Whether the connection should be made again, perhaps to another server.
pub(super) fn is_elsewhere(error: &::redis::RedisError) -> bool {
    has_code(error, ELSEWHERE)
}

fn has_code(error: &::redis::RedisError, codes: &[&str]) -> bool {
    server_error(error).is_some_and(|error| codes.contains(&error.code()))
}

/// What the server said; of a transaction that was not taken, of the first command that was not.
fn server_error(error: &::redis::RedisError) -> Option<ServerError> {
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.clone())
}

/// What the server said, in its own form, or what broke. One line, however many commands it is about.
fn text(error: &::redis::RedisError) -> String {
    match server_error(error) {
        Some(error) => match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        },
        None => error.to_string(),
    }
}
