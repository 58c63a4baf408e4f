//! A user, and how it begins.

use time::OffsetDateTime;

use super::lockout::Lockout;
use super::password::PasswordHash;
use super::value::{Email, PersonName, Phone};
use crate::domain::id::UserId;

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// May sign in.
    #[default]
    Active,
    /// May not sign in at present.
    Inactive,
    /// Was barred from signing in.
    Suspended,
}

impl UserStatus {
    /// The name of the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }

    /// The status of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Suspended]
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// Whether sessions are opened, and go on.
    pub const fn may_sign_in(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// E-mail address: unique among the users that are not deleted.
    pub email: Email,
    /// First name.
    pub first_name: Option<PersonName>,
    /// Last name.
    pub last_name: Option<PersonName>,
    /// Phone number.
    pub phone: Option<Phone>,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// What the user may do, by the names of roles.
    pub roles: Vec<String>,
    /// When the user signed in last.
    pub last_login_at: Option<OffsetDateTime>,
    /// When the user was created, in UTC and to the microsecond.
    pub created_at: OffsetDateTime,
    /// When the user last changed, in UTC and to the microsecond.
    pub updated_at: OffsetDateTime,
}

/// A user, with what is needed to let it sign in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// What is kept of its password.
    pub password_hash: PasswordHash,
    /// Its attempts that failed.
    pub lockout: Lockout,
}

/// What a caller gives to make a user.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// E-mail address.
    pub email: Email,
    /// First name.
    pub first_name: Option<PersonName>,
    /// Last name.
    pub last_name: Option<PersonName>,
    /// Phone number.
    pub phone: Option<Phone>,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// What the user may do.
    pub roles: Vec<String>,
}

impl NewUser {
    /// The user as it begins, with each of its roles once.
    pub fn into_user(self, id: UserId, now: OffsetDateTime) -> User {
        let mut roles = self.roles;
        roles.sort();
        roles.dedup();
        User {
            id,
            email: self.email,
            first_name: self.first_name,
            last_name: self.last_name,
            phone: self.phone,
            status: self.status,
            roles,
            last_login_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}
