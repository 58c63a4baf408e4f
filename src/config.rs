//! The configuration: one struct per section, read from file, environment and defaults.

pub mod keys;
mod source;

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

pub use source::duration;
use source::{Source, address, seconds};

/// The exit code of a bad configuration (`EX_CONFIG`).
pub const EXIT_CODE: u8 = 78;

/// Everything wrong with the configuration, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// A value that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
    /// Whether it is unset.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `host:port`; an empty host means all interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address, without brackets.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl Address {
    /// The addresses to bind, in order of preference.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            return Ok(vec![
                ([0u16; 8], self.port).into(),
                ([0u8; 4], self.port).into(),
            ]);
        }
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

const DURATION: &str = "a duration above zero such as 1s, 0.2s or 1m30s";
const ADDRESS: &str = "host:port, such as 0.0.0.0:8001 or :8001";
const PORT: &str = "a port from 1 to 65535, or nothing";

fn positive(s: &str) -> Option<Duration> {
    duration(s).filter(|d| !d.is_zero())
}
fn boolean(s: &str) -> Option<bool> {
    match s {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
fn word(s: &str) -> Option<String> {
    (!s.trim().is_empty()).then(|| s.to_owned())
}
fn list(s: &str) -> Option<Vec<String>> {
    Some(
        s.split(',')
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}
fn or_unset<T>(s: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if s.is_empty() {
        Some(None)
    } else {
        parse(s).map(Some)
    }
}
fn port(s: &str) -> Option<Option<u16>> {
    or_unset(s, |s| s.parse().ok().filter(|p| *p != 0))
}
fn key_file(s: &str) -> Option<Option<PathBuf>> {
    or_unset(s, |s| Path::new(s).is_file().then(|| s.into()))
}

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty = $key:literal, $allowed:expr, $parse:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $(#[doc = concat!("`", $key, "`")] pub $field: $ty,)* }
        impl $name {
            fn read(source: &mut Source<'_>) -> Self { Self { $($field: source.get($key, $allowed, $parse),)* } }
        }
    )*};
}

sections! {
    /// The HTTP listener.
    Http {
        addr: Address = "server.http.addr", ADDRESS, address;
        timeout: Duration = "server.http.timeout", DURATION, positive;
        max_body_bytes: usize = "server.http.max_body_bytes", "a number of bytes from 1024 to 67108864", |s| s.parse().ok().filter(|n| (1024..=67_108_864).contains(n));
        cors_allowed_origins: Vec<String> = "server.http.cors.allowed_origins", "a list of origins", list;
    }
    /// The gRPC listener.
    Grpc {
        addr: Address = "server.grpc.addr", ADDRESS, address;
        timeout: Duration = "server.grpc.timeout", DURATION, positive;
    }
    /// The database; an empty source means the embedded one.
    Database {
        driver: String = "data.database.driver", "postgres", |s| (s == "postgres").then(|| s.to_owned());
        source: Secret = "data.database.source", "postgres://… or postgresql://…, or nothing for the embedded database", |s| (s.is_empty() || s.starts_with("postgres://") || s.starts_with("postgresql://")).then(|| Secret(s.to_owned()));
        max_connections: u32 = "data.database.max_connections", "a number from 1 to 10000", |s| s.parse().ok().filter(|n| (1..=10_000).contains(n));
        timeout: Duration = "data.database.timeout", DURATION, positive;
    }
    /// Redis.
    Redis {
        addr: Option<Address> = "data.redis.addr", ADDRESS, |s| or_unset(s, address);
        password: Secret = "data.redis.password", "text", |s| Some(Secret(s.to_owned()));
        db: u16 = "data.redis.db", "a number from 0 to 65535", |s| s.parse().ok();
        dial_timeout: Duration = "data.redis.dial_timeout", DURATION, positive;
        read_timeout: Duration = "data.redis.read_timeout", DURATION, positive;
        write_timeout: Duration = "data.redis.write_timeout", DURATION, positive;
    }
    /// Consul.
    Consul {
        address: Option<Address> = "consul.address", ADDRESS, |s| or_unset(s, address);
        scheme: String = "consul.scheme", "http or https", |s| matches!(s, "http" | "https").then(|| s.to_owned());
        datacenter: String = "consul.datacenter", "a name", word;
        health_check: bool = "consul.health_check", "true or false", boolean;
        health_check_interval: Duration = "consul.health_check_interval", DURATION, positive;
        health_check_timeout: Duration = "consul.health_check_timeout", DURATION, positive;
        deregister_critical_service_after: bool = "consul.deregister_critical_service_after", "true or false", boolean;
        deregister_critical_service_after_duration: Duration = "consul.deregister_critical_service_after_duration", DURATION, positive;
    }
    /// Migrations.
    Migration {
        path: PathBuf = "migration.path", "a directory", |s| word(s).map(Into::into);
        table: String = "migration.table", "a table name of letters, digits, _ and .", |s| (!s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')).then(|| s.to_owned());
        auto_migrate: Option<bool> = "migration.auto_migrate", "true or false, or nothing", |s| or_unset(s, boolean);
        lock_timeout: Duration = "migration.lock_timeout", DURATION, positive;
    }
    /// Tokens.
    Jwt {
        private_key_path: Option<PathBuf> = "auth.jwt.private_key_path", "an existing file", key_file;
        public_key_path: Option<PathBuf> = "auth.jwt.public_key_path", "an existing file", key_file;
        issuer: String = "auth.jwt.issuer", "text", word;
        audience: String = "auth.jwt.audience", "text", word;
        access_token_expiration: Duration = "auth.jwt.access_token_expiration", "seconds or a duration, above zero", seconds;
        refresh_token_expiration: Duration = "auth.jwt.refresh_token_expiration", "seconds or a duration, above zero", seconds;
        leeway: Duration = "auth.jwt.leeway", "a duration from 0s to 60s", |s| duration(s).filter(|d| d.as_secs_f64() <= 60.0);
    }
    /// Feature flags.
    Features {
        enable_caching: bool = "features.enable_caching", "true or false", boolean;
        enable_search_indexing: bool = "features.enable_search_indexing", "true or false", boolean;
        enable_audit_logging: bool = "features.enable_audit_logging", "true or false", boolean;
        max_products_per_request: u32 = "features.max_products_per_request", "a number from 1 to 100", |s| s.parse().ok().filter(|n| (1..=100).contains(n));
    }
    /// Dapr and Kafka.
    Events {
        dapr_http_port: Option<u16> = "dapr.http_port", PORT, port;
        dapr_grpc_port: Option<u16> = "dapr.grpc_port", PORT, port;
        dapr_pubsub_name: String = "dapr.pubsub_name", "a name", word;
        dapr_state_store_name: String = "dapr.state_store_name", "a name", word;
        kafka_brokers: Vec<String> = "kafka.brokers", "host:port, separated by commas", |s| list(s).filter(|l| l.iter().all(|b| address(b).is_some()));
        kafka_group_id: String = "kafka.group_id", "a name", word;
    }
    /// Logs, traces and metrics.
    Telemetry {
        trace_endpoint: Option<url::Url> = "trace.endpoint", "an http:// or https:// URL", |s| or_unset(s, |s| url::Url::parse(s).ok().filter(|u| matches!(u.scheme(), "http" | "https")));
        prometheus_port: Option<u16> = "metrics.prometheus_port", PORT, port;
        log_level: String = "log.level", "trace, debug, info, warn or error", |s| matches!(s, "trace" | "debug" | "info" | "warn" | "error").then(|| s.to_owned());
        log_json: bool = "log.format", "json or text", |s| match s { "json" => Some(true), "text" => Some(false), _ => None };
    }
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented by its type")]
pub struct Config {
    /// Where the embedded database and the development keys live.
    pub data_dir: PathBuf,
    pub http: Http,
    pub grpc: Grpc,
    pub database: Database,
    pub redis: Redis,
    pub consul: Consul,
    pub migration: Migration,
    pub jwt: Jwt,
    pub features: Features,
    pub events: Events,
    pub telemetry: Telemetry,
}

impl Config {
    /// Reads `dir/config.yaml` (or the file `dir` itself; `None`: defaults only), then the environment over it.
    pub fn load(
        dir: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut s = Source::open(dir, env)?;
        let config = Self {
            data_dir: s.get("data_dir", "a directory", |v| word(v).map(Into::into)),
            http: Http::read(&mut s),
            grpc: Grpc::read(&mut s),
            database: Database::read(&mut s),
            redis: Redis::read(&mut s),
            consul: Consul::read(&mut s),
            migration: Migration::read(&mut s),
            jwt: Jwt::read(&mut s),
            features: Features::read(&mut s),
            events: Events::read(&mut s),
            telemetry: Telemetry::read(&mut s),
        };
        if s.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(s.problems))
        }
    }
}
