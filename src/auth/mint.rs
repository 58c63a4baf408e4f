//! Signing tokens: for development, tests and operators with the key at hand.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use time::OffsetDateTime;

use super::keys::{KeyError, PrivateKey};

/// What a token says.
#[derive(Debug, Clone)]
pub struct Claims<'a> {
    /// `sub`: whom the token is about, for example `user_456`. Not empty.
    pub subject: &'a str,
    /// `scope`: what it allows. No scope may be empty or hold white space.
    pub scopes: &'a [String],
    /// `roles`: names of what its subject may do. Left out when there are none.
    pub roles: &'a [String],
    /// `iss`: who signs.
    pub issuer: &'a str,
    /// `aud`: whom the token is for.
    pub audience: &'a str,
    /// `iat` and `nbf`: from when the token is valid. Tokens count whole seconds; fractions are cut off.
    pub issued_at: OffsetDateTime,
    /// How long it is valid from `issued_at`; at least a second.
    pub ttl: Duration,
    /// `jti`: the token's own name.
    pub token_id: &'a str,
}

/// The claims as they stand in the token, [RFC 7519](https://www.rfc-editor.org/rfc/rfc7519#section-4.1),
/// [RFC 8693](https://www.rfc-editor.org/rfc/rfc8693#section-4.2) for `scope` and
/// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068#section-2.2.3.1) for `roles`.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
}

/// Signs `claims` with RS256. The result is the token alone, without the scheme `Bearer`.
pub fn mint(key: &PrivateKey, claims: &Claims<'_>) -> Result<String, KeyError> {
    if claims.subject.is_empty() {
        return Err(KeyError::Claims("the subject is empty"));
    }
    if claims
        .scopes
        .iter()
        .any(|scope| scope.is_empty() || scope.contains(char::is_whitespace))
    {
        return Err(KeyError::Claims("a scope is empty or holds white space"));
    }
    let lifetime = i64::try_from(claims.ttl.as_secs()).unwrap_or(i64::MAX);
    if lifetime == 0 {
        return Err(KeyError::Claims("the lifetime is less than a second"));
    }
    let issued_at = claims.issued_at.unix_timestamp();
    let exp = issued_at
        .checked_add(lifetime)
        .filter(|&exp| OffsetDateTime::from_unix_timestamp(exp).is_ok())
        .ok_or(KeyError::Claims("the lifetime is too long"))?;
    let payload = Payload {
        iss: claims.issuer,
        sub: claims.subject,
        aud: claims.audience,
        iat: issued_at,
        nbf: issued_at,
        exp,
        jti: claims.token_id,
        scope: claims.scopes.join(" "),
        roles: claims.roles,
    };
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(key.id().to_owned());
    jsonwebtoken::encode(&header, &payload, key.signing())
        .map_err(|error| KeyError::Crypto(error.to_string()))
}
