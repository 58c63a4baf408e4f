//! Users and their sessions in PostgreSQL, personal data encrypted.

mod reencrypt;
mod row;
mod sessions;

use std::sync::Arc;

use sqlx::PgPool;
use time::OffsetDateTime;

use super::error::{already_exists, from_sqlx};
use crate::domain::UserId;
use crate::domain::error::Result;
use crate::domain::identity::{
    Account, Email, Lockout, NewSession, PasswordHash, PersonName, Phone, RefreshToken, Rotation,
    Successor, User, UserStore,
};
use crate::pii::Keyring;
use row::{Row, Sealer, select_users};

/// Held while a user is added. The unique index knows what one key makes of an address; while keys are exchanged, the
/// others are looked for first, and nobody may come in between.
const ADDING: i64 = 0x6361_7461_7573_6572;

/// The tables `users`, `sessions` and `refresh_tokens`.
#[derive(Clone, Debug)]
pub struct PgUsers {
    pool: PgPool,
    keyring: Arc<Keyring>,
}

impl PgUsers {
    /// The users of a database, whose personal data `keyring` encrypts.
    pub const fn new(pool: PgPool, keyring: Arc<Keyring>) -> Self {
        Self { pool, keyring }
    }
}

impl UserStore for PgUsers {
    async fn find(&self, id: UserId) -> Result<Option<User>> {
        let row = select_users!("id = $1", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(from_sqlx)?;
        let account = row.map(|row| row.into_account(&self.keyring)).transpose()?;
        Ok(account.map(|account| account.user))
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>> {
        let indexes = self.keyring.indexes(email.as_str());
        let row = select_users!("email_index = ANY($1)", &indexes)
            .fetch_optional(&self.pool)
            .await
            .map_err(from_sqlx)?;
        row.map(|row| row.into_account(&self.keyring)).transpose()
    }

    async fn lockout(&self, id: UserId) -> Result<Option<Lockout>> {
        let row = sqlx::query!(
            "SELECT failed_login_attempts, locked_until FROM users WHERE id = $1 AND deleted_at IS NULL",
            id.uuid()
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(row.map(|row| Lockout {
            attempts: row.failed_login_attempts,
            until: row.locked_until,
        }))
    }

    async fn count_attempt(&self, id: UserId, known: Lockout, next: Lockout) -> Result<bool> {
        let done = sqlx::query!(
            "UPDATE users SET failed_login_attempts = $4, locked_until = $5
              WHERE id = $1 AND failed_login_attempts = $2 AND locked_until IS NOT DISTINCT FROM $3
                AND deleted_at IS NULL",
            id.uuid(),
            known.attempts,
            known.until,
            next.attempts,
            next.until
        )
        .execute(&self.pool)
        .await
        .map_err(from_sqlx)?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert(&self, user: &User, hash: &PasswordHash) -> Result<()> {
        let sealer = Sealer::new(&self.keyring, user.id.uuid());
        let email = sealer.seal("email", user.email.as_str())?;
        let first_name = sealer.seal_opt(
            "first_name",
            user.first_name.as_ref().map(PersonName::as_str),
        )?;
        let last_name =
            sealer.seal_opt("last_name", user.last_name.as_ref().map(PersonName::as_str))?;
        let phone = sealer.seal_opt("phone", user.phone.as_ref().map(Phone::as_str))?;
        let indexes = self.keyring.indexes(user.email.as_str());
        let mut transaction = self.pool.begin().await.map_err(from_sqlx)?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADDING)
            .execute(&mut *transaction)
            .await
            .map_err(from_sqlx)?;
        let done = sqlx::query!(
            "INSERT INTO users (id, email, email_index, password_hash, first_name, last_name, phone, status, roles,
                 created_at, updated_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
              WHERE NOT EXISTS (SELECT FROM users WHERE email_index = ANY($12) AND deleted_at IS NULL)",
            user.id.uuid(),
            email,
            self.keyring.index(user.email.as_str()),
            hash.expose(),
            first_name,
            last_name,
            phone,
            user.status.as_str(),
            &user.roles,
            user.created_at,
            user.updated_at,
            &indexes
        )
        .execute(&mut *transaction)
        .await
        .map_err(from_sqlx)?;
        transaction.commit().await.map_err(from_sqlx)?;
        if done.rows_affected() == 0 {
            return Err(already_exists("user", "e-mail address"));
        }
        Ok(())
    }

    async fn open_session(&self, session: &NewSession<'_>) -> Result<bool> {
        sessions::open(&self.pool, &self.keyring, session).await
    }

    async fn rotate(&self, token: &RefreshToken, successor: &Successor<'_>) -> Result<Rotation> {
        sessions::rotate(&self.pool, &self.keyring, token, successor).await
    }

    async fn revoke(&self, token: &RefreshToken, now: OffsetDateTime) -> Result<()> {
        sessions::revoke(&self.pool, token, now).await
    }
}
