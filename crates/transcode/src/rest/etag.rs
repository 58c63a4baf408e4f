//! Entity tags and the headers that compare them: RFC 9110, 8.8.3 and 13.1.
//!
//! A strong tag names bytes, so that an answer in another form must have another one. The tag of a resource is that of
//! its JSON; every other form has it with a suffix: `"3.17"` is `"3.17-pb"` in the binary form, and either of them ends
//! with `-gzip`, `-br` or `-zstd` where it is compressed. A suffix, not a weak tag: weak ones equal none in If-Match, and
//! a caller could change nothing that it read in another form.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The suffix of the binary form.
pub(super) const BINARY: &str = "-pb";

/// The suffixes of what is compressed.
const CODED: [&str; 3] = ["-gzip", "-br", "-zstd"];

/// A tag without the suffix of a coding; none for one that has none.
fn without_coding(tag: &str) -> Option<&str> {
    CODED.iter().find_map(|suffix| tag.strip_suffix(suffix))
}

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

/// The tag under which the caller has what would be answered in the form with this suffix, compressed or not, if
/// If-None-Match says so: weak comparison. One that can't be read says nothing.
pub(super) fn known(headers: &HeaderMap, tag: &str, suffix: &str) -> Option<String> {
    match condition(headers, &header::IF_NONE_MATCH) {
        Ok(Some(Condition::Any)) => Some(format!("{tag}{suffix}")),
        Ok(Some(Condition::Tags(tags))) => {
            tags.into_iter().map(|known| known.opaque).find(|known| {
                let same = |known: &str| known.strip_prefix(tag) == Some(suffix);
                same(known) || without_coding(known).is_some_and(same)
            })
        }
        Ok(None) | Err(Malformed) => None,
    }
}

/// What If-Match asks for, as a request field takes it. Whoever has the tag of another form has the resource: its tag is
/// asked for as well.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<Vec<String>>, Malformed> {
    let condition = condition(headers, &header::IF_MATCH)?;
    Ok(condition.map(|condition| match condition {
        Condition::Any => vec!["*".to_owned()],
        Condition::Tags(tags) => tags.into_iter().flat_map(with_resource).collect(),
    }))
}

/// A tag, and before it what it is without the suffixes it may have of a form.
fn with_resource(tag: Tag) -> Vec<String> {
    let mut all = Vec::new();
    if !tag.weak {
        let packed = without_coding(&tag.opaque);
        let binary = packed.unwrap_or(&tag.opaque).strip_suffix(BINARY);
        let forms = [binary, packed].into_iter().flatten();
        all.extend(forms.filter(|form| !form.is_empty()).map(str::to_owned));
    }
    all.push(tag.into_text());
    all
}

/// The ETag header of the form with this suffix; none for what can't be one.
pub(super) fn header_value(tag: &str, suffix: &str) -> Option<HeaderValue> {
    let sane = |byte: u8| byte > b' ' && byte != b'"' && byte != 0x7f;
    if tag.is_empty() || !tag.bytes().all(sane) {
        return None;
    }
    let mut quoted = Vec::with_capacity(tag.len() + suffix.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(tag.as_bytes());
    quoted.extend_from_slice(suffix.as_bytes());
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
            (&["\"1-pb\", \"2\""], Some(&["1", "1-pb", "2"])),
            (&["\"1-br\""], Some(&["1", "1-br"])),
            (&["\"1-pb-gzip\""], Some(&["1", "1-pb", "1-pb-gzip"])),
            (&["W/\"1-pb\", \"-pb\""], Some(&["W/\"1-pb\"", "-pb"])),
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
        let known =
            |values: &[&str], suffix| known(&headers(&header::IF_NONE_MATCH, values), "a", suffix);
        for values in [&["\"a\""][..], &["W/\"a\""], &["\"b\", W/\"a\""], &["*"]] {
            assert_eq!(known(values, "").as_deref(), Some("a"), "{values:?}");
        }
        for values in [&["\"a-pb\""][..], &["\"a\", W/\"a-pb\""], &["*"]] {
            assert_eq!(known(values, "-pb").as_deref(), Some("a-pb"), "{values:?}");
        }
        for coded in ["a-gzip", "a-br", "a-zstd"] {
            let quoted = format!("\"{coded}\"");
            assert_eq!(known(&[&quoted], "").as_deref(), Some(coded));
            assert_eq!(known(&[&quoted], "-pb"), None, "another form");
        }
        assert_eq!(known(&["\"a-pb-br\""], "-pb").as_deref(), Some("a-pb-br"));
        assert_eq!(known(&["\"a\""], "-pb"), None, "another form");
        assert_eq!(known(&["\"a-pb\""], ""), None, "another form");
        for values in [&[][..], &["\"b\""], &["\"A\""], &["a"], &["\"b\", a"]] {
            assert_eq!(known(values, ""), None, "{values:?}");
        }
    }

    #[test]
    fn a_tag_is_quoted() {
        let value = |tag| header_value(tag, "").map(|value| value.as_bytes().to_vec());
        assert_eq!(value("3.17"), Some(b"\"3.17\"".to_vec()));
        assert_eq!(header_value("3", BINARY).expect("a value"), "\"3-pb\"");
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
