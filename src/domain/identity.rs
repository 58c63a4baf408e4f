//! Users: who they are, how they sign in, and what they may do.

pub mod lockout;
pub mod password;
pub mod ports;
pub mod roles;
pub mod user;
pub mod value;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use time::OffsetDateTime;

use super::error::{Error, Result};
use super::id::UserId;
use super::ports::Environment;

pub use lockout::Lockout;
pub use password::{PasswordHash, check_password};
pub use ports::{NewSession, PasswordHasher, Rotation, Successor, Tokens, UserStore};
pub use roles::{Granter, Roles, UnknownScope};
pub use user::{Account, NewUser, User, UserStatus};
pub use value::{Email, PersonName, Phone, RefreshToken};

/// The scope of every access token that is made here: it lets users read what is known of themselves.
pub const SELF_SCOPE: &str = "identity:self";

/// How often an attempt to sign in is counted anew because others were counted meanwhile.
const ATTEMPTS: u32 = 30;

/// What a caller is told whose sign-in is refused, whatever the reason.
const REFUSED: &str = "Wrong e-mail address or password, or too many attempts";

/// What a caller is told whose refresh token is refused, whatever the reason.
const REFRESH_REFUSED: &str = "Invalid or expired refresh token";

/// What a caller gets who signs in, or comes back with a refresh token.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The signed token that calls are made with.
    pub access_token: String,
    /// The token that is exchanged for the next ones.
    pub refresh_token: RefreshToken,
    /// For how long the access token is good.
    pub expires_in: Duration,
}

/// The users, over a store, a hash of passwords, a maker of tokens and an environment.
#[derive(Debug)]
pub struct Identity<S, H, T, E> {
    store: S,
    passwords: H,
    tokens: T,
    environment: E,
    roles: Arc<Roles>,
    refresh_ttl: Duration,
}

impl<S: UserStore, H: PasswordHasher, T, E: Environment> Identity<S, H, T, E> {
    /// Users who have `roles`, and whose refresh tokens are good for `refresh_ttl`.
    pub const fn new(
        store: S,
        passwords: H,
        tokens: T,
        environment: E,
        roles: Arc<Roles>,
        refresh_ttl: Duration,
    ) -> Self {
        Self {
            store,
            passwords,
            tokens,
            environment,
            roles,
            refresh_ttl,
        }
    }

    /// The user of an id.
    pub async fn get(&self, id: UserId) -> Result<User> {
        let user = self.store.find(id).await?;
        user.ok_or_else(|| Error::NotFound {
            resource: "user",
            id: id.to_string(),
        })
    }

    /// Makes a user with a password.
    pub async fn create(&self, granter: Granter<'_>, new: NewUser, password: &str) -> Result<User> {
        check_password(password, &new.email)
            .map_err(|message| Error::invalid("password", message))?;
        self.roles.check_grant(granter, &new.roles)?;
        let hash = self.passwords.hash(password).await?;
        let id = UserId::new(self.environment.new_uuid());
        let user = new.into_user(id, self.environment.now());
        self.store.insert(&user, &hash).await?;
        Ok(user)
    }
}

impl<S: UserStore, H: PasswordHasher, T: Tokens, E: Environment> Identity<S, H, T, E> {
    /// Opens a session for the user of an e-mail address. Whatever is wrong, a password is hashed and the answer is the
    /// same: nobody learns from it which addresses are known.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<Grant> {
        let now = self.environment.now();
        let account = match Email::parse(email) {
            Ok(email) => self.store.find_by_email(&email).await?,
            Err(_) => None,
        };
        let count = async {
            match &account {
                Some(account) => self.count_attempt(account, now).await,
                None => Ok(false),
            }
        };
        // At the same time: the statement that counts takes no time beside the hash.
        let hash = account.as_ref().map(|account| &account.password_hash);
        let (counted, right) = join(count, self.passwords.verify(password, hash)).await;
        let (counted, right) = (counted?, right?);
        let refused = |reason| Error::Unauthenticated {
            message: REFUSED,
            reason,
        };
        let Some(account) = account else {
            return Err(refused("no such user"));
        };
        if !counted {
            return Err(refused("the user is locked out"));
        }
        if !right {
            return Err(refused("the password is wrong"));
        }
        if !account.user.status.may_sign_in() {
            return Err(refused("the user is not active"));
        }
        let refresh = self.tokens.refresh()?;
        let session = NewSession {
            id: self.environment.new_uuid(),
            user: account.user.id,
            first: self.successor(&refresh, now),
            from,
        };
        if !self.store.open_session(&session).await? {
            return Err(refused("the user was changed meanwhile"));
        }
        self.grant(&account.user, refresh, now)
    }

    /// Counts an attempt to sign in as one that failed, which it is until its password is shown to be right: however many
    /// come at once, no more are tried than the lock-out allows. Tells whether the user is not locked out.
    async fn count_attempt(&self, account: &Account, now: OffsetDateTime) -> Result<bool> {
        let id = account.user.id;
        let mut known = account.lockout;
        for _ in 0..ATTEMPTS {
            let Some(next) = known.attempt(now) else {
                return Ok(false);
            };
            if self.store.count_attempt(id, known, next).await? {
                return Ok(true);
            }
            match self.store.lockout(id).await? {
                Some(current) => known = current,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Exchanges a refresh token for new tokens. One that comes a second time ends its session.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<Grant> {
        let now = self.environment.now();
        let next = self.tokens.refresh()?;
        let refused = |reason| Error::Unauthenticated {
            message: REFRESH_REFUSED,
            reason,
        };
        match self
            .store
            .rotate(token, &self.successor(&next, now))
            .await?
        {
            Rotation::Done(user) => self.grant(&user, next, now),
            Rotation::Refused => Err(refused("the refresh token is not good")),
            Rotation::Reused => Err(refused(
                "the refresh token was used before: its session is ended",
            )),
        }
    }

    /// Ends the session of a refresh token, if it has one.
    pub async fn sign_out(&self, token: &RefreshToken) -> Result<()> {
        self.store.revoke(token, self.environment.now()).await
    }

    fn successor<'a>(&self, token: &'a RefreshToken, now: OffsetDateTime) -> Successor<'a> {
        Successor {
            token,
            now,
            expires_at: now + self.refresh_ttl,
        }
    }

    fn grant(&self, user: &User, refresh: RefreshToken, now: OffsetDateTime) -> Result<Grant> {
        let mut scopes = vec![SELF_SCOPE.to_owned()];
        self.roles.add_scopes(&user.roles, &mut scopes);
        let access = (self.tokens).access(user, &scopes, now, self.environment.new_uuid())?;
        Ok(Grant {
            access_token: access.token,
            refresh_token: refresh,
            expires_in: access.expires_in,
        })
    }
}
