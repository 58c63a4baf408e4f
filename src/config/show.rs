//! The configuration as it holds, for `config print`: a file that says the same, with the source of each value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tracing::Level;
use url::Url;

use super::duration::shown_duration;
use super::error::Origin;
use super::network::Network;
use super::secret::Secret;

/// A value that can be written into a configuration file; a secret as its mask.
pub(super) trait Show {
    /// The value. YAML reads JSON, so that nothing has to be quoted in another way.
    fn show(&self) -> Value;
}

/// A value and its key.
pub(super) type Shown = (String, Value);

macro_rules! show {
    ($($of:ty => |$value:ident| $shown:expr;)*) => {
        $(impl $crate::config::show::Show for $of {
            fn show(&self) -> serde_json::Value {
                let $value = self;
                serde_json::Value::from($shown)
            }
        })*
    };
}
pub(super) use show;

show! {
    bool => |value| *value;
    u16 => |value| *value;
    u32 => |value| *value;
    i32 => |value| *value;
    u64 => |value| *value;
    usize => |value| *value;
    f64 => |value| *value;
    String => |text| text.as_str();
    Secret => |secret| secret.to_string();
    Network => |network| network.to_string();
    SocketAddr => |address| address.to_string();
    PathBuf => |path| path.to_string_lossy();
    Url => |url| url.as_str();
    Level => |level| level.as_str().to_lowercase();
    Duration => |duration| shown_duration(*duration);
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, Show::show)
    }
}

impl<T: Show> Show for BTreeMap<String, T> {
    fn show(&self) -> Value {
        let entries = self.iter();
        entries
            .map(|(name, value)| (name.clone(), value.show()))
            .collect()
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> Value {
        self.iter().map(Show::show).collect()
    }
}

/// Writes values, which come section by section, as a file.
pub(super) fn write(values: &[Shown], origins: &BTreeMap<String, Origin>) -> String {
    let mut text = String::new();
    let mut open: Vec<&str> = Vec::new();
    for (key, value) in values {
        let mut path: Vec<&str> = key.split('.').collect();
        let name = path.pop().unwrap_or_default();
        let common = (open.iter().zip(&path)).take_while(|(a, b)| a == b).count();
        for (depth, section) in path.iter().enumerate().skip(common) {
            line(&mut text, depth, format_args!("{section}:"));
        }
        let value = match value {
            // Nothing, which is how a file says that a key is not set.
            Value::Null => String::new(),
            value => format!(" {value}"),
        };
        let origin = match origins.get(key) {
            Some(Origin::File(file)) => file.display().to_string(),
            Some(Origin::Environment(variable)) => (*variable).to_owned(),
            None => "default".to_owned(),
        };
        line(
            &mut text,
            path.len(),
            format_args!("{name}:{value}  # {origin}"),
        );
        open = path;
    }
    text
}

fn line(text: &mut String, depth: usize, rest: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{:indent$}{rest}", "", indent = 2 * depth);
}
