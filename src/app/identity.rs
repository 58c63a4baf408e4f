//! The identity service: there is one where there are keys to sign tokens and to encrypt personal data.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::BadConfiguration;
use crate::auth::{Bcrypt, Issuer, PrivateKey};
use crate::config::{Config, suggest};
use crate::domain::{Environment as _, Identity, Roles};
use crate::lifecycle::{Readiness, State};
use crate::pb::METHODS;
use crate::pii::Keyring;
use crate::service::IdentityHandler;
use crate::store::PgUsers;
use crate::system::SystemEnvironment;

/// How often ended sessions are forgotten, and how many at a time.
const INTERVAL: Duration = Duration::from_mins(10);
const BATCH: i64 = 5000;

/// What the identity service needs beside the database.
pub struct IdentityKeys {
    /// Signs access tokens.
    pub signing: PrivateKey,
    /// Encrypts personal data.
    pub keyring: Arc<Keyring>,
}

/// The handlers of the identity service, and what runs beside them.
pub(super) fn handler(
    config: &Config,
    keys: &IdentityKeys,
    pool: &PgPool,
    roles: Arc<Roles>,
    readiness: &Readiness,
) -> IdentityHandler<PgUsers, Bcrypt, Issuer, SystemEnvironment> {
    let users = PgUsers::new(pool.clone(), keys.keyring.clone());
    tokio::spawn(keep_short(users.clone(), readiness.subscribe()));
    let jwt = &config.auth.jwt;
    let issuer = Issuer {
        key: keys.signing.clone(),
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        access_ttl: jwt.access_token_expiration,
    };
    IdentityHandler::new(Identity::new(
        users,
        Bcrypt::new(config.auth.password.bcrypt_cost),
        issuer,
        SystemEnvironment,
        roles,
        jwt.refresh_token_expiration,
    ))
}

/// What the configured roles grant.
///
/// # Errors
/// When one of their scopes is none that an RPC asks for.
pub fn roles(config: &Config) -> Result<Roles, BadConfiguration> {
    let mut known: Vec<&str> = METHODS
        .iter()
        .flat_map(|methods| methods.iter())
        .flat_map(|method| method.scopes.iter().copied())
        .collect();
    known.sort_unstable();
    known.dedup();
    Roles::new(config.auth.roles.clone(), &known).map_err(|unknown| {
        let hint = match suggest::nearest(&unknown.scope, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("there are {}", known.join(", ")),
        };
        BadConfiguration(format!(
            "auth.roles.{}: {} is not allowed: no RPC asks for this scope; {hint}",
            unknown.role, unknown.scope
        ))
    })
}

/// Forgets sessions that ended, until the service stops. Instances need not agree on who does it.
async fn keep_short(users: PgUsers, mut states: watch::Receiver<State>) {
    loop {
        let state = states.wait_for(|state| matches!(state, State::Ready | State::Stopping));
        if state.await.map_or(true, |state| *state == State::Stopping) {
            return;
        }
        match users.forget(SystemEnvironment.now(), BATCH).await {
            Ok(count) if count >= BATCH.cast_unsigned() => {}
            Ok(_) => tokio::time::sleep(INTERVAL).await,
            Err(error) => {
                tracing::debug!(%error, "ended sessions were not forgotten");
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }
}
