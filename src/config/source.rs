//! Reads the raw values: file, environment and defaults, and turns each into its type.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_yaml_ng::Value;

use super::{
    Address, ConfigError,
    keys::{KEYS, Key},
};

/// The raw values of all keys, and the complaints gathered while they are parsed.
pub(super) struct Source<'a> {
    file: BTreeMap<String, String>,
    env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: Vec<String>,
}

impl<'a> Source<'a> {
    pub(super) fn open(
        dir: Option<&Path>,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut source = Self {
            file: BTreeMap::new(),
            env,
            problems: Vec::new(),
        };
        if let Some(dir) = dir {
            let path: PathBuf = if dir.is_file() {
                dir.to_owned()
            } else {
                dir.join("config.yaml")
            };
            let fail = |e: &dyn Display| ConfigError(vec![format!("{}: {e}", path.display())]);
            let text = std::fs::read_to_string(&path).map_err(|e| fail(&e))?;
            let value: Value = serde_yaml_ng::from_str(&text).map_err(|e| fail(&e))?;
            source.flatten(String::new(), &value);
        }
        Ok(source)
    }

    fn flatten(&mut self, name: String, value: &Value) {
        let known = KEYS.iter().any(|k| k.name == name);
        let text = match value {
            Value::Null => return,
            Value::Mapping(map) if !known => {
                for (k, v) in map {
                    let part = k.as_str().unwrap_or("?");
                    let child = if name.is_empty() {
                        part.to_owned()
                    } else {
                        format!("{name}.{part}")
                    };
                    self.flatten(child, v);
                }
                return;
            }
            Value::String(s) => s.clone(),
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => n.to_string(),
            Value::Sequence(items) if items.iter().all(Value::is_string) => items
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            _ => return self.problems.push(format!("{name}: not a plain value")),
        };
        if known {
            self.file.insert(name, text);
        } else {
            let near = KEYS.iter().map(|k| (distance(k.name, &name), k.name)).min();
            let hint = match near {
                Some((d, k)) if d <= 3 => format!("; did you mean {k}?"),
                _ => String::new(),
            };
            self.problems.push(format!("{name}: unknown key{hint}"));
        }
    }

    /// The value of `name` through `parse`, which gives `None` for what `allowed` does not describe.
    pub(super) fn get<T>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let key: &Key = KEYS
            .iter()
            .find(|k| k.name == name)
            .expect("every key read is in the table");
        let from_env = key
            .env
            .iter()
            .find_map(|v| Some((*v, (self.env)(v).filter(|s| !s.is_empty())?)));
        let (origin, raw) = match (from_env, self.file.get(name)) {
            (Some((var, raw)), _) => (format!("{var} ({name})"), raw),
            (None, Some(raw)) => (name.to_owned(), raw.clone()),
            (None, None) => (name.to_owned(), key.default.to_owned()),
        };
        parse(&raw).unwrap_or_else(|| {
            let shown = if key.secret {
                "(hidden)".to_owned()
            } else {
                format!("{raw:?}")
            };
            self.problems.push(format!(
                "{origin}: {shown} is not allowed; expected {allowed}"
            ));
            parse(key.default).expect("defaults are valid")
        })
    }
}

/// A duration in Go syntax: `1s`, `0.2s`, `15m`, `1m30s`.
pub fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0f64);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(at);
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = next;
    }
    if text.is_empty() {
        return None;
    }
    // Rounded to microseconds, so that 0.2s is exactly 200ms.
    Duration::try_from_secs_f64((total * 1e6).round() / 1e6).ok()
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .map(Duration::from_secs)
        .or_else(|| duration(text))
        .filter(|d| !d.is_zero())
}

pub(super) fn address(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let sane = !host.contains(|c: char| c.is_whitespace() || c == '/');
    sane.then_some(Address {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
