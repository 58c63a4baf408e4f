//! The keys for personal data as they are written down.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Length of a key, in bytes.
const LENGTH: usize = 32;

/// Longest id of a key.
const LONGEST_ID: usize = 32;

/// Keys by their ids. The first encrypts, all decrypt.
#[derive(Clone, PartialEq, Eq)]
pub struct PiiKeys(Vec<(String, [u8; LENGTH])>);

/// Why a text holds no keys. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It holds none.
    #[error("there is no key")]
    None,
    /// One is not of the form `id:key`.
    #[error(
        "key {0}: must be an id of 1 to 32 letters, digits, '-', '_' or '.', a colon and 32 bytes in base64"
    )]
    Form(usize),
    /// Two have the same id.
    #[error("key {0}: has the id of another one")]
    Repeated(usize),
}

impl PiiKeys {
    /// Reads keys as `id:base64`, each on a line or after a comma. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// See [`BadKeys`]; its number counts the keys from 1.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let lines = text.lines().map(str::trim);
        let items = lines
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut keys: Vec<(String, [u8; LENGTH])> = Vec::new();
        for (number, item) in (1..).zip(items) {
            let (id, key) = parse_key(item).ok_or(BadKeys::Form(number))?;
            if keys.iter().any(|(other, _)| *other == id) {
                return Err(BadKeys::Repeated(number));
            }
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(BadKeys::None);
        }
        Ok(Self(keys))
    }

    /// The keys with their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(id, key)| (id.as_str(), &key[..]))
    }
}

impl fmt::Debug for PiiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|(id, _)| id);
        f.debug_list().entries(ids).finish()
    }
}

fn parse_key(item: &str) -> Option<(String, [u8; LENGTH])> {
    let (id, key) = item.split_once(':')?;
    let fits = (1..=LONGEST_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let key = STANDARD.decode(key.trim()).ok()?;
    fits.then_some((id.to_owned(), key.try_into().ok()?))
}

/// A line with a key, as [`PiiKeys::parse`] reads it.
pub(super) fn line(id: &str, key: &[u8; LENGTH]) -> String {
    format!("{id}:{}\n", STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn keys_are_lines_or_have_commas_between() {
        for text in [
            &*format!("a:{KEY},b:{KEY}"),
            &format!("# the newest first\n\n a:{KEY}\r\nb: {KEY}\n"),
        ] {
            let keys = PiiKeys::parse(text).unwrap();
            assert_eq!(format!("{keys:?}"), r#"["a", "b"]"#, "{text}");
        }
        assert_eq!(line("a", &[0; 32]), format!("a:{KEY}\n"));
    }

    #[test]
    fn other_texts_are_refused_by_the_number_of_the_key() {
        for (text, error) in [
            ("", BadKeys::None),
            ("# only a comment", BadKeys::None),
            (KEY, BadKeys::Form(1)),
            (&format!("a:{KEY},:{KEY}"), BadKeys::Form(2)),
            (&format!("ä:{KEY}"), BadKeys::Form(1)),
            (&format!("{}:{KEY}", "a".repeat(33)), BadKeys::Form(1)),
            ("a:AAAA", BadKeys::Form(1)),
            ("a:no base64", BadKeys::Form(1)),
            (&format!("a:{KEY}\na:{KEY}"), BadKeys::Repeated(2)),
        ] {
            assert_eq!(PiiKeys::parse(text), Err(error), "{text}");
        }
    }
}
