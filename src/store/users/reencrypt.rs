//! Encrypting anew, so that keys can be taken away.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PgUsers;
use super::row::Sealer;
use crate::domain::error::Result;
use crate::pii::Keyring;
use crate::store::error::from_sqlx;

/// How many rows are looked for at a time.
const BATCH: i64 = 500;

impl PgUsers {
    /// Encrypts with the first key all that another one has encrypted, of deleted users too; gives the number of users.
    /// Others may read and write meanwhile.
    ///
    /// # Errors
    /// When the database fails, or a value can't be decrypted.
    pub async fn reencrypt(&self) -> Result<u64> {
        let prefix = self.keyring.current_prefix();
        let mut after = Uuid::nil();
        let mut count = 0;
        loop {
            let ids = sqlx::query_scalar!(
                "SELECT id FROM users
                  WHERE id > $1
                    AND (substr(email, 1, length($2::bytea)) <> $2 OR substr(first_name, 1, length($2)) <> $2
                      OR substr(last_name, 1, length($2)) <> $2 OR substr(phone, 1, length($2)) <> $2
                      OR substr(last_login_ip, 1, length($2)) <> $2)
                  ORDER BY id LIMIT $3",
                after,
                prefix,
                BATCH
            )
            .fetch_all(&self.pool)
            .await
            .map_err(from_sqlx)?;
            let Some(last) = ids.last() else {
                return Ok(count);
            };
            after = *last;
            for id in ids {
                let mut transaction = self.pool.begin().await.map_err(from_sqlx)?;
                count += reencrypt_row(&mut transaction, &self.keyring, id).await?;
                transaction.commit().await.map_err(from_sqlx)?;
            }
        }
    }
}

async fn reencrypt_row(connection: &mut PgConnection, keyring: &Keyring, id: Uuid) -> Result<u64> {
    let row = sqlx::query!(
        "SELECT email, first_name, last_name, phone, last_login_ip FROM users WHERE id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    let Some(row) = row else { return Ok(0) };
    let sealer = Sealer::new(keyring, id);
    let anew = |column, stored: Option<Vec<u8>>| {
        let value = sealer.open_opt(column, stored.as_deref())?;
        sealer.seal_opt(column, value.as_deref())
    };
    let email = sealer.open("email", &row.email)?;
    let done = sqlx::query!(
        "UPDATE users SET email = $2, email_index = $3, first_name = $4, last_name = $5, phone = $6, last_login_ip = $7
          WHERE id = $1",
        id,
        sealer.seal("email", &email)?,
        keyring.index(&email),
        anew("first_name", row.first_name)?,
        anew("last_name", row.last_name)?,
        anew("phone", row.phone)?,
        anew("last_login_ip", row.last_login_ip)?
    )
    .execute(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    Ok(done.rows_affected())
}
