//! How many requests a caller may make in a minute, counted over all replicas together.
//!
//! A caller has a [`budget`](budget::Budget) for each window of a minute. Replicas take parts of it from Redis
//! ([`shared`]), in blocks and ahead of need, and give them out by themselves: a request costs a look into memory. Without
//! Redis each replica counts alone, and tells when it is back.

mod budget;
mod caller;
pub(crate) mod quota;
mod shared;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use transcode::RateClass;

use budget::{Ask, Budget, Draw};
pub use caller::Caller;
use caller::{Key, OwnedKey};
pub use quota::Quota;
use shared::Shared;

use crate::domain::Environment;
use crate::redis::Redis;

/// How long a window is, in seconds.
const WINDOW: u64 = 60;

/// For how many seconds Redis is left alone after it failed.
const PAUSE: u64 = 2;

/// Most callers that are known at a time. Of one that is forgotten what it had leased is lost to it until the window
/// ends, and nothing else.
const MOST_CALLERS: usize = 100_000;

/// What a caller may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests in a minute.
    pub requests_per_minute: u32,
    /// Requests of the class of reads, apart from the others.
    pub read_requests_per_minute: Option<u32>,
    /// Requests of the class of writes, apart from the others.
    pub write_requests_per_minute: Option<u32>,
    /// What keys in Redis begin with.
    pub prefix: String,
    /// Longest wait for Redis.
    pub longest_wait: Duration,
}

/// The budgets of all callers. Clones share them.
pub struct RateLimits<E>(Arc<Inner<E>>);

struct Inner<E> {
    settings: Settings,
    shared: Option<Shared>,
    environment: E,
    callers: Cache<OwnedKey, Arc<Account>>,
}

impl<E> Clone for RateLimits<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What is known of a caller.
struct Account {
    /// The key of its budgets in Redis, but for the window.
    key: String,
    limit: u32,
    /// By how many seconds its windows begin before the minutes of the clock do, so that they do not all begin at once.
    offset: u64,
    state: Mutex<State>,
    /// An answer of Redis was taken, or there is none.
    answered: Notify,
}

#[derive(Default)]
struct State {
    budget: Budget,
    /// Until when Redis is not asked, in seconds of the clock.
    alone_until: u64,
}

impl Account {
    fn new(prefix: &str, name: &str, limit: u32, caller: Caller<'_>) -> Self {
        let caller = caller.text();
        Self {
            offset: u64::from(crc32fast::hash(caller.as_bytes())) % WINDOW,
            key: format!("{prefix}:rate:{name}:{caller}"),
            limit,
            state: Mutex::default(),
            answered: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Environment> RateLimits<E> {
    /// Limits that the replicas share by way of Redis, where there is one.
    pub fn new(settings: Settings, redis: Option<Redis>, environment: E) -> Self {
        Self(Arc::new(Inner {
            settings,
            shared: redis.map(|redis| Shared::new(redis, WINDOW)),
            environment,
            callers: Cache::new(MOST_CALLERS),
        }))
    }

    /// Takes a request from the budget of a caller. Waits for Redis only when it is used up as far as is known here, and
    /// then not for long.
    pub async fn draw(&self, caller: Caller<'_>, class: RateClass, now: OffsetDateTime) -> Quota {
        let account = self.account(caller, class);
        if let Some(quota) = self.attempt(&account, now) {
            return quota;
        }
        // Apart, as it is seldom and would make every call larger.
        Box::pin(self.wait(&account, now)).await
    }

    async fn wait(&self, account: &Arc<Account>, now: OffsetDateTime) -> Quota {
        let end = Instant::now() + self.0.settings.longest_wait;
        loop {
            // Listens before it looks, so that no answer comes in between.
            let answered = account.answered.notified();
            account.lock().budget.waited();
            if let Some(quota) = self.attempt(account, now) {
                return quota;
            }
            if timeout_at(end, answered).await.is_err() {
                break;
            }
        }
        let mut state = account.lock();
        state.budget.waited();
        let open = state.budget.draw(account.limit, true) == Draw::Allowed;
        account.quota(&state, now, open)
    }

    /// Decides on a request, unless it has to wait, and asks Redis for more where that is due.
    fn attempt(&self, account: &Arc<Account>, now: OffsetDateTime) -> Option<Quota> {
        let seconds = now.unix_timestamp().unsigned_abs();
        let mut state = account.lock();
        state
            .budget
            .enter((seconds + account.offset) / WINDOW, account.limit);
        let shared = self
            .0
            .shared
            .as_ref()
            .filter(|_| seconds >= state.alone_until);
        let draw = state.budget.draw(account.limit, shared.is_none());
        let ask = shared.and_then(|_| state.budget.ask(account.limit));
        let quota = match draw {
            Draw::Wait => None,
            draw => Some(account.quota(&state, now, draw == Draw::Allowed)),
        };
        drop(state);
        if let Some(ask) = ask {
            let (limits, account) = (self.clone(), account.clone());
            tokio::spawn(async move { limits.lease(&account, ask).await });
        }
        quota
    }

    async fn lease(&self, account: &Account, ask: Ask) {
        let Some(shared) = &self.0.shared else {
            return;
        };
        let answer = shared.lease(&account.key, ask, account.limit).await;
        let mut state = account.lock();
        match answer {
            Ok(grant) => state.budget.take(ask, grant, account.limit),
            Err(error) => {
                tracing::debug!(%error, "a budget is counted by this replica alone");
                let now = self.0.environment.now().unix_timestamp().unsigned_abs();
                state.alone_until = now + PAUSE;
                state.budget.give_up(ask);
            }
        }
        drop(state);
        account.answered.notify_waiters();
    }

    fn account(&self, caller: Caller<'_>, class: RateClass) -> Arc<Account> {
        let settings = &self.0.settings;
        let apart = match class {
            RateClass::Default => None,
            RateClass::Read => settings
                .read_requests_per_minute
                .map(|limit| (1, "read", limit)),
            RateClass::Write => settings
                .write_requests_per_minute
                .map(|limit| (2, "write", limit)),
        };
        let (number, name, limit) = apart.unwrap_or((0, "default", settings.requests_per_minute));
        let key = Key(number, caller);
        if let Some(account) = self.0.callers.get(&key) {
            return account;
        }
        let make = || {
            Ok::<_, std::convert::Infallible>(Arc::new(Account::new(
                &settings.prefix,
                name,
                limit,
                caller,
            )))
        };
        let Ok(account) = self
            .0
            .callers
            .get_or_insert_with(&OwnedKey::from(key), make);
        account
    }
}

impl Account {
    fn quota(&self, state: &State, now: OffsetDateTime, open: bool) -> Quota {
        let seconds = now.unix_timestamp().unsigned_abs();
        let left = WINDOW - (seconds + self.offset) % WINDOW;
        Quota {
            open,
            limit: self.limit,
            remaining: if open {
                state.budget.remaining(self.limit)
            } else {
                0
            },
            #[expect(clippy::cast_possible_truncation, reason = "at most a window")]
            reset: left as u32,
        }
    }
}

#[cfg(test)]
mod tests;
