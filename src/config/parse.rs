//! From what a file or the environment says to a value; each parser knows what it allows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_yaml_ng::Value;
use url::Url;

use super::network::Network;
use super::secret::{MASK, Secret};

/// What was found at a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// Text: a YAML string or an environment variable.
    Text(String),
    /// A YAML number or boolean.
    Plain(String),
    /// A YAML list of texts.
    List(Vec<String>),
    /// A YAML mapping of names to lists of texts.
    Lists(Vec<(String, Vec<String>)>),
    /// Anything else.
    Other(&'static str),
}

impl Input {
    /// What a node says; `None` when it says nothing, as an empty text does.
    pub fn of(node: &Value) -> Option<Self> {
        Some(match node {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => Self::Text(text.clone()),
            Value::Number(number) => Self::Plain(number.to_string()),
            Value::Bool(bool) => Self::Plain(bool.to_string()),
            Value::Sequence(items) => {
                texts(items).map_or(Self::Other("a list of other things than text"), Self::List)
            }
            Value::Mapping(entries) => {
                let list = |(name, items): (&Value, &Value)| {
                    Some((name.as_str()?.to_owned(), texts(items.as_sequence()?)?))
                };
                let lists: Option<Vec<_>> = entries.iter().map(list).collect();
                lists.map_or(Self::Other("a section"), Self::Lists)
            }
            Value::Tagged(_) => Self::Other("a tagged value"),
        })
    }

    /// The value for a message: on one line, not too long, masked when it is a secret.
    pub fn shown(&self, secret: bool) -> String {
        const LONGEST: usize = 120;
        let text = match self {
            Self::Other(what) => return (*what).to_owned(),
            _ if secret => return MASK.to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::Plain(text) => text.clone(),
            Self::List(items) => format!("{items:?}"),
            Self::Lists(lists) => format!("{lists:?}"),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// The value as it was written, be it text, number or boolean.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Plain(text) => Some(text),
            Self::List(_) | Self::Lists(_) | Self::Other(_) => None,
        }
    }

    /// Text only: a number would not keep its zeros.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list, or of a text with commas.
    fn items(&self) -> Option<Vec<&str>> {
        match self {
            Self::List(items) => Some(items.iter().map(String::as_str).collect()),
            Self::Text(text) => Some(text.split(',').map(str::trim).collect()),
            _ => None,
        }
    }
}

fn texts(items: &[Value]) -> Option<Vec<String>> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    items.iter().map(text).collect()
}

/// Why a value is not accepted.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// What would be; reads on after "must be".
    pub allowed: String,
    /// Whether the value must not be shown.
    pub secret: bool,
}

/// A refusal of a value that may be shown.
pub(super) fn refusal(allowed: impl Into<String>) -> Refusal {
    Refusal {
        allowed: allowed.into(),
        secret: false,
    }
}

/// What a parser makes of a value.
pub(super) type Parsed<T> = Result<T, Refusal>;

/// The value of another parser, for a key that may be unset.
pub(super) fn optional<T>(
    parse: impl Fn(&Input) -> Parsed<T>,
) -> impl Fn(&Input) -> Parsed<Option<T>> {
    move |input| parse(input).map(Some)
}

/// `true` or `false`.
pub(super) fn boolean(input: &Input) -> Parsed<bool> {
    input
        .scalar()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| refusal("true or false"))
}

/// A whole number in a range.
pub(super) fn number<N>(range: RangeInclusive<N>) -> impl Fn(&Input) -> Parsed<N>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    move |input| {
        let number = input
            .scalar()
            .and_then(|text| text.parse().ok())
            .filter(|number| range.contains(number));
        number.ok_or_else(|| {
            refusal(format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        })
    }
}

/// A part of a whole.
pub(super) fn ratio(input: &Input) -> Parsed<f64> {
    let ratio = input.scalar().and_then(|text| text.parse().ok());
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| refusal("a number from 0 to 1, such as 0.1".to_owned()))
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&Input) -> Parsed<T> {
    move |input| {
        let found = input.text().and_then(|text| {
            choices
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))
        });
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            refusal(match words.as_slice() {
                [one] => (*one).to_owned(),
                _ => format!("one of {}", words.join(", ")),
            })
        })
    }
}

/// Any text.
pub(super) fn text(input: &Input) -> Parsed<String> {
    input
        .text()
        .map(str::to_owned)
        .ok_or_else(|| refusal("text; put quotes around it"))
}

/// Any text, never shown.
pub(super) fn secret(input: &Input) -> Parsed<Secret> {
    text(input).map(Secret::new).map_err(|refusal| Refusal {
        secret: true,
        ..refusal
    })
}

/// A path.
pub(super) fn path(input: &Input) -> Parsed<PathBuf> {
    input
        .text()
        .map(PathBuf::from)
        .ok_or_else(|| refusal("a path; put quotes around it"))
}

/// A path of a file that is there and can be opened.
pub(super) fn readable_file(input: &Input) -> Parsed<PathBuf> {
    let path = path(input)?;
    let opened = std::fs::File::open(&path).and_then(|file| file.metadata());
    match opened {
        Ok(metadata) if metadata.is_file() => Ok(path),
        Ok(_) => Err(refusal("the path of a file (this is none)")),
        Err(cause) => Err(refusal(format!("the path of a readable file ({cause})"))),
    }
}

/// A name that PostgreSQL accepts unquoted.
pub(super) fn table_name(input: &Input) -> Parsed<String> {
    let fits = |name: &&str| {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let name = input.text().filter(fits).map(str::to_owned);
    name.ok_or_else(|| {
        refusal("a table name of at most 63 letters, digits and _, not starting with a digit")
    })
}

/// An address to listen on. Without a host it is all IPv4 addresses.
pub(super) fn listen_address(input: &Input) -> Parsed<SocketAddr> {
    let allowed = || {
        refusal(r#"an address such as "0.0.0.0:8001", "[::]:8001", "localhost:8001" or ":8001""#)
    };
    let text = input.text().ok_or_else(allowed)?;
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = split_host_port(text).ok_or_else(allowed)?;
    match host {
        "" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        name => {
            let found: Vec<SocketAddr> = (name, port)
                .to_socket_addrs()
                .map_err(|_| allowed())?
                .collect();
            let v4 = found.iter().find(|address| address.is_ipv4());
            v4.or(found.first()).copied().ok_or_else(allowed)
        }
    }
}

/// An address to connect to; its name is resolved by who connects.
pub(super) fn remote_address(input: &Input) -> Parsed<String> {
    let fits = |text: &&str| {
        split_host_port(text).is_some_and(|(host, port)| !host.is_empty() && port != 0)
    };
    let address = input.text().filter(fits).map(str::to_owned);
    address.ok_or_else(|| refusal(r#"a host and a port such as "localhost:8500""#))
}

/// A host that others dial: a name or an IP address, without a port.
pub(super) fn host(input: &Input) -> Parsed<String> {
    let fits = |text: &&str| {
        text.parse::<IpAddr>().is_ok()
            || text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && (text.chars()).all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let host = input.text().filter(fits).map(str::to_owned);
    host.ok_or_else(|| {
        refusal(r#"a host such as "10.0.0.5" or "catalog.internal", without a port"#)
    })
}

/// A list of addresses to connect to.
pub(super) fn remote_addresses(input: &Input) -> Parsed<Vec<String>> {
    let one = |item: &str| remote_address(&Input::Text(item.to_owned()));
    let parsed = input
        .items()
        .map(|items| items.into_iter().map(one).collect::<Result<Vec<_>, _>>());
    match parsed {
        Some(Ok(addresses)) => Ok(addresses),
        _ => Err(refusal(
            r#"a list of hosts with ports such as "localhost:9092", in an environment variable with commas"#,
        )),
    }
}

/// A list of networks, or of addresses.
pub(super) fn networks(input: &Input) -> Parsed<Vec<Network>> {
    let networks = input.items().and_then(|items| {
        let networks = items.into_iter().map(|item| item.parse().ok());
        networks.collect::<Option<Vec<_>>>()
    });
    networks.ok_or_else(|| {
        refusal(r#"a list of networks or addresses such as "10.0.0.0/8", in an environment variable with commas"#)
    })
}

pub(super) fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let in_brackets = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_fits = match in_brackets {
        Some(inner) => inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    let port_fits = port.bytes().all(|b| b.is_ascii_digit());
    (host_fits && port_fits).then_some((host, port.parse().ok()?))
}

/// An http or https URL without a password, so that it can be shown.
pub(super) fn http_url(input: &Input) -> Parsed<Url> {
    let url = input.text().and_then(|text| Url::parse(text).ok());
    let open = |url: &Url| url.username().is_empty() && url.password().is_none();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && open(url))
        .ok_or_else(|| Refusal {
            allowed:
                r#"a URL such as "http://localhost:14268/api/traces", without user and password"#
                    .to_owned(),
            secret: input.scalar().is_some_and(|text| text.contains('@')),
        })
}

/// The URL of a PostgreSQL database; a secret, as it may hold a password.
pub(super) fn postgres_url(input: &Input) -> Parsed<Secret> {
    let read = |text: &str| {
        let url = Url::parse(text).ok()?;
        matches!(url.scheme(), "postgres" | "postgresql")
            .then(|| Secret::shown_as(text, without_password(url)))
    };
    input.text().and_then(read).ok_or_else(|| Refusal {
        allowed: r#"a URL such as "postgres://user:password@localhost:5432/catalog" (special characters percent-encoded)"#.to_owned(),
        secret: true,
    })
}

/// A URL to show: its host and path tell what it is, anything else may hold a password.
fn without_password(mut url: Url) -> String {
    if url.password().is_some() {
        // Refused for URLs without a host, which have no password either.
        let _ = url.set_password(Some(MASK));
    }
    if url.query().is_some() {
        url.set_query(Some(MASK));
    }
    url.set_fragment(None);
    url.into()
}

/// Origins of browser pages, or `*`.
pub(super) fn origins(input: &Input) -> Parsed<Vec<String>> {
    let is_origin = |text: &str| {
        text == "*"
            || Url::parse(text)
                .is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == text)
    };
    let items = input
        .items()
        .filter(|items| items.iter().all(|item| is_origin(item)));
    items
        .map(|items| items.into_iter().map(str::to_owned).collect())
        .ok_or_else(|| {
            refusal(
                r#"a list of "*" or origins such as "https://shop.example.com", without a path"#,
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    #[test]
    fn listening_addresses() {
        let good = [
            ("0.0.0.0:8001", "0.0.0.0:8001"),
            (":8001", "0.0.0.0:8001"),
            ("localhost:8001", "127.0.0.1:8001"),
            ("[::1]:8001", "[::1]:8001"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ];
        for (written, meant) in good {
            assert_eq!(
                listen_address(&text(written)),
                Ok(meant.parse().unwrap()),
                "{written}"
            );
        }
        for bad in [
            "8001",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "http://localhost:8001",
            "::1:80",
            ":+80",
        ] {
            assert!(listen_address(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn remote_addresses_need_a_host() {
        assert_eq!(
            remote_address(&text("consul.internal:8500")),
            Ok("consul.internal:8500".to_owned())
        );
        for bad in [":6379", "localhost", "localhost:0", "http://localhost:8500"] {
            assert!(remote_address(&text(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            remote_addresses(&text("a:1, b:2")),
            Ok(vec!["a:1".to_owned(), "b:2".to_owned()])
        );
        assert!(remote_addresses(&text("a:1,")).is_err());
    }

    #[test]
    fn hosts_have_no_port() {
        for good in ["10.0.0.5", "fd00::5", "catalog-1.internal"] {
            assert_eq!(host(&text(good)), Ok(good.to_owned()));
        }
        for bad in ["10.0.0.5:8001", "[fd00::5]", "http://catalog", "-x", "a b"] {
            assert!(host(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_have_no_path() {
        assert!(origins(&text("*")).is_ok());
        assert!(
            origins(&Input::List(vec![
                "https://a.example".into(),
                "http://localhost:3000".into()
            ]))
            .is_ok()
        );
        for bad in [
            "https://a.example/",
            "a.example",
            "https://a.example/x",
            "file:///x",
        ] {
            assert!(origins(&text(bad)).is_err(), "{bad}");
        }
    }
}
