//! Sessions and their refresh tokens, of which the hashes are stored.

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::PgPool;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::PgUsers;
use super::row::{Row, Sealer, select_users};
use crate::domain::error::Result;
use crate::domain::identity::{NewSession, RefreshToken, Rotation, Successor};
use crate::pii::Keyring;
use crate::store::error::from_sqlx;

/// A token is 256 random bits: nothing is gained by a slow hash or by salt.
fn hash(token: &RefreshToken) -> Vec<u8> {
    digest(&SHA256, token.as_str().as_bytes()).as_ref().to_vec()
}

pub(super) async fn open(
    pool: &PgPool,
    keyring: &Keyring,
    session: &NewSession<'_>,
) -> Result<bool> {
    let from = session.from.map(|ip| ip.to_string());
    let from =
        Sealer::new(keyring, session.user.uuid()).seal_opt("last_login_ip", from.as_deref())?;
    let done = sqlx::query!(
        "WITH signed_in AS (
             UPDATE users SET failed_login_attempts = 0, locked_until = NULL, last_login_at = $3, last_login_ip = $4
              WHERE id = $1 AND status = 'active' AND deleted_at IS NULL
             RETURNING id
         ), session AS (
             INSERT INTO sessions (id, user_id, created_at, expires_at) SELECT $2, id, $3, $5 FROM signed_in
             RETURNING id
         )
         INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) SELECT $6, id, $3, $5 FROM session",
        session.user.uuid(),
        session.id,
        session.first.now,
        from,
        session.first.expires_at,
        hash(session.first.token)
    )
    .execute(pool)
    .await
    .map_err(from_sqlx)?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn rotate(
    pool: &PgPool,
    keyring: &Keyring,
    token: &RefreshToken,
    successor: &Successor<'_>,
) -> Result<Rotation> {
    let mut transaction = pool.begin().await.map_err(from_sqlx)?;
    let rotation = rotate_in(&mut transaction, keyring, token, successor).await?;
    transaction.commit().await.map_err(from_sqlx)?;
    Ok(rotation)
}

async fn rotate_in(
    connection: &mut PgConnection,
    keyring: &Keyring,
    token: &RefreshToken,
    successor: &Successor<'_>,
) -> Result<Rotation> {
    let hash = hash(token);
    // Those who come with tokens of one session come one after the other: each statement after this one sees all that
    // the ones before have done.
    let session = sqlx::query!(
        "SELECT id, user_id, revoked_at FROM sessions
          WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)
            FOR NO KEY UPDATE",
        hash
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    let Some(session) = session else {
        return Ok(Rotation::Refused);
    };
    let found = sqlx::query!(
        "SELECT used_at, expires_at FROM refresh_tokens WHERE token_hash = $1",
        hash
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    if session.revoked_at.is_some() || found.expires_at <= successor.now {
        return Ok(Rotation::Refused);
    }
    if found.used_at.is_some() {
        end(connection, session.id, successor.now).await?;
        return Ok(Rotation::Reused);
    }
    let user = select_users!("id = $1 AND status = 'active'", session.user_id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(from_sqlx)?;
    let Some(user) = user else {
        return Ok(Rotation::Refused);
    };
    sqlx::query!(
        "WITH used AS (UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1),
              extended AS (UPDATE sessions SET expires_at = greatest(expires_at, $3) WHERE id = $4)
         INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES ($5, $4, $2, $3)",
        hash,
        successor.now,
        successor.expires_at,
        session.id,
        self::hash(successor.token)
    )
    .execute(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    Ok(Rotation::Done(Box::new(user.into_account(keyring)?.user)))
}

async fn end(connection: &mut PgConnection, session: Uuid, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE sessions SET revoked_at = $2 WHERE id = $1",
        session,
        now
    )
    .execute(connection)
    .await
    .map_err(from_sqlx)?;
    Ok(())
}

pub(super) async fn revoke(pool: &PgPool, token: &RefreshToken, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE sessions SET revoked_at = $2
          WHERE revoked_at IS NULL AND id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)",
        hash(token),
        now
    )
    .execute(pool)
    .await
    .map_err(from_sqlx)?;
    Ok(())
}

impl PgUsers {
    /// Forgets sessions and tokens that ended before `now`, at most `limit` of each; gives their number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self, now: OffsetDateTime, limit: i64) -> Result<u64> {
        let row = sqlx::query!(
            r#"WITH tokens AS (
                   DELETE FROM refresh_tokens WHERE token_hash IN (
                       SELECT token_hash FROM refresh_tokens WHERE expires_at < $1 LIMIT $2)
                   RETURNING session_id
               ), ended AS (
                   DELETE FROM sessions WHERE id IN (
                       SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)
                   RETURNING id
               )
               SELECT (SELECT count(*) FROM tokens) + (SELECT count(*) FROM ended) AS "count!""#,
            now,
            limit
        )
        .fetch_one(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(row.count.cast_unsigned())
    }
}
