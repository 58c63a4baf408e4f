//! Database URLs: what golang-migrate's own `x-*` parameters say, and the rest as connection options.
//!
//! golang-migrate's driver sends every parameter it does not know (`search_path`, `timezone`, …) to the server as a
//! run-time setting. That is done here too, as the current schema decides where the version table is.

use std::{fmt, time::Duration};

use ::url::Url;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::{Error, TableName, error::one_line};

/// Parameters that are about the connection and known to sqlx.
const KNOWN: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parameters of other clients that are no settings of the server, and have no counterpart here.
const IGNORED: &[&str] = &[
    "binary_parameters",
    "channel_binding",
    "client_encoding",
    "disable_prepared_binary_result",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbspn",
    "krbsrvname",
    "load_balance_hosts",
    "passfile",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// A parsed database URL. Its `Debug` shows no part that could be secret.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) options: PgConnectOptions,
    /// The URL's path as golang-migrate's command puts it into the lock key: with its slash, or empty.
    pub(super) path: String,
    pub(super) table: Option<TableName>,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) multi_statement: bool,
    pub(super) connect_timeout: Option<Duration>,
}

impl DatabaseUrl {
    /// Reads a `postgres://` or `postgresql://` URL, with a host, or with a Unix socket directory as
    /// `postgres:///db?host=/dir` or `postgres://%2Fdir/db`. Errors never repeat the URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            return Err(Error::Url(
                "it must begin with postgres:// or postgresql://".to_owned(),
            ));
        }
        let mut url =
            Url::parse(&with_host(text)).map_err(|error| Error::Url(error.to_string()))?;

        let mut kept = Vec::new();
        let mut settings = Vec::new();
        let mut custom = Vec::new();
        let mut connect_timeout = None;
        for (key, value) in url.query_pairs() {
            let pair = (key.into_owned(), value.into_owned());
            if pair.0.starts_with("x-") {
                custom.push(pair);
            } else if pair.0 == "connect_timeout" {
                connect_timeout = Some(number(&pair.0, &pair.1)?)
                    .filter(|n| *n > 0)
                    .map(Duration::from_secs);
            } else if KNOWN.contains(&pair.0.as_str()) || pair.0.starts_with("options[") {
                kept.push(pair);
            } else if !IGNORED.contains(&pair.0.as_str()) {
                settings.push(pair);
            }
        }

        url.set_query(None);
        let path = match connect_options(&url)?.get_database() {
            Some(database) if !url.path().trim_start_matches('/').is_empty() => {
                format!("/{database}")
            }
            _ => url.path().to_owned(),
        };
        let named = kept.iter().any(|(key, _)| key == "application_name");
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(&kept);
        }
        let mut options = connect_options(&url)?;
        if !settings.is_empty() {
            options = options.options(settings);
        }
        if !named {
            options = options.application_name("migrate");
        }

        let custom = |wanted: &str| {
            custom
                .iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.as_str())
        };
        let quoted = flag(
            "x-migrations-table-quoted",
            custom("x-migrations-table-quoted"),
        )?;
        let table = match custom("x-migrations-table").filter(|name| !name.is_empty()) {
            Some(name) if quoted => Some(quoted_table(name)?),
            Some(name) => Some(name.into()),
            None => None,
        };
        let statement_timeout =
            match custom("x-statement-timeout").filter(|value| !value.is_empty()) {
                Some(value) => Some(number("x-statement-timeout", value)?)
                    .filter(|ms| *ms > 0)
                    .map(Duration::from_millis),
                None => None,
            };
        let multi_statement = flag("x-multi-statement", custom("x-multi-statement"))?;
        Ok(Self {
            options,
            path,
            table,
            statement_timeout,
            multi_statement,
            connect_timeout,
        })
    }

    /// The options to connect with.
    pub fn connect_options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The version table the URL asks for (`x-migrations-table`).
    pub fn table(&self) -> Option<&TableName> {
        self.table.as_ref()
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("path", &self.path)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// The version table for a URL: the one the URL asks for, else the configured one.
pub fn table_name(url: &str, configured: &str) -> Result<TableName, Error> {
    Ok(DatabaseUrl::parse(url)?
        .table
        .unwrap_or_else(|| configured.into()))
}

fn connect_options(url: &Url) -> Result<PgConnectOptions, Error> {
    // Migrations may hold secrets (CREATE ROLE … PASSWORD) and are long: their text is not for logs.
    PgConnectOptions::from_url(url)
        .map(PgConnectOptions::disable_statement_logging)
        .map_err(|error| Error::Url(one_line(&error.to_string())))
}

/// Fills in the host where there is a user but no host, as in `postgres://user@/db?host=/dir`: valid for PostgreSQL,
/// but not for a general URL parser. The `host` parameter still decides when there is one.
fn with_host(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| start + at);
    let authority = &text[start..end];
    match authority.rfind('@') {
        Some(at) if authority[at + 1..].is_empty() || authority[at + 1..].starts_with(':') => {
            let (before, after) = text.split_at(start + at + 1);
            format!("{before}localhost{after}")
        }
        _ => text.to_owned(),
    }
}

fn number(key: &str, value: &str) -> Result<u64, Error> {
    value
        .parse()
        .map_err(|_| Error::Url(format!("{key} must be a whole number, not {value:?}")))
}

/// A boolean in the spellings of Go's `strconv.ParseBool`.
fn flag(key: &str, value: Option<&str>) -> Result<bool, Error> {
    match value.unwrap_or_default() {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        other => Err(Error::Url(format!(
            "{key} must be true or false, not {other:?}"
        ))),
    }
}

/// `"table"` or `"schema"."table"`.
fn quoted_table(text: &str) -> Result<TableName, Error> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let parts: Vec<_> = inner
        .map(|inner| inner.split("\".\"").collect())
        .unwrap_or_default();
    match parts[..] {
        [name] if !name.is_empty() => Ok(name.into()),
        [schema, name] if !schema.is_empty() && !name.is_empty() => Ok(TableName {
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        }),
        _ => Err(Error::Url(
            "x-migrations-table must be \"table\" or \"schema\".\"table\" when it is quoted"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DatabaseUrl {
        DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn custom_parameters_are_taken_out_and_honoured() {
        let url = parse(
            "postgres://u:p@h:5433/catalog?x-migrations-table=my_table&sslmode=disable&x-statement-timeout=1500\
             &x-multi-statement=true&x-unknown=1&connect_timeout=7&application_name=me",
        );
        assert_eq!(url.table, Some("my_table".into()));
        assert_eq!(url.statement_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(url.connect_timeout, Some(Duration::from_secs(7)));
        assert!(url.multi_statement);
        let options = &url.options;
        assert_eq!(
            (
                options.get_host(),
                options.get_port(),
                options.get_username()
            ),
            ("h", 5433, "u")
        );
        assert_eq!(options.get_database(), Some("catalog"));
        assert_eq!(options.get_application_name(), Some("me"));
        assert!(matches!(
            options.get_ssl_mode(),
            sqlx::postgres::PgSslMode::Disable
        ));
        assert!(!options.to_url_lossy().as_str().contains("x-"));
    }

    #[test]
    fn parameters_of_the_server_become_settings() {
        let url = parse("postgres://h/db?search_path=app,public&timezone=UTC&gssencmode=disable");
        let options = url.options.get_options().unwrap();
        assert!(
            options.contains("-c search_path=app,public") && options.contains("-c timezone=UTC"),
            "{options}"
        );
        assert!(!options.contains("gssencmode"), "{options}");
    }

    #[test]
    fn the_path_is_what_golang_migrate_locks_with() {
        for (text, path) in [
            ("postgres://h/catalog", "/catalog"),
            ("postgresql://h/catalog?x-a=b", "/catalog"),
            ("postgres://h/a%20b", "/a b"),
            ("postgres://h?dbname=catalog", ""),
            ("postgres://h/", "/"),
            ("postgres:///catalog?host=/run/postgresql", "/catalog"),
            ("postgres://u@/catalog?host=/run/postgresql", "/catalog"),
            ("postgres://u:p@:5433/catalog", "/catalog"),
            ("postgres://%2Frun%2Fpostgresql/catalog", "/catalog"),
        ] {
            assert_eq!(parse(text).path, path, "{text}");
        }
    }

    #[test]
    fn unix_sockets_are_found() {
        for text in [
            "postgres:///db?host=/run/postgresql&port=5433",
            "postgres://u:p@/db?host=/run/postgresql&port=5433",
            "postgres://%2Frun%2Fpostgresql:5433/db",
        ] {
            let url = parse(text);
            let socket = url
                .options
                .get_socket()
                .map(|path| path.to_string_lossy().into_owned());
            assert_eq!(socket.as_deref(), Some("/run/postgresql"), "{text}");
            assert_eq!(
                (url.options.get_port(), url.options.get_database()),
                (5433, Some("db")),
                "{text}"
            );
        }
    }

    #[test]
    fn quoted_tables_may_name_a_schema() {
        assert_eq!(quoted_table("\"t\"").unwrap(), "t".into());
        let expected = TableName {
            schema: Some("s".to_owned()),
            name: "t.u".to_owned(),
        };
        assert_eq!(quoted_table("\"s\".\"t.u\"").unwrap(), expected);
        for text in ["t", "\"t", "\"\"", "\"a\".\"b\".\"c\""] {
            assert!(quoted_table(text).is_err(), "{text}");
        }
        let url = parse(
            "postgres://h/db?x-migrations-table=%22s%22.%22t%22&x-migrations-table-quoted=true",
        );
        assert_eq!(url.table.unwrap().schema.as_deref(), Some("s"));
    }

    #[test]
    fn errors_and_debug_never_show_a_password() {
        for text in [
            "mysql://u:hunter2@h/db",
            "host=h password=hunter2",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@[h/db",
            "postgres://u:hunter2@h/db?sslmode=sometimes",
            "postgres://u:hunter2@h/db?x-statement-timeout=soon",
            "postgres://u:hunter2@h/db?x-multi-statement=maybe",
            "postgres://u:hunter2#x@h/db?port=y",
        ] {
            let shown = match DatabaseUrl::parse(text) {
                Ok(url) => format!("{url:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains('\n'), "{shown}");
        }
        assert!(!format!("{:?}", parse("postgres://u:hunter2@h/db")).contains("hunter2"));
    }
}
