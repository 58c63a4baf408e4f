//! The tokens of those who sign in here.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use uuid::Uuid;

use super::keys::PrivateKey;
use super::mint::{Claims, mint};
use crate::domain::error::{Error, Result};
use crate::domain::id;
use crate::domain::identity::ports::{AccessToken, Tokens};
use crate::domain::identity::{RefreshToken, User};

/// Bytes of a refresh token.
const REFRESH_BYTES: usize = 32;

/// Signs access tokens, and draws refresh tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Signs.
    pub key: PrivateKey,
    /// The `iss` of the tokens.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// How long an access token is good.
    pub access_ttl: Duration,
}

impl Tokens for Issuer {
    fn access(
        &self,
        user: &User,
        scopes: &[String],
        now: OffsetDateTime,
        id: Uuid,
    ) -> Result<AccessToken> {
        let claims = Claims {
            subject: &user.id.to_string(),
            scopes,
            roles: &user.roles,
            issuer: &self.issuer,
            audience: &self.audience,
            issued_at: now,
            ttl: self.access_ttl,
            token_id: &id::encode("tok", id),
        };
        let token = mint(&self.key, &claims).map_err(|error| Error::Internal(error.into()))?;
        Ok(AccessToken {
            token,
            expires_in: self.access_ttl,
        })
    }

    fn refresh(&self) -> Result<RefreshToken> {
        Ok(RefreshToken::new(random_text::<REFRESH_BYTES>()?))
    }
}

/// Random bytes as text.
pub(crate) fn random_text<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
