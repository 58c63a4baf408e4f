//! Tokens that were found good, so that a caller who comes again costs a look-up and no signature.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use super::{AuthError, Jwks, Principal, Verifier};
use crate::domain::Roles;

/// Most bytes of tokens that are kept: some ten thousand of the usual length.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The usual length of a token.
const EXPECTED_BYTES: usize = 1024;

/// Checks bearer tokens, each only once as long as it is good. A token that is not good is checked every time.
///
/// The keys are the whole headers: a hash would have to be one that nobody can find a second text for, which costs more
/// than all the rest. They are in memory anyway while they are checked.
#[derive(Debug)]
pub struct VerifiedTokens {
    verifier: Verifier,
    roles: Arc<Roles>,
    known: Cache<Box<str>, Known, Bytes>,
}

/// A token that was found good.
#[derive(Clone, Debug)]
struct Known {
    principal: Arc<Principal>,
    /// How many keys the issuer had taken back by then: it may have been signed by one that is taken back now.
    losses: u64,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Box<str>, Known> for Bytes {
    fn weight(&self, header: &Box<str>, Known { principal, .. }: &Known) -> u64 {
        let texts = principal.scopes.iter().chain(&principal.roles);
        let texts: usize = texts.map(String::len).sum();
        (header.len() + principal.subject.len() + texts) as u64
    }
}

impl VerifiedTokens {
    /// Tokens that `verifier` finds good, and that allow what `roles` grant to those they name.
    pub fn new(verifier: Verifier, roles: Arc<Roles>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
        let expected = MAX_BYTES as usize / EXPECTED_BYTES;
        Self {
            verifier,
            roles,
            known: Cache::with_weighter(expected, MAX_BYTES, Bytes),
        }
    }

    /// Who checks them.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// As [`Verifier::verify`], with what the roles of the token grant.
    pub fn verify(
        &self,
        authorization: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Arc<Principal>, AuthError> {
        let header = authorization.unwrap_or_default();
        let losses = self.verifier.published().map_or(0, Jwks::losses);
        if let Some(known) = self.known.get(header) {
            if known.losses == losses && !self.verifier.left(&known.principal, now).is_zero() {
                return Ok(known.principal);
            }
            self.known.remove(header);
        }
        let mut principal = self.verifier.verify(authorization, now)?;
        self.roles
            .add_scopes(&principal.roles, &mut principal.scopes);
        let principal = Arc::new(principal);
        let known = Known {
            principal: principal.clone(),
            losses,
        };
        self.known.insert(header.into(), known);
        Ok(principal)
    }

    /// As [`verify`](Self::verify), for a token that was refused with `error`: it may be signed by a key that was
    /// published since.
    pub async fn verify_again(
        &self,
        authorization: Option<&str>,
        now: OffsetDateTime,
        error: AuthError,
    ) -> Result<Arc<Principal>, AuthError> {
        match (error, self.verifier.published()) {
            (AuthError::UnknownKey | AuthError::Unavailable, Some(jwks))
                if jwks.look_again().await =>
            {
                self.verify(authorization, now)
            }
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::auth::keys::{PrivateKey, generate_pem};
    use crate::auth::{Claims, mint};

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn a_good_token_is_known_until_it_ends() {
        let key = PrivateKey::from_pem(generate_pem().unwrap().as_bytes()).unwrap();
        let claims = Claims {
            subject: "user_456",
            scopes: &["catalog:read".to_owned()],
            roles: &["editor".to_owned(), "offline_access".to_owned()],
            issuer: "issuer",
            audience: "audience",
            issued_at: NOW,
            ttl: Duration::from_mins(1),
            token_id: "jti",
        };
        let header = format!("Bearer {}", mint(&key, &claims).unwrap());
        let leeway = Duration::from_secs(5);
        let verifier = Verifier::new(vec![key.public()], "issuer", "audience", leeway);
        let editor = ["catalog:read", "catalog:write"];
        let roles = [("editor".to_owned(), editor.map(str::to_owned).to_vec())];
        let roles = Roles::new(roles.into(), &editor).unwrap();
        let tokens = VerifiedTokens::new(verifier, Arc::new(roles));
        let verify = |header: &str, seconds| {
            tokens.verify(Some(header), NOW + time::Duration::seconds(seconds))
        };
        let first = verify(&header, 0).unwrap();
        assert_eq!(first.scopes, editor, "what its roles grant is added once");
        assert!(Arc::ptr_eq(&first, &verify(&header, 64).unwrap()), "known");
        assert_eq!(verify(&header, 65), Err(AuthError::Expired));
        assert_eq!(tokens.known.len(), 0);
        for bad in [header.to_lowercase(), format!("{header}x"), String::new()] {
            assert!(verify(&bad, 0).is_err());
        }
        assert_eq!(tokens.known.len(), 0, "only good ones");
        assert_eq!(tokens.verify(None, NOW), Err(AuthError::Missing));
    }
}
