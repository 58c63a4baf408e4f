//! The table `audit_log`. The record of a change is written by the statement that makes the change; here are the others.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::from_sqlx;
use crate::domain::error::Result;
use crate::domain::{Error, Event, audit};

/// What a column takes at most, in characters.
const LONGEST: usize = 500;

/// A record, by the names of the columns.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    #[serde(serialize_with = "as_text")]
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    time: OffsetDateTime,
    request_id: String,
    trace_id: Option<String>,
    actor: Option<String>,
    scopes: Vec<String>,
    peer: Option<IpAddr>,
    user_agent: Option<String>,
    rpc: &'static str,
    resource: Option<String>,
    outcome: &'static str,
    fields: Vec<&'static str>,
    duration_us: i64,
}

impl Record {
    /// The record of a call that ended in some way; `outcome` is the name of a gRPC code.
    pub fn new(id: Uuid, call: &audit::Call, outcome: &'static str, duration: Duration) -> Self {
        let kept = |text: &Option<String>| text.as_deref().map(|text| kept(text).into_owned());
        Self {
            id,
            time: call.time,
            request_id: call.request_id.clone(),
            trace_id: call.trace_id.clone(),
            actor: kept(&call.actor),
            scopes: call.scopes.clone(),
            peer: call.peer,
            user_agent: kept(&call.user_agent),
            rpc: call.rpc,
            resource: call
                .resource
                .get()
                .map(|text| self::kept(text).into_owned()),
            outcome,
            fields: Vec::new(),
            duration_us: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// The record of the call that makes a change, as JSON; nothing when no audit log is kept.
    pub(super) fn of_change(event: &Event) -> Result<Option<String>> {
        let Some(call) = &event.cause.audit else {
            return Ok(None);
        };
        // Until the change was made: the statement that makes it can't say how long it takes.
        let elapsed = Duration::try_from(event.time - call.time).unwrap_or_default();
        let record = Self {
            resource: Some(event.change.product_id().to_string()),
            fields: event.change.fields(),
            ..Self::new(event.id, call, "OK", elapsed)
        };
        let json = serde_json::to_string(&record);
        json.map(Some)
            .map_err(|error| Error::Internal(error.into()))
    }
}

fn as_text<S: Serializer>(id: &Uuid, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// A text as the table takes it.
fn kept(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.contains('\0') {
        return text.into();
    }
    let clean = text.chars().take(LONGEST);
    clean
        .map(|c| if c == '\0' { '\u{fffd}' } else { c })
        .collect()
}

/// Which records are wanted, the latest first.
#[derive(Clone, Debug)]
pub struct Search {
    /// Not before this.
    pub since: OffsetDateTime,
    /// Of this caller only.
    pub actor: Option<String>,
    /// About this only.
    pub resource: Option<String>,
    /// How many at most.
    pub limit: i64,
}

/// A record that was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// When the call came.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Its id.
    pub request_id: String,
    /// Its trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Who called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What the caller might do.
    pub scopes: Vec<String>,
    /// Where the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What the caller's program says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What was called.
    pub rpc: String,
    /// What it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// How it ended: the name of a gRPC code.
    pub outcome: String,
    /// The fields that it changed.
    pub fields: Vec<String>,
    /// How long it took, in microseconds.
    pub duration_us: i64,
}

/// The table `audit_log`.
#[derive(Clone, Debug)]
pub struct PgAudit {
    pool: PgPool,
}

impl PgAudit {
    /// The audit log of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Adds records. Those that are there already stay as they are.
    pub async fn append(&self, records: &[Record]) -> Result<()> {
        let json = serde_json::to_string(records).map_err(|error| Error::Internal(error.into()))?;
        sqlx::query!(
            "INSERT INTO audit_log
             SELECT (jsonb_populate_recordset(NULL::audit_log, $1::text::jsonb)).*
             ON CONFLICT DO NOTHING",
            json
        )
        .execute(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(())
    }

    /// The records that are wanted.
    pub async fn list(&self, search: &Search) -> Result<Vec<Found>> {
        sqlx::query_as!(
            Found,
            r#"SELECT time, request_id, trace_id, actor, scopes, host(peer) AS peer, user_agent, rpc, resource, outcome,
                      fields, duration_us
                 FROM audit_log
                WHERE time >= $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR resource = $3)
                ORDER BY time DESC, id DESC
                LIMIT $4"#,
            search.since,
            search.actor.as_deref(),
            search.resource.as_deref(),
            search.limit
        )
        .fetch_all(&self.pool)
        .await
        .map_err(from_sqlx)
    }

    /// Forgets records that are older than `retention`, at most `limit`; gives their number.
    pub async fn forget(&self, retention: Duration, limit: i32) -> Result<i64> {
        let row = sqlx::query!(
            r#"SELECT prune_audit_log(now() - make_interval(secs => $1), $2) AS "count!""#,
            retention.as_secs_f64(),
            limit
        )
        .fetch_one(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(row.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_cleaned() {
        assert_eq!(kept("curl/8"), "curl/8");
        assert_eq!(kept("a\0b"), "a\u{fffd}b");
        assert_eq!(kept(&"ä".repeat(LONGEST + 1)).chars().count(), LONGEST);
    }
}
