//! The sections of the configuration: what can be set, with its default and what is allowed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;
use url::Url;

use super::audit::Audit;
use super::callers::{Jwks, jwks, permissions};
use super::duration::{duration, seconds};
use super::identity::{Passwords, Security, default_roles, roles};
use super::network::Network;
use super::parse::{
    boolean, choice, host, http_url, listen_address, networks, number, optional, origins, path,
    postgres_url, ratio, readable_file, remote_address, remote_addresses, secret, table_name, text,
};
use super::read::section;
use super::redis_address::{RedisAddress, redis_address};
use super::secret::Secret;
use super::show::show;
use super::tls::Tls;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);
const MIB: usize = 1024 * 1024;

section! {
    /// The whole configuration.
    Config {
        /// Where the service listens.
        server: Server;
        /// Where the data is.
        data: Data;
        /// How often a caller may call.
        rate_limit: RateLimit;
        /// Calls that are made once.
        idempotency: Idempotency;
        /// What is kept of what was read.
        cache: Cache;
        /// Service discovery.
        consul: Consul;
        /// Where spans go.
        trace: Trace;
        /// How the schema is brought up to date.
        migration: Migration;
        /// Who may call.
        auth: Auth;
        /// What keeps data safe.
        security: Security;
        /// Switches.
        features: Features;
        /// Events, out and in.
        events: Events;
        /// The Dapr sidecar.
        dapr: Dapr;
        /// The audit log.
        audit: Audit;
        /// The event bus. Checked at the start; not used by this version.
        kafka: Kafka;
        /// Metrics.
        metrics: Metrics;
        /// What is logged, and how.
        log: Log;
        /// The directory of the embedded database and of the development keys.
        data_dir: PathBuf = PathBuf::from(".data") => path;
    }
}

section! {
    /// Where the service listens.
    Server {
        /// REST, gRPC-Web, the documentation and the health checks.
        http: Http;
        /// gRPC.
        grpc: Grpc;
        /// TLS on both ports.
        tls: Tls;
        /// How long requests are still taken after SIGTERM, for those who send them to see that the service is not ready.
        shutdown_delay: Duration = SECOND => duration(Duration::ZERO..=HOUR);
        /// How many calls may be under way at a time; of a watch only its opening is one.
        max_in_flight: usize = 1000 => number(1..=1_000_000);
        /// Proxies in front of the service, which say where a caller is.
        trusted_proxies: Vec<Network> = Vec::new() => networks;
    }
}

section! {
    /// The HTTP port.
    Http {
        /// Where to listen; port 0 takes a free one.
        addr: SocketAddr = (Ipv4Addr::UNSPECIFIED, 8001).into() => listen_address;
        /// How long a request may take.
        timeout: Duration = SECOND => duration(MILLISECOND..=HOUR);
        /// The longest body that is read, in bytes.
        max_body_bytes: usize = MIB => number(1024..=64 * MIB);
        /// Whether answers are compressed for callers who take that, and requests may be.
        compression: bool = false => boolean;
        /// Which pages of other origins may call, and open WebSockets.
        cors: Cors;
    }
}

section! {
    /// Cross-origin calls of browsers.
    Cors {
        /// Origins such as `https://shop.example.com`, or `*` for all.
        allowed_origins: Vec<String> = vec!["*".to_owned()] => origins;
    }
}

section! {
    /// The gRPC port.
    Grpc {
        /// Where to listen; port 0 takes a free one.
        addr: SocketAddr = (Ipv4Addr::UNSPECIFIED, 9001).into() => listen_address;
        /// How long a request may take, when its caller gives it longer.
        timeout: Duration = SECOND => duration(MILLISECOND..=HOUR);
    }
}

section! {
    /// How often a caller may call.
    RateLimit {
        /// Whether calls are counted.
        enable: bool = true => boolean;
        /// How often in a minute, over all instances.
        requests_per_minute: u32 = 1000 => number(1..=100_000_000);
        /// The same for RPCs that read, apart from the others; none to count them with the others.
        read_requests_per_minute: Option<u32> = None => optional(number(1..=100_000_000));
        /// The same for RPCs that write, apart from the others; none to count them with the others.
        write_requests_per_minute: Option<u32> = None => optional(number(1..=100_000_000));
    }
}

section! {
    /// Calls that are made once: those with an Idempotency-Key.
    Idempotency {
        /// How long their answers are kept.
        ttl: Duration = 24 * HOUR => duration(SECOND..=YEAR);
    }
}

section! {
    /// Where the data is.
    Data {
        /// The database.
        database: Database;
        /// The streams of events.
        redis: Redis;
    }
}

section! {
    /// The database.
    Database {
        /// Which kind it is.
        driver: Driver = Driver::Postgres => choice(&[("postgres", Driver::Postgres)]);
        /// Its URL, `postgres://` or `postgresql://`; none for the embedded one.
        source: Option<Secret> = None => optional(postgres_url);
        /// How many connections are open at most.
        max_connections: u32 = 20 => number(1..=10_000);
        /// How long to wait for a connection, and how long a statement may run.
        timeout: Duration = 30 * SECOND => duration(MILLISECOND..=HOUR);
    }
}

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// PostgreSQL.
    Postgres,
}

show! {
    Driver => |driver| match driver { Driver::Postgres => "postgres" };
    Scheme => |scheme| match scheme { Scheme::Http => "http", Scheme::Https => "https" };
    PublisherKind => |kind| kind.name();
    LogFormat => |format| match format { LogFormat::Json => "json", LogFormat::Text => "text" };
}

section! {
    /// Redis: the cache, and the streams of events.
    Redis {
        /// Where it is: a server, Sentinels or a cluster; none for a cache in the process.
        addr: Option<RedisAddress> = None => optional(redis_address);
        /// Its password, where the address has none.
        password: Option<Secret> = None => optional(secret);
        /// The number of its database, where the address has none.
        db: u32 = 0 => number(0..=1_000_000);
        /// How long to wait for a connection.
        dial_timeout: Duration = SECOND => duration(MILLISECOND..=HOUR);
        /// How long to wait for what is read.
        read_timeout: Duration = 200 * MILLISECOND => duration(MILLISECOND..=HOUR);
        /// How long to wait until what is written is confirmed.
        write_timeout: Duration = 200 * MILLISECOND => duration(MILLISECOND..=HOUR);
    }
}

section! {
    /// Consul.
    Consul {
        /// Its `host:port`; none to register nowhere.
        address: Option<String> = None => optional(remote_address);
        /// How to talk to it.
        scheme: Scheme = Scheme::Http => choice(&[("http", Scheme::Http), ("https", Scheme::Https)]);
        /// PEM of the authorities of its certificate; none for those the system trusts.
        ca_file: Option<PathBuf> = None => optional(readable_file);
        /// The datacenter of all requests.
        datacenter: String = "dc1".to_owned() => text;
        /// The service's own token; none for what anybody may do.
        token: Option<Secret> = None => optional(secret);
        /// The host that others dial; none for the address of this host that leads to Consul.
        advertise_address: Option<String> = None => optional(host);
        /// Whether it checks the service.
        health_check: bool = true => boolean;
        /// How often it checks, and how often the service calls it.
        health_check_interval: Duration = 10 * SECOND => duration(SECOND..=HOUR);
        /// How long a check may take.
        health_check_timeout: Duration = 3 * SECOND => duration(MILLISECOND..=HOUR);
        /// Whether an instance that died is removed.
        deregister_critical_service_after: bool = true => boolean;
        /// After how long it is removed; Consul takes a minute for anything less.
        deregister_critical_service_after_duration: Duration = 30 * SECOND => duration(SECOND..=24 * HOUR);
    }
}

section! {
    /// What is kept of what was read, in the process and in Redis.
    Cache {
        /// What keys in Redis begin with.
        prefix: String = "catalog".to_owned() => text;
        /// How long a product is kept.
        product_ttl: Duration = HOUR => duration(SECOND..=24 * HOUR);
        /// How long a page of a list is kept.
        list_ttl: Duration = Duration::from_mins(5) => duration(SECOND..=24 * HOUR);
        /// Most bytes that are kept in the process, about.
        local_max_bytes: usize = 64 * MIB => number(MIB..=1024 * 1024 * MIB);
    }
}

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

section! {
    /// Distributed tracing.
    Trace {
        /// Where spans are sent; none to send none.
        endpoint: Option<Url> = None => optional(http_url);
        /// Which part of the traces is kept that begin here, 0 to 1.
        sample_ratio: f64 = 0.1 => ratio;
    }
}

section! {
    /// Migrations of the schema.
    Migration {
        /// The directory of the migration files, for `migrate`; the service has its own built in.
        path: PathBuf = PathBuf::from("./migrations") => path;
        /// The table that remembers the version.
        table: String = "schema_migrations".to_owned() => table_name;
        /// Whether the service applies pending migrations; none leaves it to the caller, which does so for the embedded
        /// database only.
        auto_migrate: Option<bool> = None => optional(boolean);
        /// How long to wait for another process that migrates.
        lock_timeout: Duration = Duration::from_mins(15) => duration(MILLISECOND..=24 * HOUR);
    }
}

section! {
    /// Who may call.
    Auth {
        /// The tokens.
        jwt: Jwt;
        /// Which scopes the roles of a token grant.
        roles: BTreeMap<String, Vec<String>> = default_roles() => roles;
        /// Passwords of users.
        password: Passwords;
        /// What services may call, which are known by their Consul tokens.
        services: BTreeMap<String, Vec<String>> = BTreeMap::new() => permissions;
        /// How long what Consul says of a token is good.
        service_token_ttl: Duration = 15 * SECOND => duration(SECOND..=5 * MINUTE);
        /// The same while Consul does not answer.
        service_token_grace: Duration = 5 * MINUTE => duration(SECOND..=24 * HOUR);
    }
}

section! {
    /// Tokens, RS256.
    Jwt {
        /// PEM of the key that signs; none for a development key.
        private_key_path: Option<PathBuf> = None => optional(readable_file);
        /// PEM of the key that checks; none for that of the private key.
        public_key_path: Option<PathBuf> = None => optional(readable_file);
        /// Where the issuer publishes its keys.
        jwks: Option<Jwks> = None => optional(jwks);
        /// Whether a development key may be used where none is given; when not said, only beside an embedded database.
        dev_key: Option<bool> = None => optional(boolean);
        /// The `iss` a token must have.
        issuer: String = "catalog-service".to_owned() => text;
        /// The `aud` a token must have.
        audience: String = "catalog".to_owned() => text;
        /// How long the access token of a user who signs in is valid.
        access_token_expiration: Duration = HOUR => seconds(SECOND..=YEAR);
        /// How long a refresh token is valid; each exchange begins it anew.
        refresh_token_expiration: Duration = 24 * HOUR => seconds(SECOND..=YEAR);
        /// By how much clocks may differ.
        leeway: Duration = 5 * SECOND => duration(Duration::ZERO..=60 * SECOND);
    }
}

section! {
    /// Switches.
    Features {
        /// Whether reads are cached.
        enable_caching: bool = true => boolean;
        /// Whether changes reach the search index.
        enable_search_indexing: bool = true => boolean;
        /// Whether changes are written to the audit log.
        enable_audit_logging: bool = true => boolean;
        /// The largest page of a list.
        max_products_per_request: i32 = 100 => number(1..=100);
    }
}

section! {
    /// Events, out and in.
    Events {
        /// Where they go, and come from; none for what is there: a Dapr sidecar, else Redis, else the process itself.
        publisher: Option<PublisherKind> = None => choice(&[
            ("auto", None),
            ("dapr", Some(PublisherKind::Dapr)),
            ("redis", Some(PublisherKind::Redis)),
            ("in_process", Some(PublisherKind::InProcess)),
        ]);
        /// How many are published at a time at most.
        batch: usize = 1000 => number(1..=10_000);
        /// How often one that the broker refuses is tried before it is parked.
        max_attempts: i32 = 10 => number(1..=1000);
        /// How long those that were published are kept in the outbox, for watchers that come back.
        retention: Duration = 24 * HOUR => duration(MINUTE..=YEAR);
        /// About how many a stream of Redis keeps; 0 for all.
        stream_max_length: u64 = 1_000_000 => number(0..=1_000_000_000_000);
        /// The group in which the instances read the streams of Redis.
        consumer_group: String = "catalog-service".to_owned() => text;
    }
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherKind {
    /// To a Dapr sidecar, which has a broker behind it.
    Dapr,
    /// To Redis Streams.
    Redis,
    /// To those in the same process who listen.
    InProcess,
}

impl PublisherKind {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dapr => "dapr",
            Self::Redis => "redis",
            Self::InProcess => "in_process",
        }
    }
}

section! {
    /// The Dapr sidecar.
    Dapr {
        /// Its HTTP port; none when there is no sidecar.
        http_port: Option<u16> = None => optional(number(1..=u16::MAX));
        /// Its gRPC port; none when there is no sidecar. Checked at the start; not used by this version.
        grpc_port: Option<u16> = None => optional(number(1..=u16::MAX));
        /// The token it asks for, when it asks for one.
        api_token: Option<Secret> = None => optional(secret);
        /// The token it has to show when it delivers events; none lets only this host deliver.
        app_api_token: Option<Secret> = None => optional(secret);
        /// Its component for events.
        pubsub_name: String = "pubsub-redis".to_owned() => text;
        /// Its component for state, which is expected to be there.
        state_store_name: String = "statestore-redis".to_owned() => text;
    }
}

section! {
    /// The event bus.
    Kafka {
        /// The `host:port` of its brokers; none for events within the process.
        brokers: Vec<String> = Vec::new() => remote_addresses;
        /// The group of its consumers.
        group_id: String = "catalog-service".to_owned() => text;
    }
}

section! {
    /// Metrics.
    Metrics {
        /// A port of their own; none to have none.
        prometheus_port: Option<u16> = None => optional(number(1..=u16::MAX));
    }
}

section! {
    /// The log.
    Log {
        /// The least important level that is logged.
        level: Level = Level::INFO => choice(&[
            ("trace", Level::TRACE),
            ("debug", Level::DEBUG),
            ("info", Level::INFO),
            ("warn", Level::WARN),
            ("error", Level::ERROR),
        ]);
        /// How a line is written.
        format: LogFormat = LogFormat::Json => choice(&[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    }
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// An object per line, for machines.
    Json,
    /// For people.
    Text,
}
