//! Entity tags and the headers that compare them: RFC 9110, 8.8.3 and 13.1.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a header such as If-Match lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// `*`: anything that is there.
    Any,
    /// One of these.
    Tags(Vec<Tag>),
}

/// An entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    weak: bool,
    opaque: String,
}

impl Tag {
    /// As a request field takes it. A weak one is written so that it equals none: strong comparison never finds it.
    fn into_text(self) -> String {
        if self.weak {
            format!("W/\"{}\"", self.opaque)
        } else {
            self.opaque
        }
    }
}

/// Reads a header that lists tags; nothing when it is not there, an error when it is not well-formed.
pub(super) fn condition(
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<Option<Condition>, Malformed> {
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    let (mut tags, mut any) = (Vec::new(), 0);
    for value in values {
        // Visible characters and obs-text, which may be of any encoding: tags are ASCII here, and others equal none.
        let text = String::from_utf8_lossy(value.as_bytes());
        if text.trim_matches([' ', '\t']) == "*" {
            any += 1;
        } else {
            read(&text, &mut tags)?;
        }
    }
    match (any, tags.is_empty()) {
        (0, false) => Ok(Some(Condition::Tags(tags))),
        (1, true) => Ok(Some(Condition::Any)),
        _ => Err(Malformed),
    }
}

/// The header is not what its grammar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads `"a", W/"b"`. Empty elements are allowed, by RFC 9110, 5.6.1.
fn read(text: &str, tags: &mut Vec<Tag>) -> Result<(), Malformed> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(());
        }
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inside = quoted.strip_prefix('"').ok_or(Malformed)?;
        let (opaque, after) = inside.split_once('"').ok_or(Malformed)?;
        if opaque.chars().any(|c| c <= ' ' || c == '\u{7f}') {
            return Err(Malformed);
        }
        let opaque = opaque.to_owned();
        tags.push(Tag { weak, opaque });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(Malformed);
        }
    }
}

/// Whether If-None-Match says that the caller has what is tagged so: weak comparison. One that can't be read says nothing.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    match condition(headers, &header::IF_NONE_MATCH) {
        Ok(Some(Condition::Any)) => true,
        Ok(Some(Condition::Tags(tags))) => tags.iter().any(|known| known.opaque == tag),
        Ok(None) | Err(Malformed) => false,
    }
}

/// What If-Match asks for, as a request field takes it.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<Vec<String>>, Malformed> {
    let condition = condition(headers, &header::IF_MATCH)?;
    Ok(condition.map(|condition| match condition {
        Condition::Any => vec!["*".to_owned()],
        Condition::Tags(tags) => tags.into_iter().map(Tag::into_text).collect(),
    }))
}

/// The ETag header of a tag; none for what can't be one.
pub(super) fn header_value(tag: &str) -> Option<HeaderValue> {
    let sane = |byte: u8| byte > b' ' && byte != b'"' && byte != 0x7f;
    if tag.is_empty() || !tag.bytes().all(sane) {
        return None;
    }
    let mut quoted = Vec::with_capacity(tag.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(tag.as_bytes());
    quoted.push(b'"');
    HeaderValue::from_maybe_shared(bytes::Bytes::from(quoted)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(name, value);
        }
        headers
    }

    fn asked_for(values: &[&str]) -> Result<Option<Vec<String>>, Malformed> {
        asked(&headers(&header::IF_MATCH, values))
    }

    #[test]
    fn lists_of_tags() {
        for (values, expected) in [
            (&[][..], None),
            (&["*"][..], Some(&["*"][..])),
            (&[" * "], Some(&["*"])),
            (&["\"1.2\""], Some(&["1.2"])),
            (&["\"a\" ,\t\"b\""], Some(&["a", "b"])),
            (&[",, \"a\",,\"b\" ,"], Some(&["a", "b"])),
            (&["\"a\"", "\"b\""], Some(&["a", "b"])),
            (&["\"a,b\""], Some(&["a,b"])),
            (&["\"\""], Some(&[""])),
            (&["\"*\""], Some(&["*"])),
            (&["W/\"a\""], Some(&["W/\"a\""])),
            (&["\"ä\""], Some(&["ä"])),
        ] {
            let expected = expected.map(|tags| tags.iter().map(ToString::to_string).collect());
            assert_eq!(asked_for(values), Ok(expected), "{values:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags() {
        for values in [
            &[""][..],
            &[","],
            &["a"],
            &["\"a"],
            &["a\""],
            &["\"a\"\"b\""],
            &["\"a\" \"b\""],
            &["\"a b\""],
            &["w/\"a\""],
            &["W/a"],
            &["W/ \"a\""],
            &["*, \"a\""],
            &["*", "\"a\""],
            &["*", "*"],
        ] {
            assert_eq!(asked_for(values), Err(Malformed), "{values:?}");
        }
    }

    #[test]
    fn known_tags_are_compared_weakly() {
        let known = |values: &[&str]| is_known(&headers(&header::IF_NONE_MATCH, values), "a");
        for values in [&["\"a\""][..], &["W/\"a\""], &["\"b\", W/\"a\""], &["*"]] {
            assert!(known(values), "{values:?}");
        }
        for values in [&[][..], &["\"b\""], &["\"A\""], &["a"], &["\"b\", a"]] {
            assert!(!known(values), "{values:?}");
        }
    }

    #[test]
    fn a_tag_is_quoted() {
        let value = |tag| header_value(tag).map(|value| value.as_bytes().to_vec());
        assert_eq!(value("3.17"), Some(b"\"3.17\"".to_vec()));
        for tag in ["", "a b", "a\"b", "a\nb"] {
            assert_eq!(value(tag), None, "{tag:?}");
        }
    }

    /// Every list of tags is read as it was written, however it was spaced: all of them up to a size.
    #[test]
    fn written_lists_are_read() {
        let tags = ["", "a", "x,y", "W/", "*", "!~"];
        for first in tags {
            for second in tags {
                for weak in ["", "W/"] {
                    for between in [",", " , ", ",\t,", ", ,"] {
                        let text = format!("\"{first}\"{between}{weak}\"{second}\"");
                        let expected = if weak.is_empty() {
                            second.to_owned()
                        } else {
                            format!("W/\"{second}\"")
                        };
                        let expected = Ok(Some(vec![first.to_owned(), expected]));
                        assert_eq!(asked_for(&[&text]), expected, "{text}");
                    }
                }
            }
        }
    }
}
