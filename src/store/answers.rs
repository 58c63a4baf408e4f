//! Answers to calls that are to be made once. Those of changes are written with the change, in [`super::products`].

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::domain::receipt::CallId;
use crate::lifecycle::State;

/// How many old answers are removed at a time, and how often.
const BATCH: i64 = 1000;
const INTERVAL: Duration = Duration::from_mins(1);

/// The table `idempotency_keys`.
#[derive(Clone, Debug)]
pub struct PgAnswers {
    pool: PgPool,
}

/// An answer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Identifies what was asked for.
    pub request: Vec<u8>,
    /// gRPC code.
    pub code: i16,
    /// The message of an error.
    pub message: String,
    /// The response message, or the details of an error.
    pub body: Vec<u8>,
}

impl PgAnswers {
    /// The answers in a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The answer to a call, unless it is of `since` or before: then it is removed.
    pub async fn find(&self, id: &[u8], since: OffsetDateTime) -> Result<Option<StoredAnswer>> {
        let row = sqlx::query!(
            "SELECT request, code, message, body, created_at FROM idempotency_keys WHERE id = $1",
            id
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(from_sqlx)?;
        match row {
            Some(row) if row.created_at <= since => {
                sqlx::query!(
                    "DELETE FROM idempotency_keys WHERE id = $1 AND created_at <= $2",
                    id,
                    since
                )
                .execute(&self.pool)
                .await
                .map_err(from_sqlx)?;
                Ok(None)
            }
            row => Ok(row.map(|row| StoredAnswer {
                request: row.request,
                code: row.code,
                message: row.message,
                body: row.body,
            })),
        }
    }

    /// Keeps the answer to a call, unless there is one; tells whether it is kept.
    pub async fn keep(
        &self,
        call: &CallId,
        answer: &StoredAnswer,
        now: OffsetDateTime,
    ) -> Result<bool> {
        let done = sqlx::query!(
            "INSERT INTO idempotency_keys (id, rpc, request, code, message, body, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
            &call.id[..],
            call.operation,
            answer.request,
            answer.code,
            answer.message,
            answer.body,
            now
        )
        .execute(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes answers that are older than `age`, at most `limit` of them; gives their number.
    pub async fn forget(&self, age: Duration, limit: i64) -> Result<u64> {
        let done = sqlx::query!(
            "DELETE FROM idempotency_keys WHERE id IN (
                 SELECT id FROM idempotency_keys
                  WHERE created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2)",
            age.as_secs_f64(),
            limit
        )
        .execute(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(done.rows_affected())
    }

    /// Removes all answers that are older than `age`.
    async fn forget_all(&self, age: Duration) -> Result<()> {
        while self.forget(age, BATCH).await?.cast_signed() >= BATCH {}
        Ok(())
    }

    /// Removes answers that are older than `age`, from time to time, until the service stops.
    pub async fn keep_short(self, age: Duration, mut states: watch::Receiver<State>) {
        loop {
            // First of all too: a service that starts has enough to ask the database.
            tokio::time::sleep(INTERVAL.min(age)).await;
            let state = states.wait_for(|state| matches!(state, State::Ready | State::Stopping));
            if state.await.map_or(true, |state| *state == State::Stopping) {
                return;
            }
            if let Err(error) = self.forget_all(age).await {
                tracing::debug!(%error, "old answers were not removed");
            }
        }
    }
}
