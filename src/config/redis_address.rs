//! Where Redis is: one server, servers behind Sentinels, or a cluster.

use percent_encoding::percent_decode_str;

use super::parse::{Input, Parsed, Refusal, split_host_port};
use super::secret::Secret;
use super::show::Show;

/// The port of a server where an address names none.
const SERVER_PORT: u16 = 6379;
/// The port of a Sentinel where an address names none.
const SENTINEL_PORT: u16 = 26379;

/// The address of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// What the nodes are.
    pub kind: RedisKind,
    /// Whether to talk TLS to them.
    pub tls: bool,
    /// Host, without brackets, and port of each node: one of a single server, one or more otherwise.
    pub nodes: Vec<(String, u16)>,
    /// The user, when the address names one.
    pub user: Option<String>,
    /// The password, when the address has one; it wins over `data.redis.password`.
    pub password: Option<Secret>,
    /// The number of the database, when the address has one; it wins over `data.redis.db`.
    pub db: Option<u32>,
}

/// The ways to run Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisKind {
    /// One server.
    Single,
    /// The nodes are Sentinels, which know where the master of this name is.
    Sentinel {
        /// The name of the master.
        master: String,
    },
    /// The nodes are some of a cluster, which tell of the others.
    Cluster,
}

impl Show for RedisAddress {
    fn show(&self) -> serde_json::Value {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let (form, path) = match &self.kind {
            RedisKind::Single => ("", String::new()),
            RedisKind::Sentinel { master } => ("+sentinel", format!("/{master}")),
            RedisKind::Cluster => ("+cluster", String::new()),
        };
        let user = self.user.as_deref().unwrap_or_default();
        let credentials = match &self.password {
            Some(password) => format!("{user}:{password}@"),
            None if user.is_empty() => String::new(),
            None => format!("{user}@"),
        };
        let node = |(host, port): &(String, u16)| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        };
        let nodes: Vec<_> = self.nodes.iter().map(node).collect();
        let db = self.db.map_or_else(String::new, |db| format!("/{db}"));
        format!(
            "{scheme}{form}://{credentials}{}{path}{db}",
            nodes.join(",")
        )
        .into()
    }
}

/// Reads an address. It may hold a password, so that one with an `@` is not shown.
pub(super) fn redis_address(input: &Input) -> Parsed<RedisAddress> {
    let text = input.scalar().unwrap_or_default();
    read(text).ok_or_else(|| Refusal {
        allowed: concat!(
            r#"an address such as "localhost:6379", "redis://user:password@localhost:6379/0", "#,
            r#""redis+sentinel://host:26379,host:26379/master-name" or "redis+cluster://host:6379,host:6379" "#,
            "(rediss for TLS; special characters in user and password percent-encoded; a cluster has no database)",
        )
        .to_owned(),
        secret: text.contains('@'),
    })
}

fn read(text: &str) -> Option<RedisAddress> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // Without a scheme the port is not guessed: `localhost` alone is more likely a mistake.
        let (host, port) = split_host_port(text)?;
        return Some(RedisAddress {
            kind: RedisKind::Single,
            tls: false,
            nodes: vec![node(host, port)?],
            user: None,
            password: None,
            db: None,
        });
    };
    let (protocol, form) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = match protocol {
        "redis" => false,
        "rediss" => true,
        _ => return None,
    };
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    let (user, password) = credentials.map_or(Some((None, None)), read_credentials)?;
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (kind, db) = match form {
        "" => (RedisKind::Single, path),
        "cluster" if path.is_empty() => (RedisKind::Cluster, ""),
        "sentinel" => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            let master = is_name(master).then(|| master.to_owned())?;
            (RedisKind::Sentinel { master }, db)
        }
        _ => return None,
    };
    let port = match kind {
        RedisKind::Sentinel { .. } => SENTINEL_PORT,
        RedisKind::Single | RedisKind::Cluster => SERVER_PORT,
    };
    let nodes = hosts.split(',').map(|host| read_node(host, port));
    let nodes = nodes.collect::<Option<Vec<_>>>()?;
    if kind == RedisKind::Single && nodes.len() != 1 {
        return None;
    }
    let db = match db {
        "" => None,
        number => Some(number.parse().ok()?),
    };
    Some(RedisAddress {
        kind,
        tls,
        nodes,
        user,
        password: password.map(Secret::new),
        db,
    })
}

/// `user`, `user:password` or `:password`.
fn read_credentials(text: &str) -> Option<(Option<String>, Option<String>)> {
    let decode = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8().ok()?;
        Some((!decoded.is_empty()).then(|| decoded.into_owned()))
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Some((decode(user)?, decode(password)?))
}

fn read_node(text: &str, default_port: u16) -> Option<(String, u16)> {
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let (host, port) = if has_port {
        split_host_port(text)?
    } else {
        // With a port, so that the host is held to the same rules.
        split_host_port(&format!("{text}:{default_port}"))?;
        (text, default_port)
    };
    node(host, port)
}

fn node(host: &str, port: u16) -> Option<(String, u16)> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}

/// What Sentinel takes for the name of a master.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisAddress {
        read(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn nodes(address: &RedisAddress) -> Vec<(&str, u16)> {
        let nodes = address.nodes.iter();
        nodes.map(|(host, port)| (host.as_str(), *port)).collect()
    }

    #[test]
    fn one_server() {
        let plain = parsed("redis-service:6379");
        assert_eq!(plain.kind, RedisKind::Single);
        assert_eq!(nodes(&plain), [("redis-service", 6379)]);
        assert_eq!((plain.tls, &plain.password, plain.db), (false, &None, None));
        assert_eq!(parsed("redis://redis-service:6379"), plain);
        assert_eq!(parsed("redis://redis-service/"), plain);
        assert_eq!(nodes(&parsed("[::1]:7000")), [("::1", 7000)]);
        assert_eq!(nodes(&parsed("redis://[::1]")), [("::1", 6379)]);

        let full = parsed("rediss://app:p%40ss%2Fword:x@r.internal:6380/7");
        assert!(full.tls);
        assert_eq!(full.user.as_deref(), Some("app"));
        assert_eq!(full.password, Some(Secret::new("p@ss/word:x")));
        assert_eq!(full.db, Some(7));
        let without_user = parsed("redis://:secret@localhost");
        assert_eq!(without_user.user, None);
        assert_eq!(without_user.password, Some(Secret::new("secret")));
    }

    #[test]
    fn sentinels_name_a_master() {
        let address = parsed("redis+sentinel://u:p@a:26379,b/mymaster/2");
        let master = "mymaster".to_owned();
        assert_eq!(address.kind, RedisKind::Sentinel { master });
        assert_eq!(nodes(&address), [("a", 26379), ("b", 26379)]);
        assert_eq!(address.db, Some(2));
        assert!(parsed("rediss+sentinel://a/m").tls);
    }

    #[test]
    fn a_cluster_has_no_database() {
        let address = parsed("redis+cluster://a:7000,b:7001,c");
        assert_eq!(address.kind, RedisKind::Cluster);
        assert_eq!(nodes(&address), [("a", 7000), ("b", 7001), ("c", 6379)]);
        assert_eq!(read("redis+cluster://a:7000/1"), None);
    }

    #[test]
    fn what_is_no_address() {
        for bad in [
            "",
            "localhost",
            ":6379",
            "localhost:0",
            "localhost:65536",
            "a:1,b:2",
            "redis://",
            "redis://a:1,b:2",
            "redis://a:port",
            "redis://a/x",
            "redis://a/0/1",
            "redis://a?db=1",
            "redis://a b",
            "redis://::1",
            "redis://u:p%ff@a",
            "redis+cluster://",
            "redis+cluster://a,",
            "redis+sentinel://a:26379",
            "redis+sentinel://a/ma ster",
            "redis+unix:///tmp/redis.sock",
            "http://localhost:6379",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let refused = |text: &str| redis_address(&Input::Text(text.to_owned())).unwrap_err();
        assert!(refused("redis://u:hunter2@a/x").secret);
        assert!(!refused("localhost").secret);
        let shown = format!("{:?}", parsed("redis://u:hunter2@a"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
