//! The configuration of the service: its sections, where their values come from, and what is refused.
//!
//! A value comes from its environment variable, else from the file, else it is the default of its section.
//! Nothing here starts anything: a bad value is found before a socket is bound.

mod audit;
mod callers;
mod duration;
mod environment;
mod error;
mod identity;
mod network;
mod parse;
mod read;
mod redis_address;
mod secret;
mod sections;
mod show;
pub(crate) mod suggest;
mod tls;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

pub use audit::Audit;
pub use callers::Jwks;
pub use environment::ENVIRONMENT;
pub use error::{ConfigError, Origin};
pub use identity::{Passwords, Pii, Security};
pub use network::{Network, NoNetwork};
pub use redis_address::{RedisAddress, RedisKind};
pub use secret::Secret;
pub use sections::{
    Auth, Cache, Config, Consul, Cors, Dapr, Data, Database, Driver, Events, Features, Grpc, Http,
    Idempotency, Jwt, Kafka, Log, LogFormat, Metrics, Migration, PublisherKind, RateLimit, Redis,
    Scheme, Server, Trace,
};
pub use tls::Tls;

use read::{Reader, Section};

/// What the process exits with when its configuration is refused (`EX_CONFIG` of sysexits.h).
pub const EXIT_CODE: u8 = 78;

/// Name of the file that is read in the directory of the configuration.
const FILE_NAME: &str = "config.yaml";

impl Config {
    /// Reads the configuration.
    ///
    /// `conf` is the directory with a `config.yaml`, or a file of another name; without it the defaults hold. `env` looks
    /// up an environment variable; an empty one counts as unset. Where a name has to be resolved (a listening address
    /// that is neither an IP address nor `localhost`) this blocks.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in one line that names the key and what is allowed.
    pub fn load(
        conf: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::load_sourced(conf, env)?.0)
    }

    /// As [`Config::load`], with where each value that is no default was found, by its key.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_sourced(
        conf: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, BTreeMap<String, Origin>), ConfigError> {
        let (config, origins) = Self::read_parts(conf, env)?;
        config.check()?;
        Ok((config, origins))
    }

    /// The configuration as a file, with the source of each value; passwords and other secrets are masked.
    pub fn print(&self, origins: &BTreeMap<String, Origin>) -> String {
        let mut values = Vec::new();
        self.collect_values("", &mut values);
        show::write(&values, origins)
    }

    /// Variables that are probably meant to be one of [`ENVIRONMENT`] and are misspelt, each with that one. They can't
    /// be refused: the environment belongs to all programs.
    pub fn misspelt<'a>(
        variables: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(&'a str, &'static str)> {
        let known = || ENVIRONMENT.iter().map(|(name, _)| *name);
        (variables.into_iter())
            .filter(|name| !known().any(|known| known == *name))
            .filter_map(|name| Some((name, suggest::variable(name, known())?)))
            .collect()
    }

    /// The keys of all values, in the order of the sections, as `server.http.addr`.
    pub fn keys() -> Vec<String> {
        let mut keys = Vec::new();
        Self::collect_keys("", &mut keys);
        keys
    }

    /// Where events go: where `events.publisher` says, else to what is there.
    pub fn publisher(&self) -> PublisherKind {
        self.events.publisher.unwrap_or({
            if self.dapr.http_port.is_some() {
                PublisherKind::Dapr
            } else if self.data.redis.addr.is_some() {
                PublisherKind::Redis
            } else {
                PublisherKind::InProcess
            }
        })
    }

    fn read_parts(
        conf: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, BTreeMap<String, Origin>), ConfigError> {
        let file = conf.map(file_of);
        let tree = file.as_deref().map(read_file).transpose()?;
        let reader = Reader {
            env,
            file: file.as_deref(),
            origins: RefCell::default(),
        };
        let config = reader.section("", tree.as_ref())?;
        Ok((config, reader.origins.into_inner()))
    }

    /// What no value shows on its own.
    fn check(&self) -> Result<(), ConfigError> {
        let (http, grpc) = (self.server.http.addr, self.server.grpc.addr);
        if http == grpc && http.port() != 0 {
            return Err(ConfigError::Conflict {
                key: "server.grpc.addr",
                other: "server.http.addr",
                value: grpc.to_string(),
            });
        }
        let redis = &self.data.redis;
        let in_cluster =
            (redis.addr.as_ref()).is_some_and(|address| address.kind == RedisKind::Cluster);
        if in_cluster && redis.db != 0 {
            return Err(ConfigError::Without {
                key: "data.redis.db",
                value: redis.db.to_string(),
                because: "data.redis.addr is a cluster, which has database 0 only",
            });
        }
        if let Some(endpoint) = &self.trace.endpoint
            && endpoint.scheme() != "http"
        {
            return Err(ConfigError::Without {
                key: "trace.endpoint",
                value: endpoint.to_string(),
                because: "spans are sent by http; one that wants TLS has an agent beside the service",
            });
        }
        self.security.pii.check()?;
        let missing = match self.publisher() {
            PublisherKind::Dapr if self.dapr.http_port.is_none() => {
                Some("dapr.http_port (DAPR_HTTP_PORT) is not set")
            }
            PublisherKind::Redis if redis.addr.is_none() => {
                Some("data.redis.addr (REDIS_ADDR) is not set")
            }
            _ => None,
        };
        missing.map_or(Ok(()), |because| {
            Err(ConfigError::Without {
                key: "events.publisher",
                value: self.publisher().name().to_owned(),
                because,
            })
        })
    }
}

fn file_of(conf: &Path) -> PathBuf {
    if conf.is_file() {
        conf.to_owned()
    } else {
        conf.join(FILE_NAME)
    }
}

fn read_file(file: &Path) -> Result<Value, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|cause| ConfigError::Unreadable {
        file: file.to_owned(),
        cause,
    })?;
    serde_yaml_ng::from_str(&text).map_err(|cause| ConfigError::Syntax {
        file: file.to_owned(),
        cause: cause.to_string(),
    })
}
