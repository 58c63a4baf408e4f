//! Who is calling: bearer tokens (JWT, RS256) and the RSA keys they are signed with; services by their Consul tokens.
//!
//! Knows no transport and no configuration: a layer hands in the value of the `Authorization` header and the
//! current time, and gets a [`Principal`] or an [`AuthError`]. What a caller may do is decided elsewhere, from
//! [`Principal::has_scope`].

mod dev_key;
mod issuer;
mod jwks;
mod keys;
mod mint;
mod password;
mod permissions;
mod services;
mod verified;
mod verify;

use time::OffsetDateTime;

pub use self::dev_key::dev_key;
pub use self::issuer::Issuer;
pub use self::jwks::Jwks;
pub use self::keys::{KeyError, PrivateKey, PublicKey};
pub use self::mint::{Claims, mint};
pub use self::password::Bcrypt;
pub use self::permissions::{Permissions, Rpcs};
pub use self::services::{Lifetimes, Services};
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
    /// The RPCs it may call, where it is a service; users may call what their scopes are enough for.
    pub rpcs: Option<Rpcs>,
    /// When the token ends (its `exp`, without leeway).
    pub expires_at: OffsetDateTime,
}

impl Principal {
    /// Whether the caller has exactly this scope. Scopes are compared byte by byte; there are no wildcards.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// What the caller lacks for the RPC of a path, which asks for some scopes; none when it may call it.
    pub fn lacks(&self, path: &str, scopes: &[&str]) -> Option<String> {
        if let Some(rpcs) = &self.rpcs {
            let rpc = path.trim_start_matches('/');
            return (!rpcs.contain(path)).then(|| format!("{} may not call {rpc}", self.subject));
        }
        let missing = scopes.iter().find(|scope| !self.has_scope(scope))?;
        Some(format!("the scope {missing} is required"))
    }
}
