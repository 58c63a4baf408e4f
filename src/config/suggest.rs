//! What an unknown key was probably meant to be.

use super::Config;
use super::read::join;

/// The hint for a key that a section does not have; `at` is the path of the section.
pub(super) fn hint(at: &str, unknown: &str, keys: &[&str]) -> String {
    let whole = join(at, unknown);
    let elsewhere = elsewhere(&whole, unknown);
    // A key with this very name further down was written without its section; that is surer than a similar one here.
    let below = elsewhere
        .as_ref()
        .filter(|path| at.is_empty() || path.starts_with(&format!("{at}.")));
    match below
        .map(String::as_str)
        .or_else(|| nearest(unknown, keys))
        .or(elsewhere.as_deref())
    {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", keys.join(", ")),
    }
}

/// The one key of another section with this name, be it a value or a section.
fn elsewhere(whole: &str, unknown: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for key in Config::keys() {
        let parts: Vec<&str> = key.split('.').collect();
        for end in 1..=parts.len() {
            let path = parts[..end].join(".");
            if parts[end - 1] == unknown && path != whole && found.as_ref() != Some(&path) {
                if found.is_some() {
                    return None;
                }
                found = Some(path);
            }
        }
    }
    found
}

/// The name among some that a wrong one was probably meant to be.
pub(crate) fn nearest<'a>(unknown: &str, keys: &[&'a str]) -> Option<&'a str> {
    let plain = plain(unknown);
    keys.iter()
        .map(|key| (distance(&plain, &self::plain(key)), *key))
        .filter(|(distance, key)| {
            *distance <= key.len().max(4) / 3
                || abbreviates(unknown, key)
                || abbreviates(key, unknown)
        })
        .min()
        .map(|(_, key)| key)
}

/// The one of the known variables that another one is a slip of the pen from. Names that belong to other programs differ
/// by more.
pub(super) fn variable(
    unknown: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    const SLIPS: usize = 2;
    known
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, name)| *distance <= SLIPS.min(name.len() / 4))
        .min()
        .map(|(_, name)| name)
}

/// Whether one key is the beginning of the other, as `addr` is of `address`.
fn abbreviates(short: &str, long: &str) -> bool {
    short.len() >= 3 && long.starts_with(short)
}

/// `autoMigrate` and `auto-migrate` are `auto_migrate` for this purpose.
fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// How many characters to insert, delete or replace, or neighbours to swap.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_suggested() {
        for (unknown, meant) in [
            ("adr", "addr"),
            ("address", "addr"),
            ("time_out", "timeout"),
            ("tiemout", "timeout"),
        ] {
            assert_eq!(
                nearest(unknown, &["addr", "timeout", "cors"]),
                Some(meant),
                "{unknown}"
            );
        }
        assert_eq!(nearest("port", &["addr", "timeout", "cors"]), None);
        assert_eq!(
            nearest("autoMigrate", &["path", "auto_migrate"]),
            Some("auto_migrate")
        );
    }

    #[test]
    fn a_misplaced_key_is_shown_its_place() {
        assert_eq!(
            hint("", "http", &["server", "data"]),
            "did you mean `server.http`?"
        );
        assert_eq!(
            hint("server", "max_connections", &["http"]),
            "did you mean `data.database.max_connections`?"
        );
        // There are two addr: no guess.
        assert_eq!(
            hint("", "addr", &["server", "data"]),
            "there are server, data"
        );
    }
}
