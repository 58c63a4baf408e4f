//! The walk over the sections: the only place that knows where a value comes from.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml_ng::{Mapping, Value};

use super::error::{ConfigError, Origin};
use super::parse::{Input, Refusal};
use super::show::Shown;
use super::{ENVIRONMENT, suggest};

/// A section of the configuration; `section!` implements it.
pub(super) trait Section: Sized + Default {
    /// The names of its keys.
    const KEYS: &'static [&'static str];

    /// Reads the section from its part of the file.
    fn read(reader: &Reader<'_>, at: &str, part: Option<&Mapping>) -> Result<Self, ConfigError>;

    /// Adds the paths of all its values.
    fn collect_keys(at: &str, into: &mut Vec<String>);

    /// Adds all its values as they may be shown, in the order of [`Section::collect_keys`].
    fn collect_values(&self, at: &str, into: &mut Vec<Shown>);
}

/// Where values come from.
pub(super) struct Reader<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub file: Option<&'a Path>,
    /// Gets the source of each value that is no default.
    pub origins: RefCell<BTreeMap<String, Origin>>,
}

impl Reader<'_> {
    /// Reads a section, `node` being what the file says.
    pub fn section<S: Section>(&self, at: &str, node: Option<&Value>) -> Result<S, ConfigError> {
        let part = match node {
            None | Some(Value::Null) => None,
            Some(Value::Mapping(part)) => Some(part),
            Some(_) => {
                return Err(ConfigError::Value {
                    key: if at.is_empty() {
                        "the whole".to_owned()
                    } else {
                        at.to_owned()
                    },
                    origin: self.file_origin(),
                    value: "a single value".to_owned(),
                    allowed: format!("a section with the keys {}", S::KEYS.join(", ")),
                });
            }
        };
        for name in part.into_iter().flat_map(Mapping::keys) {
            let name = name_of(name);
            if !S::KEYS.contains(&name.as_str()) {
                return Err(ConfigError::UnknownKey {
                    key: join(at, &name),
                    origin: self.file_origin(),
                    hint: suggest::hint(at, &name, S::KEYS),
                });
            }
        }
        S::read(self, at, part)
    }

    /// Reads a value; `None` when it is set nowhere.
    pub fn value<T>(
        &self,
        at: &str,
        node: Option<&Value>,
        parse: impl FnOnce(&Input) -> Result<T, Refusal>,
    ) -> Result<Option<T>, ConfigError> {
        let from_env = ENVIRONMENT
            .iter()
            .filter(|(_, key)| *key == at)
            .find_map(|(name, _)| Some((*name, (self.env)(name).filter(|text| !text.is_empty())?)));
        let (input, origin) = match from_env {
            Some((name, text)) => (Some(Input::Text(text)), Origin::Environment(name)),
            None => (node.and_then(Input::of), self.file_origin()),
        };
        let Some(input) = input else { return Ok(None) };
        match parse(&input) {
            Ok(value) => {
                self.origins.borrow_mut().insert(at.to_owned(), origin);
                Ok(Some(value))
            }
            Err(refusal) => Err(ConfigError::Value {
                key: at.to_owned(),
                origin,
                value: input.shown(refusal.secret),
                allowed: refusal.allowed,
            }),
        }
    }

    fn file_origin(&self) -> Origin {
        Origin::File(
            self.file
                .unwrap_or(Path::new("the configuration"))
                .to_owned(),
        )
    }
}

fn name_of(key: &Value) -> String {
    match key {
        Value::String(name) => name.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        _ => "a key that is no text".to_owned(),
    }
}

/// The path of a key in a section.
pub(super) fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

/// Declares a section: `key: Type = default => parser;` is a value, `key: Type;` a section in it.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$doc:meta])* $field:ident : $ty:ty $(= $default:expr => $parser:expr)?; )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( $(#[$doc])* pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: section!(@default $ty $(, $default)?), )* }
            }
        }

        impl $crate::config::read::Section for $name {
            const KEYS: &'static [&'static str] = &[$( stringify!($field) ),*];

            fn read(
                reader: &$crate::config::read::Reader<'_>,
                at: &str,
                part: Option<&serde_yaml_ng::Mapping>,
            ) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self { $( $field: {
                    let at = $crate::config::read::join(at, stringify!($field));
                    let node = part.and_then(|part| part.get(stringify!($field)));
                    section!(@read reader, &at, node $(, $default, $parser)?)
                }, )* })
            }

            fn collect_keys(at: &str, into: &mut Vec<String>) {
                $( section!(@keys $ty, $crate::config::read::join(at, stringify!($field)), into $(, $default)?); )*
            }

            fn collect_values(&self, at: &str, into: &mut Vec<$crate::config::show::Shown>) {
                $( section!(@values &self.$field, $crate::config::read::join(at, stringify!($field)), into $(, $default)?); )*
            }
        }
    };
    (@default $ty:ty) => { <$ty>::default() };
    (@default $ty:ty, $default:expr) => { $default };
    (@read $reader:ident, $at:expr, $node:ident) => { $reader.section($at, $node)? };
    (@read $reader:ident, $at:expr, $node:ident, $default:expr, $parser:expr) => {
        match $reader.value($at, $node, $parser)? {
            Some(value) => value,
            None => $default,
        }
    };
    (@keys $ty:ty, $at:expr, $into:ident) => { <$ty as $crate::config::read::Section>::collect_keys(&$at, $into) };
    (@keys $ty:ty, $at:expr, $into:ident, $default:expr) => { $into.push($at) };
    (@values $value:expr, $at:expr, $into:ident) => { $crate::config::read::Section::collect_values($value, &$at, $into) };
    (@values $value:expr, $at:expr, $into:ident, $default:expr) => {
        $into.push(($at, $crate::config::show::Show::show($value)))
    };
}
pub(super) use section;
