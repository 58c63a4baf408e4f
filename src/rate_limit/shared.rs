//! Budgets in Redis, which the replicas share.

use ::redis::{Script, Value};

use super::budget::{Ask, Grant};
use crate::redis::{Redis, RedisError};

/// Counts what a replica owes and gives it a part of what is left: all that it wants, but not more than an eighth of it,
/// so that near the end none is left with what others need. Answers with the count and with what it gave.
const LEASE: &str = r"
local total = tonumber(redis.call('GET', KEYS[1]) or '0') + tonumber(ARGV[1])
local left = tonumber(ARGV[3]) - total
local granted = 0
if left > 0 then
  granted = math.min(tonumber(ARGV[2]), math.max(1, math.floor(left / 8)))
end
redis.call('SET', KEYS[1], total + granted, 'EX', ARGV[4])
return {total + granted, granted}
";

/// The counts of all callers.
pub(super) struct Shared {
    redis: Redis,
    lease: Script,
    /// After how many seconds a count is forgotten: when its window is over on all replicas, however their clocks differ.
    ttl: String,
}

impl Shared {
    pub fn new(redis: Redis, window: u64) -> Self {
        Self {
            redis,
            lease: Script::new(LEASE),
            ttl: (2 * window).to_string(),
        }
    }

    /// Asks for a part of the budget of a caller, in one round trip.
    pub async fn lease(&self, budget: &str, ask: Ask, limit: u32) -> Result<Grant, RedisError> {
        let key = format!("{budget}:{}", ask.window);
        let [owed, want, limit] = [ask.owed, ask.want, limit].map(|number| number.to_string());
        let args = [&owed, &want, &limit, &self.ttl].map(String::as_bytes);
        let answer = self.redis.script(&self.lease, &[&key], &args).await?;
        let number = |value: &Value| match value {
            Value::Int(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        match &answer {
            Value::Array(values) => match values.as_slice() {
                [total, granted] => number(total).zip(number(granted)),
                _ => None,
            },
            _ => None,
        }
        .map(|(total, granted)| Grant { total, granted })
        .ok_or_else(|| RedisError::unexpected("the lease of a budget", &answer))
    }
}
