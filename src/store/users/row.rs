//! A row of `users`: between what is stored, encrypted, and a user.

use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::domain::UserId;
use crate::domain::error::{Error, Result};
use crate::domain::identity::{
    Account, Email, Lockout, PasswordHash, PersonName, Phone, User, UserStatus,
};
use crate::pii::{Keyring, Place};

/// A row as it is stored.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) email: Vec<u8>,
    pub(super) password_hash: String,
    pub(super) first_name: Option<Vec<u8>>,
    pub(super) last_name: Option<Vec<u8>>,
    pub(super) phone: Option<Vec<u8>>,
    pub(super) status: String,
    pub(super) roles: Vec<String>,
    pub(super) failed_login_attempts: i32,
    pub(super) locked_until: Option<OffsetDateTime>,
    pub(super) last_login_at: Option<OffsetDateTime>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
}

/// The users that are not deleted and meet a condition.
macro_rules! select_users {
    ($condition:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, email, password_hash, first_name, last_name, phone, status, roles, failed_login_attempts,
                    locked_until, last_login_at, created_at, updated_at
               FROM users WHERE deleted_at IS NULL AND " + $condition,
            $($argument),*
        )
    };
}
pub(super) use select_users;

impl Row {
    /// The user, with its personal data decrypted.
    pub(super) fn into_account(self, keyring: &Keyring) -> Result<Account> {
        let sealer = Sealer::new(keyring, self.id);
        let email = Email::parse(&sealer.open("email", &self.email)?);
        let first_name = sealer.open_opt("first_name", self.first_name.as_deref())?;
        let last_name = sealer.open_opt("last_name", self.last_name.as_deref())?;
        let phone = sealer.open_opt("phone", self.phone.as_deref())?;
        let utc = |time: OffsetDateTime| time.to_offset(UtcOffset::UTC);
        Ok(Account {
            user: User {
                id: UserId::new(self.id),
                email: email.map_err(|message| corrupt("email", message))?,
                first_name: (first_name.map(PersonName::parse).transpose())
                    .map_err(|message| corrupt("first_name", message))?,
                last_name: (last_name.map(PersonName::parse).transpose())
                    .map_err(|message| corrupt("last_name", message))?,
                phone: (phone.map(Phone::parse).transpose())
                    .map_err(|message| corrupt("phone", message))?,
                status: UserStatus::parse(&self.status)
                    .ok_or_else(|| corrupt("status", "is unknown"))?,
                roles: self.roles,
                last_login_at: self.last_login_at.map(utc),
                created_at: utc(self.created_at),
                updated_at: utc(self.updated_at),
            },
            password_hash: PasswordHash::new(self.password_hash),
            lockout: Lockout {
                attempts: self.failed_login_attempts,
                until: self.locked_until,
            },
        })
    }
}

/// Encrypts and decrypts the columns of one row.
pub(super) struct Sealer<'a> {
    keyring: &'a Keyring,
    row: Uuid,
}

impl<'a> Sealer<'a> {
    pub(super) const fn new(keyring: &'a Keyring, row: Uuid) -> Self {
        Self { keyring, row }
    }

    const fn place(&self, column: &'static str) -> Place {
        Place {
            table: "users",
            column,
            row: self.row,
        }
    }

    pub(super) fn seal(&self, column: &'static str, value: &str) -> Result<Vec<u8>> {
        let sealed = self.keyring.encrypt(&self.place(column), value);
        sealed.map_err(|error| Error::Internal(error.into()))
    }

    pub(super) fn seal_opt(
        &self,
        column: &'static str,
        value: Option<&str>,
    ) -> Result<Option<Vec<u8>>> {
        value.map(|value| self.seal(column, value)).transpose()
    }

    pub(super) fn open(&self, column: &'static str, stored: &[u8]) -> Result<String> {
        let opened = self.keyring.decrypt(&self.place(column), stored);
        opened.map_err(|error| corrupt(column, error))
    }

    pub(super) fn open_opt(
        &self,
        column: &'static str,
        stored: Option<&[u8]>,
    ) -> Result<Option<String>> {
        stored.map(|stored| self.open(column, stored)).transpose()
    }
}

/// A row that can't be read, or does not keep the rules of the domain.
fn corrupt(column: &'static str, message: impl std::fmt::Display) -> Error {
    Error::Internal(format!("users.{column} of a stored row: {message}").into())
}
