//! `serve`: runs the service, with a PostgreSQL of its own where it was given none.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::config::misspelt_variables;
use super::{pii, runtime, token, url_of};
use crate::app::{App, Embedded, Error, IdentityKeys, Parts};
use crate::config::Config;
use crate::lifecycle::{NAME, VERSION};
use crate::telemetry::{self, AccessLog};

/// How long the token that is shown at the start is good for.
const SHOWN_TOKEN_TTL: Duration = Duration::from_hours(24);

/// Runs the service until a signal ends it.
pub(super) fn run(config: &Config) -> Result<(), Error> {
    let started = Instant::now();
    let access_log = telemetry::init(config.log.level, config.log.format);
    for (name, meant) in misspelt_variables() {
        tracing::warn!(name, meant, "no variable of the service, probably misspelt");
    }
    let _flushed = FlushedAtEnd(access_log.clone());
    let embedded = if config.data.database.source.is_none() {
        Some(Embedded::start(&config.data_dir)?)
    } else {
        None
    };
    let result = serve(config, embedded.as_ref(), started, access_log);
    if let Some(embedded) = embedded {
        embedded.stop()?;
    }
    result
}

/// Writes the lines of the log that wait, however the service ends.
struct FlushedAtEnd(AccessLog);

impl Drop for FlushedAtEnd {
    fn drop(&mut self) {
        self.0.flush();
    }
}

fn serve(
    config: &Config,
    embedded: Option<&Embedded>,
    started: Instant,
    access_log: AccessLog,
) -> Result<(), Error> {
    let parts = Parts {
        database_url: embedded.map_or_else(
            || {
                config
                    .data
                    .database
                    .source
                    .as_ref()
                    .map(|source| source.expose().to_owned())
                    .unwrap_or_default()
            },
            Embedded::url,
        ),
        auto_migrate: config.migration.auto_migrate.unwrap_or(embedded.is_some()),
        verifier: token::verifier(config)?,
        identity: identity(config)?,
        started,
        access_log,
    };
    runtime()?.block_on(async {
        let app = App::start(config, parts).await?;
        tracing::info!(http = %app.http_addr()?, grpc = %app.grpc_addr()?, scheme = config.server.tls.scheme(), version = VERSION, "listening");
        if let Some(embedded) = embedded {
            greet(config, embedded, app.http_addr()?, app.grpc_addr()?);
        }
        app.run(config.server.shutdown_delay).await;
        Ok(())
    })
}

/// The keys of the identity service, or what is missing of them.
fn identity(config: &Config) -> Result<Result<IdentityKeys, &'static str>, Error> {
    let Some(signing) = token::signing_key(config)? else {
        return Ok(Err(
            "no key to sign tokens with: auth.jwt.private_key_path (JWT_PRIVATE_KEY_PATH) is not set",
        ));
    };
    Ok(match pii::keyring(config)? {
        Some(keyring) => Ok(IdentityKeys { signing, keyring }),
        None => Err("no key for personal data: security.pii.keys_path (PII_KEYS_PATH) is not set"),
    })
}

/// Tells a developer what runs and how to call it.
fn greet(config: &Config, embedded: &Embedded, http: SocketAddr, grpc: SocketAddr) {
    let scopes = ["catalog:read", "catalog:write"].map(str::to_owned);
    let base = url_of(&config.server, http);
    // The certificate of a development machine is nobody's that curl knows.
    let trust = match &config.server.tls.cert_path {
        Some(certificate) => format!(" --cacert '{}'", certificate.display()),
        None => String::new(),
    };
    let call = match token::token(config, &scopes, "user_456", SHOWN_TOKEN_TTL) {
        Ok(token) => {
            format!("  curl{trust} '{base}/v1/catalog/products' -H 'Authorization: Bearer {token}'")
        }
        Err(error) => format!("  (no token: {error})"),
    };
    let data = config
        .data_dir
        .canonicalize()
        .unwrap_or_else(|_| config.data_dir.clone());
    // Someone who closed the output does not want to read this.
    let _ = writeln!(
        std::io::stdout().lock(),
        "\n{NAME} {VERSION}\n\n\
         For development: the database is an embedded {database} in {data}, and the key for tokens is made there \
         too.\n\n  \
         docs  {base}{page}\n  REST  {base}/v1/catalog/products\n  gRPC  {grpc}\n\nTry it:\n\n{call}\n",
        database = embedded.describe(),
        data = data.display(),
        page = crate::transport::DOCS_PAGE,
        grpc = url_of(&config.server, grpc),
    );
}
