//! Checking the value of an `Authorization` header.
//!
//! The library checks the signature and the shape; every rule about claims is written here, because the time
//! is a parameter and because a claim that is absent has to be refused, not skipped.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use super::Principal;
use super::jwks::Jwks;
use super::keys::PublicKey;

/// What a caller is told, whatever the reason: the reason helps only those who guess.
pub const PUBLIC_MESSAGE: &str = "Invalid or expired token";

/// The longest token that is looked at, in bytes. Longer ones are refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a caller is not who it claims to be. The text is for logs and holds nothing from the token; callers get
/// [`PUBLIC_MESSAGE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header, or an empty one.
    #[error("no token")]
    Missing,
    /// Not a bearer token, longer than [`MAX_TOKEN_BYTES`], or not a JWT at all.
    #[error("not a bearer token")]
    Malformed,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before its `nbf`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A JWT whose key is none that its issuer has published.
    #[error("the token's key is not known")]
    UnknownKey,
    /// A Consul token that Consul does not know, or that stands for nobody.
    #[error("Consul does not know the token")]
    UnknownToken,
    /// Consul tells nobody apart.
    #[error("Consul's access control is off: nobody can be told apart")]
    NoAccessControl,
    /// A bearer token and a Consul token: two callers in one.
    #[error("a bearer token and a Consul token")]
    Ambiguous,
    /// Who could tell does not answer, and told nothing before. This is nothing that the caller did.
    #[error("nobody can tell whether the token is good")]
    Unavailable,
    /// A JWT that this service does not accept.
    #[error("the token is refused: {0}")]
    Invalid(Cause),
}

/// What is wrong with a token that is a JWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Its header names an algorithm other than RS256 (`none` included) or cannot be understood.
    #[error("algorithm or header not accepted")]
    Header,
    /// No known key made its signature.
    #[error("signature does not match")]
    Signature,
    /// Properly signed, but a claim has the wrong type or stands there twice.
    #[error("claims not readable")]
    Claims,
    /// A claim that every token must have is absent or empty.
    #[error("claim {0} absent")]
    Absent(&'static str),
    /// `iss` is another issuer.
    #[error("wrong issuer")]
    Issuer,
    /// `aud` does not name this service.
    #[error("wrong audience")]
    Audience,
    /// `exp` or `nbf` is no date.
    #[error("claim {0} out of range")]
    Date(&'static str),
}

/// Checks bearer tokens against the keys, issuer and audience of this service.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    jwks: Option<Jwks>,
    issuer: String,
    audience: String,
    leeway: Duration,
    validation: Validation,
}

/// The claims that matter here. Everything is optional, so that an absent claim gets its own answer.
#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<f64>,
    nbf: Option<f64>,
    scope: Option<OneOrMany>,
    scp: Option<OneOrMany>,
    roles: Option<Roles>,
    /// Where Keycloak puts roles.
    realm_access: Option<RealmAccess>,
}

/// Names of roles. Others may mean something else by the claim, which then says nothing here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Roles {
    Names(OneOrMany),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RealmAccess {
    Roles { roles: Roles },
    Other(IgnoredAny),
}

impl Roles {
    fn names(&self) -> &[String] {
        match self {
            Self::Names(names) => names.as_slice(),
            Self::Other(_) => &[],
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl Verifier {
    /// Accepts tokens signed by any of `keys` (several, so that keys can be exchanged), issued by `issuer` for
    /// `audience`. `leeway` is how far the issuer's clock may be off.
    pub fn new(keys: Vec<PublicKey>, issuer: &str, audience: &str, leeway: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        // All done below, where the time is a parameter and absence is an error.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self {
            keys,
            jwks: None,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            leeway,
            validation,
        }
    }

    /// Accepts tokens that are signed by one of the keys that an issuer publishes, too.
    #[must_use]
    pub fn with_published(self, jwks: Option<Jwks>) -> Self {
        Self { jwks, ..self }
    }

    /// The keys that the issuer publishes, where they are taken.
    pub const fn published(&self) -> Option<&Jwks> {
        self.jwks.as_ref()
    }

    /// Checks the value of the `Authorization` header at the time `now`.
    pub fn verify(
        &self,
        authorization: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Principal, AuthError> {
        let payload = self.signed_payload(bearer_token(authorization)?)?;

        // `exp` and `nbf` first: an expired token is the everyday case and deserves its own line in the log.
        let expires_at = date(
            payload
                .exp
                .ok_or(AuthError::Invalid(Cause::Absent("exp")))?,
            "exp",
        )?;
        if now >= self.end(expires_at) {
            return Err(AuthError::Expired);
        }
        if let Some(nbf) = payload.nbf {
            let latest = now.saturating_add(self.leeway.try_into().unwrap_or(time::Duration::MAX));
            if latest < date(nbf, "nbf")? {
                return Err(AuthError::NotYetValid);
            }
        }

        if payload
            .iss
            .as_deref()
            .ok_or(AuthError::Invalid(Cause::Absent("iss")))?
            != self.issuer
        {
            return Err(AuthError::Invalid(Cause::Issuer));
        }
        let audience = payload
            .aud
            .as_ref()
            .ok_or(AuthError::Invalid(Cause::Absent("aud")))?;
        if !audience.as_slice().contains(&self.audience) {
            return Err(AuthError::Invalid(Cause::Audience));
        }
        let subject = payload
            .sub
            .filter(|sub| !sub.trim().is_empty())
            .ok_or(AuthError::Invalid(Cause::Absent("sub")))?;

        let mut scopes: Vec<String> = Vec::new();
        let claims = [&payload.scope, &payload.scp];
        for scope in claims
            .into_iter()
            .flatten()
            .flat_map(OneOrMany::as_slice)
            .flat_map(|text| text.split_whitespace())
        {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        let mut roles: Vec<String> = Vec::new();
        let realm = match &payload.realm_access {
            Some(RealmAccess::Roles { roles }) => Some(roles),
            _ => None,
        };
        for role in payload.roles.iter().chain(realm).flat_map(Roles::names) {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        Ok(Principal {
            subject,
            scopes,
            roles,
            rpcs: None,
            expires_at,
        })
    }

    /// For how long the token of a caller is still good at the time `now`.
    pub fn left(&self, principal: &Principal, now: OffsetDateTime) -> Duration {
        let left = self.end(principal.expires_at) - now;
        left.try_into().unwrap_or_default()
    }

    /// When a token ends, with leeway.
    fn end(&self, expires_at: OffsetDateTime) -> OffsetDateTime {
        // Saturating, because a huge leeway must not overflow the calendar.
        expires_at.saturating_add(self.leeway.try_into().unwrap_or(time::Duration::MAX))
    }

    /// The payload of a token that one of the keys has signed.
    fn signed_payload(&self, token: &str) -> Result<Payload, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            // JSON, but with an algorithm nobody knows, such as `none`.
            ErrorKind::Json(json) if json.is_data() => AuthError::Invalid(Cause::Header),
            _ => AuthError::Malformed,
        })?;
        // A `crit` extension must be understood or refused (RFC 7515, section 4.1.11); none is understood here.
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(AuthError::Invalid(Cause::Header));
        }
        let published = self.jwks.as_ref().map(Jwks::keys);
        let published_keys = published.iter().flatten();
        let candidates = published_keys.flat_map(|set| set.candidates(header.kid.as_deref()));
        for key in self.keys.iter().chain(candidates) {
            match jsonwebtoken::decode::<Payload>(token, key.verifying(), &self.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => match error.kind() {
                    // Another key may have made it.
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAlgorithm => return Err(AuthError::Invalid(Cause::Header)),
                    // The signature's own encoding is looked at before it is checked, the payload's only after.
                    ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
                        return Err(AuthError::Invalid(Cause::Claims));
                    }
                    _ => return Err(AuthError::Malformed),
                },
            }
        }
        Err(match published {
            None => AuthError::Invalid(Cause::Signature),
            // Not known yet: there was no answer of the issuer.
            Some(None) => AuthError::Unavailable,
            Some(Some(set)) if set.is_known(header.kid.as_deref()) => {
                AuthError::Invalid(Cause::Signature)
            }
            Some(Some(_)) => AuthError::UnknownKey,
        })
    }
}

/// The token behind the scheme `Bearer` ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
fn bearer_token(authorization: Option<&str>) -> Result<&str, AuthError> {
    let value = authorization
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .ok_or(AuthError::Missing)?;
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Malformed)?;
    let token = token.trim_start_matches(' ');
    // Exactly three parts: the library takes everything before the second dot from the right for the header.
    let well_formed = scheme.eq_ignore_ascii_case("bearer")
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().filter(|&byte| byte == b'.').count() == 2
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if well_formed {
        Ok(token)
    } else {
        Err(AuthError::Malformed)
    }
}

/// A NumericDate: seconds since 1970, fractions allowed by the RFC and cut off here.
fn date(seconds: f64, claim: &'static str) -> Result<OffsetDateTime, AuthError> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and the range is checked right after"
    )]
    OffsetDateTime::from_unix_timestamp(seconds.floor() as i64)
        .map_err(|_| AuthError::Invalid(Cause::Date(claim)))
}

#[cfg(test)]
mod tests;
