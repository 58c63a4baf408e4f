//! What signing in asks of the world: a place that keeps users, a slow hash, tokens that can't be made by others.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::lockout::Lockout;
use super::password::PasswordHash;
use super::user::{Account, User};
use super::value::{Email, RefreshToken};
use crate::domain::error::Result;
use crate::domain::id::UserId;

/// Keeps users and their sessions. A deleted user is as good as absent for every operation.
pub trait UserStore: Send + Sync + 'static {
    /// The user of an id.
    fn find(&self, id: UserId) -> impl Future<Output = Result<Option<User>>> + Send;

    /// The user of an e-mail address, to sign in.
    fn find_by_email(&self, email: &Email) -> impl Future<Output = Result<Option<Account>>> + Send;

    /// The attempts of a user that failed, as they are now.
    fn lockout(&self, id: UserId) -> impl Future<Output = Result<Option<Lockout>>> + Send;

    /// Moves the attempts on from what the caller knows; `false` when they are not that any more.
    fn count_attempt(
        &self,
        id: UserId,
        known: Lockout,
        next: Lockout,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Adds a user; [`AlreadyExists`](crate::domain::Error::AlreadyExists) when its e-mail address is in use.
    fn insert(&self, user: &User, hash: &PasswordHash) -> impl Future<Output = Result<()>> + Send;

    /// Opens a session and forgets the attempts that failed; `false` when the user is not active any more.
    fn open_session(&self, session: &NewSession<'_>) -> impl Future<Output = Result<bool>> + Send;

    /// Puts a new token in the place of one that is good. Of several who come with one token, one gets its successor,
    /// and the others end the session.
    fn rotate(
        &self,
        token: &RefreshToken,
        successor: &Successor<'_>,
    ) -> impl Future<Output = Result<Rotation>> + Send;

    /// Ends the session of a token, if there is one.
    fn revoke(
        &self,
        token: &RefreshToken,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Identifier.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// Its first token.
    pub first: Successor<'a>,
    /// From where the user signs in.
    pub from: Option<IpAddr>,
}

/// The next refresh token of a session.
#[derive(Clone, Debug)]
pub struct Successor<'a> {
    /// The token.
    pub token: &'a RefreshToken,
    /// When it is made.
    pub now: OffsetDateTime,
    /// Until when it is good.
    pub expires_at: OffsetDateTime,
}

/// What came of the exchange of a refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// It was good, and its successor is in its place; whose they are.
    Done(Box<User>),
    /// It is unknown or too old, its session was ended, or its user is not active.
    Refused,
    /// It was used before: the session is ended now.
    Reused,
}

/// Hashes passwords, slowly.
pub trait PasswordHasher: Send + Sync + 'static {
    /// What is to be kept of a password.
    fn hash(&self, password: &str) -> impl Future<Output = Result<PasswordHash>> + Send;

    /// Whether the password is the one of a hash. Without a hash it is not, which takes as long.
    fn verify(
        &self,
        password: &str,
        hash: Option<&PasswordHash>,
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// Makes tokens.
pub trait Tokens: Send + Sync + 'static {
    /// A signed token that says who a user is and what it may do; `id` is the token's own name.
    fn access(
        &self,
        user: &User,
        scopes: &[String],
        now: OffsetDateTime,
        id: Uuid,
    ) -> Result<AccessToken>;

    /// A token that nobody can guess.
    fn refresh(&self) -> Result<RefreshToken>;
}

/// A signed token.
#[derive(Clone)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// For how long it is good.
    pub expires_in: Duration,
}
