//! The table of every configuration key: its environment variable and its default.

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path in `config.yaml`.
    pub name: &'static str,
    /// The environment variables that override it, the first one set wins.
    pub env: &'static [&'static str],
    /// The built-in value, as it would be written in the file; empty means unset.
    pub default: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

const fn key(name: &'static str, env: &'static [&'static str], default: &'static str) -> Key {
    Key {
        name,
        env,
        default,
        secret: false,
    }
}

const fn secret(name: &'static str, env: &'static [&'static str]) -> Key {
    Key {
        name,
        env,
        default: "",
        secret: true,
    }
}

/// Every key there is; a key that is not here is refused.
pub const KEYS: &[Key] = &[
    key("data_dir", &["CATALOG_DATA_DIR"], ".data"),
    key("server.http.addr", &["SERVER_HTTP_ADDR"], "0.0.0.0:8001"),
    key("server.http.timeout", &["SERVER_HTTP_TIMEOUT"], "1s"),
    key("server.http.max_body_bytes", &[], "1048576"),
    key("server.http.cors.allowed_origins", &[], "*"),
    key("server.grpc.addr", &["SERVER_GRPC_ADDR"], "0.0.0.0:9001"),
    key("server.grpc.timeout", &["SERVER_GRPC_TIMEOUT"], "1s"),
    key("data.database.driver", &[], "postgres"),
    secret("data.database.source", &["DATABASE_URL"]),
    key(
        "data.database.max_connections",
        &["DATABASE_MAX_CONNECTIONS"],
        "20",
    ),
    key("data.database.timeout", &["DATABASE_TIMEOUT"], "30s"),
    key("data.redis.addr", &["REDIS_ADDR"], ""),
    secret("data.redis.password", &["REDIS_PASSWORD"]),
    key("data.redis.db", &["REDIS_DB"], "0"),
    key("data.redis.dial_timeout", &["REDIS_DIAL_TIMEOUT"], "1s"),
    key("data.redis.read_timeout", &["REDIS_READ_TIMEOUT"], "0.2s"),
    key("data.redis.write_timeout", &["REDIS_WRITE_TIMEOUT"], "0.2s"),
    key("consul.address", &["CONSUL_ADDRESS"], ""),
    key("consul.scheme", &["CONSUL_SCHEME"], "http"),
    key("consul.datacenter", &["CONSUL_DATACENTER"], "dc1"),
    key("consul.health_check", &["CONSUL_HEALTH_CHECK"], "true"),
    key(
        "consul.health_check_interval",
        &["CONSUL_HEALTH_CHECK_INTERVAL"],
        "10s",
    ),
    key("consul.health_check_timeout", &[], "3s"),
    key("consul.deregister_critical_service_after", &[], "true"),
    key(
        "consul.deregister_critical_service_after_duration",
        &[],
        "30s",
    ),
    key("trace.endpoint", &["TRACE_ENDPOINT", "JAEGER_ENDPOINT"], ""),
    key("migration.path", &["MIGRATION_PATH"], "./migrations"),
    key("migration.table", &["MIGRATION_TABLE"], "schema_migrations"),
    key("migration.auto_migrate", &["AUTO_MIGRATE"], ""),
    key("migration.lock_timeout", &["MIGRATION_LOCK_TIMEOUT"], "15m"),
    key("auth.jwt.private_key_path", &["JWT_PRIVATE_KEY_PATH"], ""),
    key("auth.jwt.public_key_path", &[], ""),
    key("auth.jwt.issuer", &[], "catalog-service"),
    key("auth.jwt.audience", &[], "catalog"),
    key(
        "auth.jwt.access_token_expiration",
        &["JWT_ACCESS_TOKEN_EXPIRATION"],
        "3600",
    ),
    key(
        "auth.jwt.refresh_token_expiration",
        &["JWT_REFRESH_TOKEN_EXPIRATION"],
        "86400",
    ),
    key("auth.jwt.leeway", &[], "0s"),
    key("features.enable_caching", &[], "true"),
    key("features.enable_search_indexing", &[], "true"),
    key("features.enable_audit_logging", &[], "true"),
    key("features.max_products_per_request", &[], "100"),
    key("dapr.http_port", &["DAPR_HTTP_PORT"], ""),
    key("dapr.grpc_port", &["DAPR_GRPC_PORT"], ""),
    key("dapr.pubsub_name", &["DAPR_PUBSUB_NAME"], "pubsub-redis"),
    key(
        "dapr.state_store_name",
        &["DAPR_STATE_STORE_NAME"],
        "statestore-redis",
    ),
    key("kafka.brokers", &["KAFKA_BROKERS"], ""),
    key("kafka.group_id", &["KAFKA_GROUP_ID"], "catalog-service"),
    key("metrics.prometheus_port", &["PROMETHEUS_PORT"], ""),
    key("log.level", &["LOG_LEVEL"], "info"),
    key("log.format", &["LOG_FORMAT"], "text"),
];
