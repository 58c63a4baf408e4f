//! Services that call, known by their Consul tokens.
//!
//! A token is shown to Consul with the question what it is. The answer is good for a short time, so that a token that
//! was taken back is soon refused; and for a longer one while Consul is away, so that callers who are known go on. Only
//! a digest of a token is kept.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use quick_cache::sync::Cache;
use time::{OffsetDateTime, PrimitiveDateTime};
use tokio::sync::{Mutex, Semaphore};

use super::{AuthError, Permissions, Principal, Rpcs};
use crate::domain::Environment;
use crate::registry::consul::{Consul, ConsulError, TokenInfo};

/// Most tokens that are remembered, good or bad.
const MOST: usize = 10_000;

/// Longest token; Consul's own are UUIDs.
const LONGEST_TOKEN: usize = 128;

/// The token that Consul takes strangers for.
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// Most questions to Consul at a time: those who guess tokens must not keep it busy.
const MOST_QUESTIONS: usize = 16;

/// Longest wait for an answer, a turn included.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest time that a refusal is remembered: a token may be new, and not have reached the agent yet.
const REFUSED: Duration = Duration::from_secs(5);

/// The pause between questions while Consul does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How long answers of Consul are good.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// While it can be asked.
    pub usual: Duration,
    /// While it does not answer.
    pub away: Duration,
}

/// Checks the Consul tokens of callers.
#[derive(Debug)]
pub struct Services<E> {
    consul: Consul,
    environment: E,
    permissions: Permissions,
    lifetimes: Lifetimes,
    known: Cache<Digest, Arc<Token>>,
    questions: Semaphore,
    /// Whether the last question had no answer, and when it was asked, in milliseconds.
    away: AtomicBool,
    asked: AtomicI64,
}

type Digest = [u8; 32];

/// What is known of a token.
#[derive(Debug, Default)]
struct Token {
    answer: RwLock<Option<Answer>>,
    /// Held by the one who asks.
    asking: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Answer {
    at: OffsetDateTime,
    caller: Result<Arc<Principal>, AuthError>,
}

impl<E: Environment> Services<E> {
    /// Services that may call what a matrix says.
    pub fn new(
        consul: Consul,
        environment: E,
        permissions: Permissions,
        lifetimes: Lifetimes,
    ) -> Self {
        Self {
            consul,
            environment,
            permissions,
            lifetimes,
            known: Cache::new(MOST),
            questions: Semaphore::new(MOST_QUESTIONS),
            away: AtomicBool::new(false),
            asked: AtomicI64::new(0),
        }
    }

    /// Waits until the token of a caller who stays is no longer good, and says why.
    pub async fn ended(&self, token: &str) -> AuthError {
        loop {
            tokio::time::sleep(self.lifetimes.usual).await;
            if let Err(error) = self.verify(token).await {
                return error;
            }
        }
    }

    /// The service that a token stands for.
    ///
    /// # Errors
    /// When it stands for none; [`AuthError::Unavailable`] when nobody can tell.
    pub async fn verify(&self, token: &str) -> Result<Arc<Principal>, AuthError> {
        let now = self.environment.now();
        // An empty one would never be asked about: the agent takes its own instead.
        let is_token = (1..=LONGEST_TOKEN).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(AuthError::Malformed);
        }
        let mut key: Digest = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let known = match self.known.get(&key) {
            Some(known) => known,
            None => (self.known).get_or_insert_with(&key, || Ok::<_, AuthError>(Arc::default()))?,
        };
        if let Some(caller) = self.fresh(&known, now) {
            return caller;
        }
        let ask = tokio::time::timeout(PATIENCE, self.ask(&known, token, now)).await;
        let caller = match ask {
            Ok(caller) => caller,
            Err(_) => self.old(&known, now),
        };
        caller.and_then(|caller| in_time(caller, now))
    }

    /// What Consul said not long ago.
    fn fresh(
        &self,
        token: &Token,
        now: OffsetDateTime,
    ) -> Option<Result<Arc<Principal>, AuthError>> {
        let answer = token.answer.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answer.as_ref()?;
        let lifetime = match answer.caller {
            Ok(_) => self.lifetimes.usual,
            Err(_) => self.lifetimes.usual.min(REFUSED),
        };
        (now - answer.at < lifetime).then(|| match &answer.caller {
            Ok(caller) => in_time(caller.clone(), now),
            Err(error) => Err(*error),
        })
    }

    /// What Consul said before it went away.
    fn old(&self, token: &Token, now: OffsetDateTime) -> Result<Arc<Principal>, AuthError> {
        let answer = token.answer.read().unwrap_or_else(PoisonError::into_inner);
        match &*answer {
            Some(Answer {
                at,
                caller: Ok(caller),
            }) if now - *at < self.lifetimes.away => Ok(caller.clone()),
            _ => Err(AuthError::Unavailable),
        }
    }

    /// Asks Consul, one at a time for a token.
    async fn ask(
        &self,
        known: &Token,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Arc<Principal>, AuthError> {
        let _asking = known.asking.lock().await;
        if let Some(caller) = self.fresh(known, now) {
            return caller;
        }
        let milliseconds = milliseconds(now);
        let pause = i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX);
        if self.away.load(Ordering::Relaxed)
            && milliseconds - self.asked.load(Ordering::Relaxed) < pause
        {
            return self.old(known, now);
        }
        let turn = self.questions.acquire().await;
        let info = self.consul.token_self(token, PATIENCE).await;
        drop(turn);
        let caller = match info {
            Ok(info) => self.caller(&info),
            Err(ConsulError::Refused { status, .. }) if status == StatusCode::UNAUTHORIZED => {
                Err(AuthError::NoAccessControl)
            }
            Err(ConsulError::Refused { status, .. })
                if status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND =>
            {
                Err(AuthError::UnknownToken)
            }
            Err(error) => {
                self.asked.store(milliseconds, Ordering::Relaxed);
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Consul does not tell who calls: only services that are known get in");
                }
                return self.old(known, now);
            }
        };
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("Consul tells again who calls");
        }
        let answer = Answer {
            at: now,
            caller: caller.clone(),
        };
        *known.answer.write().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        caller
    }

    /// The caller that a token stands for, by the names of its services, its roles and its policies.
    fn caller(&self, info: &TokenInfo) -> Result<Arc<Principal>, AuthError> {
        if info.accessor_id == ANONYMOUS {
            return Err(AuthError::UnknownToken);
        }
        let here = |datacenters: &Option<Vec<String>>| {
            let mut datacenters = datacenters.iter().flatten().peekable();
            datacenters.peek().is_none() || datacenters.any(|name| name == self.consul.datacenter())
        };
        let services = info.service_identities.iter().flatten();
        let services = services.filter(|service| here(&service.datacenters));
        let services = services.map(|service| &*service.service_name);
        let named = info.roles.iter().chain(&info.policies).flatten();
        let names = services.chain(named.map(|named| &*named.name));
        let (subject, rpcs) = match self.permissions.of(names) {
            Some((name, rpcs)) => (format!("service:{name}"), rpcs),
            // Known to Consul, and allowed nothing here.
            None => (
                format!("consul-token:{}", info.accessor_id),
                Rpcs::default(),
            ),
        };
        Ok(Arc::new(Principal {
            subject,
            scopes: Vec::new(),
            roles: Vec::new(),
            rpcs: Some(rpcs),
            expires_at: (info.expiration_time).unwrap_or(PrimitiveDateTime::MAX.assume_utc()),
        }))
    }
}

fn in_time(caller: Arc<Principal>, now: OffsetDateTime) -> Result<Arc<Principal>, AuthError> {
    if now < caller.expires_at {
        Ok(caller)
    } else {
        Err(AuthError::Expired)
    }
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
