//! What a user of the configuration sees: precedence, refusals, and the files that ship.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tracing::Level;

use super::*;

fn no_env(_: &str) -> Option<String> {
    None
}

fn load(yaml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("config.yaml"), yaml).unwrap();
    Config::load(Some(dir.path()), &of(env))
}

fn of(env: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let env: HashMap<String, String> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| env.get(name).cloned()
}

/// The message, with the directory of the file taken out.
fn refused(yaml: &str, env: &[(&str, &str)]) -> String {
    let text = load(yaml, env).unwrap_err().to_string();
    let words = text.split(' ').map(|word| match word.find("config.yaml") {
        Some(at) => &word[at..],
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("configs")
        .join(name)
}

/// A value other than the default for each environment variable.
fn other_value(name: &str, file: &str) -> String {
    let value = match name {
        "SERVER_HTTP_ADDR" | "SERVER_GRPC_ADDR" => "127.0.0.1:7001",
        "DATABASE_URL" => "postgresql://user:pass@localhost:5432/service_db",
        "MIGRATION_PATH" | "CATALOG_DATA_DIR" => "/elsewhere",
        "REDIS_ADDR" | "CONSUL_ADDRESS" | "KAFKA_BROKERS" => "localhost:6379",
        "CONSUL_SCHEME" => "https",
        "AUTO_MIGRATE"
        | "CONSUL_HEALTH_CHECK"
        | "JWT_DEV_KEY"
        | "ENABLE_CACHING"
        | "ENABLE_AUDIT_LOGGING"
        | "ENABLE_SEARCH_INDEXING"
        | "RATE_LIMIT_ENABLE" => "false",
        "SERVER_TRUSTED_PROXIES" => "10.0.0.0/8",
        "AUDIT_READS" | "SERVER_HTTP_COMPRESSION" => "true",
        "AUDIT_RETENTION" => "77h",
        "AUTH_SERVICES" => "{a: [catalog.v1.CatalogService/GetProduct]}",
        "CONSUL_CACERT"
        | "JWT_JWKS"
        | "JWT_PRIVATE_KEY_PATH"
        | "JWT_PUBLIC_KEY_PATH"
        | "PII_KEYS_PATH"
        | "SERVER_TLS_CERT_PATH"
        | "SERVER_TLS_KEY_PATH"
        | "SERVER_TLS_CLIENT_CA_PATH" => file,
        "AUTH_SERVICE_TOKEN_GRACE" | "SERVER_SHUTDOWN_DELAY" => "7s",
        "PII_KEYS" => "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "BCRYPT_COST" => "7",
        "TRACE_ENDPOINT" | "JAEGER_ENDPOINT" | "OTEL_EXPORTER_OTLP_ENDPOINT" => {
            "http://localhost:14268/api/traces"
        }
        "TRACE_SAMPLE_RATIO" => "0.7",
        "LOG_LEVEL" => "error",
        "EVENTS_PUBLISHER" => "in_process",
        "EVENTS_BATCH"
        | "EVENTS_MAX_ATTEMPTS"
        | "EVENTS_STREAM_MAX_LENGTH"
        | "MAX_PRODUCTS_PER_REQUEST" => "77",
        "EVENTS_RETENTION" => "7h",
        "LOG_FORMAT" => "text",
        "CACHE_LOCAL_MAX_BYTES" => "7777777",
        _ if name.ends_with("_TTL")
            || name.ends_with("_TIMEOUT")
            || name.ends_with("_INTERVAL") =>
        {
            "7s"
        }
        _ if name.ends_with("_EXPIRATION")
            || name.ends_with("_PORT")
            || name.ends_with("_CONNECTIONS")
            || name.ends_with("_PER_MINUTE")
            || name.ends_with("_IN_FLIGHT")
            || name.ends_with("_DB") =>
        {
            "77"
        }
        _ => "another",
    };
    value.to_owned()
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(Config::load(None, &no_env).unwrap(), Config::default());
    assert_eq!(load("", &[]).unwrap(), Config::default());
    assert_eq!(
        load(
            "server:\n  http:\nlog: {level: }\ndata: {database: {source: ''}}",
            &[]
        )
        .unwrap(),
        Config::default()
    );
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let yaml = "server: {http: {timeout: 2s}, grpc: {timeout: 0.2s}}\nlog: {level: debug}";
    let config = load(yaml, &[("SERVER_HTTP_TIMEOUT", "1m30s"), ("LOG_LEVEL", "")]).unwrap();
    assert_eq!(config.server.http.timeout, Duration::from_secs(90));
    assert_eq!(config.server.grpc.timeout, Duration::from_millis(200));
    assert_eq!(config.log.level, Level::DEBUG, "an empty variable is unset");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn every_environment_variable_sets_its_key_and_no_other() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let default = format!("{:#?}", Config::default());
    for (name, key) in ENVIRONMENT {
        let value = other_value(name, file.path().to_str().unwrap());
        let config = Config::load(None, &of(&[(name, &value)]))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_ne!(format!("{config:#?}"), default, "{name} has no effect");

        // The file says the same with the key: the variable sets this key and no other.
        let mut yaml = format!("'{value}'");
        for part in key.rsplit('.') {
            yaml = format!("{{{part}: {yaml}}}");
        }
        assert_eq!(load(&yaml, &[]).unwrap(), config, "{name} is not {key}");
    }
}

#[test]
fn what_is_printed_says_the_same_and_names_its_sources() {
    let printed = |config: &Config, origins: &_| {
        let text = config.print(origins);
        assert_eq!(&load(&text, &[]).unwrap(), config, "{text}");
        text
    };
    printed(&Config::default(), &BTreeMap::new());

    let file = tempfile::NamedTempFile::new().unwrap();
    for (name, key) in ENVIRONMENT {
        let value = other_value(name, file.path().to_str().unwrap());
        let (config, origins) = Config::load_sourced(None, &of(&[(name, &value)])).unwrap();
        if is_secret(name) {
            continue;
        }
        let text = printed(&config, &origins);
        let last = key.rsplit('.').next().unwrap();
        let line = text
            .lines()
            .find(|line| line.ends_with(&format!("# {name}")));
        let line = line.unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(line.trim().starts_with(&format!("{last}: ")), "{line}");
        let others = text.lines().filter(|line| line.ends_with("# default"));
        assert_eq!(others.count(), Config::keys().len() - 1, "{name}");
    }
}

fn is_secret(variable: &str) -> bool {
    ["PASSWORD", "TOKEN", "DATABASE_URL", "PII_KEYS"]
        .iter()
        .any(|word| variable.ends_with(word))
}

#[test]
fn secrets_are_not_printed() {
    let env = [
        (
            "DATABASE_URL",
            "postgresql://user:hunter2@db:5432/catalog?sslmode=disable&password=hunter2",
        ),
        (
            "REDIS_ADDR",
            "rediss+sentinel://me:hunter2@one:1,[::1]:2/main/3",
        ),
        ("REDIS_PASSWORD", "hunter2"),
        ("DAPR_API_TOKEN", "hunter2"),
        ("APP_API_TOKEN", "hunter2"),
        ("PII_KEYS", "a:aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="),
    ];
    let (config, origins) = Config::load_sourced(None, &of(&env)).unwrap();
    let text = config.print(&origins);
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVy"),
        "{text}"
    );
    for line in [
        r#"    keys: "***"  # PII_KEYS"#,
        r#"    source: "postgresql://user:***@db:5432/catalog?***"  # DATABASE_URL"#,
        r#"    addr: "rediss+sentinel://me:***@one:1,[::1]:2/main/3"  # REDIS_ADDR"#,
        r#"    password: "***"  # REDIS_PASSWORD"#,
        r#"  app_api_token: "***"  # APP_API_TOKEN"#,
    ] {
        assert!(
            text.lines().any(|printed| printed == line),
            "{line}: {text}"
        );
    }
}

#[test]
fn misspelt_variables_are_found_and_those_of_others_left_alone() {
    let names = [
        "SERVER_HTTP_ADR",
        "DATABASE_URI",
        "REDIS_PORT",
        "PATH",
        "LOG_LEVEL",
        "LOG_LEVLE",
    ];
    let found = [
        ("SERVER_HTTP_ADR", "SERVER_HTTP_ADDR"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("LOG_LEVLE", "LOG_LEVEL"),
    ];
    assert_eq!(Config::misspelt(names), found);
}

#[test]
fn environment_variables_set_keys_that_exist() {
    let keys = Config::keys();
    for (name, key) in ENVIRONMENT {
        assert!(keys.iter().any(|known| known == key), "{name} sets {key}");
        assert_eq!(
            ENVIRONMENT
                .iter()
                .filter(|(other, _)| other == name)
                .count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn of_two_variables_for_one_key_the_newer_wins() {
    let env = [
        ("JAEGER_ENDPOINT", "http://old:1/"),
        ("TRACE_ENDPOINT", "http://new:1/"),
    ];
    assert_eq!(
        load("", &env).unwrap().trace.endpoint.unwrap().as_str(),
        "http://new:1/"
    );
}

#[test]
fn events_go_where_something_is() {
    let publisher = |env: &[(&str, &str)]| load("", env).unwrap().publisher();
    let (dapr, redis) = (("DAPR_HTTP_PORT", "3500"), ("REDIS_ADDR", "localhost:6379"));
    assert_eq!(publisher(&[]), PublisherKind::InProcess);
    assert_eq!(publisher(&[redis]), PublisherKind::Redis);
    assert_eq!(publisher(&[redis, dapr]), PublisherKind::Dapr);
    for (word, kind) in [
        ("auto", PublisherKind::Dapr),
        ("dapr", PublisherKind::Dapr),
        ("redis", PublisherKind::Redis),
        ("in_process", PublisherKind::InProcess),
    ] {
        assert_eq!(publisher(&[redis, dapr, ("EVENTS_PUBLISHER", word)]), kind);
    }
}

#[test]
fn roles_are_those_of_the_file() {
    let yaml = "auth: {roles: {auditor: ['catalog:read', 'identity:read'], nobody: []}}";
    let roles = load(yaml, &[]).unwrap().auth.roles;
    let scopes = ["catalog:read", "identity:read"]
        .map(str::to_owned)
        .to_vec();
    let expected = [
        ("auditor".to_owned(), scopes),
        ("nobody".to_owned(), vec![]),
    ];
    assert_eq!(roles, expected.into());
}

#[test]
fn keys_for_personal_data_are_not_shown() {
    let config = load(
        "",
        &[("PII_KEYS", "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")],
    )
    .unwrap();
    let shown = format!("{config:?}");
    assert!(
        shown.contains(r#"["a"]"#) && !shown.contains("AAEC"),
        "{shown}"
    );
}

#[test]
fn auto_migrate_has_three_states() {
    let state = |value| {
        load("", &[("AUTO_MIGRATE", value)])
            .unwrap()
            .migration
            .auto_migrate
    };
    assert_eq!(
        [state(""), state("true"), state("false")],
        [None, Some(true), Some(false)]
    );
}

/// A file, the environment, and what they are refused with.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn refusals_name_key_source_value_and_what_is_allowed() {
    let cases: &[Case] = &[
        (
            "",
            &[("SERVER_HTTP_TIMEOUT", "soon")],
            r#"server.http.timeout (SERVER_HTTP_TIMEOUT): "soon" is not allowed; must be a duration such as "1s", "0.2s" or "1m30s", from 1ms to 1h"#,
        ),
        (
            "data: {database: {max_connections: 0}}",
            &[],
            "data.database.max_connections in config.yaml: 0 is not allowed; must be a whole number from 1 to 10000",
        ),
        (
            "log: {format: xml}",
            &[],
            r#"log.format in config.yaml: "xml" is not allowed; must be one of json, text"#,
        ),
        (
            "migration: {auto_migrate: maybe}",
            &[],
            r#"migration.auto_migrate in config.yaml: "maybe" is not allowed; must be true or false"#,
        ),
        (
            "",
            &[("SERVER_GRPC_ADDR", "9001")],
            r#"server.grpc.addr (SERVER_GRPC_ADDR): "9001" is not allowed; must be an address such as "0.0.0.0:8001", "[::]:8001", "localhost:8001" or ":8001""#,
        ),
        (
            "",
            &[("JWT_PRIVATE_KEY_PATH", "/nowhere/key.pem")],
            r#"auth.jwt.private_key_path (JWT_PRIVATE_KEY_PATH): "/nowhere/key.pem" is not allowed; must be the path of a readable file (No such file or directory (os error 2))"#,
        ),
        (
            "auth: {jwt: {leeway: 2m}}",
            &[],
            r#"auth.jwt.leeway in config.yaml: "2m" is not allowed; must be a duration such as "1s", "0.2s" or "1m30s", from 0s to 1m"#,
        ),
        (
            "server: 7",
            &[],
            "server in config.yaml: a single value is not allowed; must be a section with the keys http, grpc, tls, shutdown_delay, max_in_flight, trusted_proxies",
        ),
        (
            "",
            &[("SERVER_GRPC_ADDR", ":8001")],
            "server.grpc.addr: 0.0.0.0:8001 is not allowed; must differ from server.http.addr",
        ),
        (
            "auth: {roles: {viewer: catalog:read}}",
            &[],
            r#"auth.roles in config.yaml: a section is not allowed; must be names of roles, each with a list of scopes, such as {viewer: ["catalog:read"]}"#,
        ),
        (
            "",
            &[("PII_KEYS", "2026:c2VjcmV0")],
            r#"security.pii.keys (PII_KEYS): *** is not allowed; must be keys such as "2026-01:<32 bytes in base64>", the newest first, with commas between (key 1: must be an id of 1 to 32 letters, digits, '-', '_' or '.', a colon and 32 bytes in base64)"#,
        ),
        (
            "security: {pii: {keys_path: Cargo.toml}}",
            &[("PII_KEYS", "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
            "security.pii.keys: *** is not allowed: security.pii.keys_path (PII_KEYS_PATH) is set too, and one of them says all",
        ),
        (
            "",
            &[("TRACE_ENDPOINT", "https://tempo:4318/")],
            "trace.endpoint: https://tempo:4318/ is not allowed: spans are sent by http; one that wants TLS has an agent beside the service",
        ),
        (
            "data: {redis: {db: 3}}",
            &[("REDIS_ADDR", "redis+cluster://a:6379")],
            "data.redis.db: 3 is not allowed: data.redis.addr is a cluster, which has database 0 only",
        ),
        (
            "events: {publisher: dapr}",
            &[],
            "events.publisher: dapr is not allowed: dapr.http_port (DAPR_HTTP_PORT) is not set",
        ),
        (
            "",
            &[("EVENTS_PUBLISHER", "redis"), ("DAPR_HTTP_PORT", "3500")],
            "events.publisher: redis is not allowed: data.redis.addr (REDIS_ADDR) is not set",
        ),
        (
            "",
            &[("EVENTS_PUBLISHER", "kafka")],
            r#"events.publisher (EVENTS_PUBLISHER): "kafka" is not allowed; must be one of auto, dapr, redis, in_process"#,
        ),
        (
            "",
            &[("REDIS_ADDR", "redis+sentinel://a:26379")],
            r#"data.redis.addr (REDIS_ADDR): "redis+sentinel://a:26379" is not allowed; must be an address such as "localhost:6379", "redis://user:password@localhost:6379/0", "redis+sentinel://host:26379,host:26379/master-name" or "redis+cluster://host:6379,host:6379" (rediss for TLS; special characters in user and password percent-encoded; a cluster has no database)"#,
        ),
        (
            "server: {http: {adr: x}}",
            &[],
            "server.http.adr in config.yaml: unknown key; did you mean `addr`?",
        ),
        (
            "server: {http: {address: x}}",
            &[],
            "server.http.address in config.yaml: unknown key; did you mean `addr`?",
        ),
        (
            "database: {}",
            &[],
            "database in config.yaml: unknown key; did you mean `data.database`?",
        ),
        (
            "log: {colour: red}",
            &[],
            "log.colour in config.yaml: unknown key; there are level, format",
        ),
    ];
    for (yaml, env, message) in cases {
        assert_eq!(refused(yaml, env), *message);
    }
}

#[test]
fn a_refusal_is_one_line_however_odd_the_value() {
    for odd in ["a\nb", "\u{1b}[31m", &"x".repeat(10_000)] {
        let text = refused("", &[("LOG_LEVEL", odd)]);
        assert!(
            !text.contains(char::is_control) && text.len() < 400,
            "{text}"
        );
    }
    let text = refused("a: b: c\n  d", &[]);
    assert!(
        text.starts_with("config.yaml is not valid YAML: ") && !text.contains('\n'),
        "{text}"
    );
    assert!(refused("log: {level: info, level: warn}", &[]).contains("duplicate"));
}

#[test]
fn secrets_are_never_shown() {
    let env = [
        ("DATABASE_URL", "postgres://user:hunter2@localhost/db"),
        ("REDIS_PASSWORD", "hunter2"),
        ("DAPR_API_TOKEN", "hunter2"),
        ("APP_API_TOKEN", "hunter2"),
        ("CONSUL_HTTP_TOKEN", "hunter2"),
    ];
    let config = load("", &env).unwrap();
    assert_eq!(
        config.data.database.source.as_ref().unwrap().expose(),
        env[0].1
    );
    assert_eq!(
        config.data.redis.password.as_ref().unwrap().expose(),
        "hunter2"
    );
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        config.data.redis.password.unwrap().to_string(),
    ] {
        assert!(
            !shown.contains("hunter2") && shown.contains("***"),
            "{shown}"
        );
    }

    for url in [
        "mysql://user:hunter2@localhost/db",
        "hunter2",
        "postgres://user:hunter2@localhost:99999/db",
    ] {
        let text = refused("", &[("DATABASE_URL", url)]);
        assert!(
            !text.contains("hunter2") && text.contains("(DATABASE_URL): *** is not allowed"),
            "{text}"
        );
    }
    for yaml in [
        "data: {redis: {password: [hunter2]}}",
        "data: {redis: {password: {hunter2: 1}}}",
    ] {
        assert!(!refused(yaml, &[]).contains("hunter2"));
    }
    assert!(!refused("data: {redis: {password: 4711}}", &[]).contains("4711"));
    let text = refused("", &[("REDIS_ADDR", "redis://u:hunter2@localhost/x")]);
    assert!(
        text.contains("(REDIS_ADDR): ***") && !text.contains("hunter2"),
        "{text}"
    );
    let env = [("REDIS_ADDR", "redis://u:hunter2@localhost")];
    let config = load("", &env).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!refused("", &[("TRACE_ENDPOINT", "http://u:hunter2@localhost/")]).contains("hunter2"));
}

#[test]
fn a_directory_must_have_the_file() {
    let dir = TempDir::new().unwrap();
    let text = Config::load(Some(dir.path()), &no_env)
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot read the configuration ")
            && text.contains("config.yaml: No such file"),
        "{text}"
    );
}

#[test]
fn the_shipped_file_has_every_key_and_the_defaults() {
    let file = shipped("config.yaml");
    assert_eq!(
        Config::load(file.parent(), &no_env).unwrap(),
        Config::default()
    );

    let text = fs::read_to_string(&file).unwrap();
    let tree: Value = serde_yaml_ng::from_str(&text).unwrap();
    for key in Config::keys() {
        key.split('.')
            .try_fold(&tree, |node, part| node.get(part))
            .unwrap_or_else(|| panic!("{key} is not explained"));
    }
    for (name, _) in ENVIRONMENT {
        assert!(text.contains(name), "{name} is not explained");
    }
}

#[test]
fn every_shipped_file_loads() {
    for entry in fs::read_dir(shipped("")).unwrap() {
        let file = entry.unwrap().path();
        Config::load(Some(&file), &no_env).unwrap_or_else(|error| panic!("{error}"));
    }
    let dev = Config::load(Some(&shipped("config-dev.yaml")), &no_env).unwrap();
    assert_eq!(
        dev.log,
        Log {
            level: Level::DEBUG,
            format: LogFormat::Text
        }
    );
}
