//! Who is calling: bearer tokens (JWT, RS256) and the RSA keys they are signed with.
//!
//! Knows no transport and no configuration: a layer hands in the value of the `Authorization` header and the
//! current time, and gets a [`Principal`] or an [`AuthError`]. What a caller may do is decided elsewhere, from
//! [`Principal::has_scope`].

mod dev_key;
mod issuer;
mod keys;
mod mint;
mod password;
mod verified;
mod verify;

use time::OffsetDateTime;

pub use self::dev_key::dev_key;
pub use self::issuer::Issuer;
pub use self::keys::{KeyError, PrivateKey, PublicKey};
pub use self::mint::{Claims, mint};
pub use self::password::Bcrypt;
pub use self::verified::VerifiedTokens;
pub use self::verify::{AuthError, Cause, MAX_TOKEN_BYTES, PUBLIC_MESSAGE, Verifier};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`, never empty.
    pub subject: String,
    /// What the token allows, in the order of the token, without repetitions, and then what its roles grant.
    pub scopes: Vec<String>,
    /// The roles that the token names, granting something here or not.
    pub roles: Vec<String>,
    /// When the token ends (its `exp`, without leeway).
    pub expires_at: OffsetDateTime,
}

impl Principal {
    /// Whether the caller has exactly this scope. Scopes are compared byte by byte; there are no wildcards.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}
