//! Takes a body of `multipart/form-data` apart: RFC 7578, RFC 2046, 5.1.

use bytes::Bytes;

/// Most parts of a form.
const MOST_PARTS: usize = 1000;

/// Longest head of a part, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name.
    pub(super) name: String,
    /// Whether it says the name of a file.
    pub(super) is_file: bool,
    /// Whether it stands for a file that nobody has chosen: a browser sends it without a name and without a byte.
    pub(super) is_left_out: bool,
    /// Content-Type; empty when it says none.
    pub(super) content_type: String,
    /// What is in it.
    pub(super) data: Bytes,
}

/// Why a body is no form; what a caller is told.
pub(super) type Malformed = &'static str;

/// The value of a parameter of a header such as `form-data; name="x"`, without its quotes.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.split_once(';')?.1;
    }
}

/// A token or a quoted text, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            // Only that: in front of anything else a backslash is one, as in the paths of some browsers.
            '\\' if matches!(characters.peek(), Some((_, '"' | '\\'))) => {
                value.extend(characters.next().map(|(_, escaped)| escaped));
            }
            _ => value.push(character),
        }
    }
    None
}

/// The parts of a body, in their order.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Malformed> {
    if !(1..=70).contains(&boundary.len()) {
        return Err("The boundary of a form has 1 to 70 characters");
    }
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = delimiter.as_bytes();
    // The first one need not be on a new line; what is before it is for people.
    let start = match delimited(body, &delimiter[2..], 0) {
        Some(found) if found.at == 0 => found,
        _ => delimited(body, delimiter, 0).ok_or(ENDED)?,
    };
    let mut parts = Vec::new();
    let mut last = start;
    while !last.is_end {
        if parts.len() == MOST_PARTS {
            return Err("A form has at most 1000 parts");
        }
        // An empty head and an empty part share the line break.
        let next = delimited(body, delimiter, last.after.saturating_sub(2)).ok_or(ENDED)?;
        let part = body.slice(last.after.min(next.at)..next.at);
        parts.push(read(&part)?);
        last = next;
    }
    Ok(parts)
}

const ENDED: Malformed = "The form ended early";

/// A line that divides parts.
struct Delimiter {
    at: usize,
    after: usize,
    is_end: bool,
}

/// The next line that divides parts.
fn delimited(body: &[u8], delimiter: &[u8], from: usize) -> Option<Delimiter> {
    let mut from = from;
    loop {
        let at = from + find(&body[from..], delimiter)?;
        let after = at + delimiter.len();
        let rest = &body[after..];
        if rest.starts_with(b"--") {
            return Some(Delimiter {
                at,
                after: after + 2,
                is_end: true,
            });
        }
        let padding = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
        if rest[padding..].starts_with(b"\r\n") {
            return Some(Delimiter {
                at,
                after: after + padding + 2,
                is_end: false,
            });
        }
        // A line that only begins like it.
        from = at + 1;
    }
}

/// Where a text begins in another.
fn find(body: &[u8], text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let mut from = 0;
    loop {
        let at = from + body[from..].iter().position(|byte| *byte == first)?;
        if body[at..].starts_with(text) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Reads a part: its head, an empty line, its data.
fn read(part: &Bytes) -> Result<Part, Malformed> {
    let (head, data) = if part.starts_with(b"\r\n") {
        (Bytes::new(), part.slice(2..))
    } else {
        let end = find(part, b"\r\n\r\n").ok_or("A part of a form has no data")?;
        (part.slice(..end), part.slice(end + 4..))
    };
    if head.len() > LONGEST_HEAD {
        return Err("The head of a part is too long");
    }
    let head = std::str::from_utf8(&head).map_err(|_| "The head of a part must be UTF-8")?;
    let header = |name: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition").unwrap_or_default();
    let kind = disposition.split(';').next().unwrap_or_default();
    let name = parameter(disposition, "name");
    let (true, Some(name)) = (kind.trim().eq_ignore_ascii_case("form-data"), name) else {
        return Err("A part of a form needs a Content-Disposition of form-data with a name");
    };
    let encoding = header("content-transfer-encoding").unwrap_or("binary");
    if !["7bit", "8bit", "binary"]
        .iter()
        .any(|plain| encoding.eq_ignore_ascii_case(plain))
    {
        return Err("Content-Transfer-Encoding is not supported");
    }
    let file = parameter(disposition, "filename");
    let is_file = file.is_some() || parameter(disposition, "filename*").is_some();
    Ok(Part {
        name,
        is_file,
        is_left_out: file.is_some_and(|file| file.is_empty()) && data.is_empty(),
        content_type: header("content-type").unwrap_or_default().to_owned(),
        data,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts_of(body: &str) -> Result<Vec<Part>, Malformed> {
        parts(&Bytes::copy_from_slice(body.as_bytes()), "b")
    }

    fn part(name: &str, data: &[u8]) -> Part {
        Part {
            name: name.to_owned(),
            is_file: false,
            is_left_out: false,
            content_type: String::new(),
            data: Bytes::copy_from_slice(data),
        }
    }

    const HEAD: &str = "Content-Disposition: form-data; name=\"x\"\r\n\r\n";

    #[test]
    fn forms() {
        let two = format!("--b\r\n{HEAD}one\r\n--b \t\r\n{HEAD}two\r\n--b--\r\n");
        let expected = vec![part("x", b"one"), part("x", b"two")];
        assert_eq!(parts_of(&two), Ok(expected));
        let around = format!("for people\r\n--b\r\n{HEAD}one\r\n--b--and machines");
        assert_eq!(parts_of(&around), Ok(vec![part("x", b"one")]));
        assert_eq!(parts_of("--b--"), Ok(Vec::new()));
        let like = format!("--b\r\n{HEAD}\r\n--bc\r\n--b\r\r\n\r\n--b--");
        let expected = vec![part("x", b"\r\n--bc\r\n--b\r\r\n")];
        assert_eq!(parts_of(&like), Ok(expected), "lines that begin like it");
        let empty = format!("--b\r\n{HEAD}\r\n--b--");
        assert_eq!(parts_of(&empty), Ok(vec![part("x", b"")]));
    }

    #[test]
    fn a_part_says_what_it_is() {
        let head = "content-disposition: FORM-DATA; filename=\"a;\\\"b\\\".png\"; name=x\r\nContent-Type: image/png\r\n\r\n";
        let body = format!("--b\r\n{head}1\r\n--b--");
        let found = parts_of(&body).expect("a form");
        assert_eq!(found[0].name, "x");
        assert!(found[0].is_file);
        assert_eq!(found[0].content_type, "image/png");
    }

    #[test]
    fn what_is_no_form() {
        let many = format!("--b\r\n{HEAD}\r\n").repeat(1001);
        let long = format!("--b\r\nx: {}\r\n{HEAD}\r\n--b--", "y".repeat(LONGEST_HEAD));
        for (body, error) in [
            ("", ENDED),
            ("--b", ENDED),
            ("--b\r\n", ENDED),
            ("--b\r\n\r\n--b--", "A part of a form has no data"),
            ("--b\r\nx: y\r\n--b--", "A part of a form has no data"),
            (&format!("--b\r\n{HEAD}one"), ENDED),
            (&format!("--b\r\n{HEAD}one\r\n--"), ENDED),
            (
                "--b\r\nContent-Disposition: attachment; name=x\r\n\r\n\r\n--b--",
                "A part of a form needs a Content-Disposition of form-data with a name",
            ),
            (
                &format!("--b\r\nContent-Transfer-Encoding: base64\r\n{HEAD}\r\n--b--"),
                "Content-Transfer-Encoding is not supported",
            ),
            (&format!("{many}--b--"), "A form has at most 1000 parts"),
            (&long, "The head of a part is too long"),
        ] {
            assert_eq!(parts_of(body), Err(error), "{body:.100}");
        }
        assert!(parts(&Bytes::new(), "").is_err());
    }

    proptest! {
        /// Whatever was written is read, as long as the boundary is not in it.
        #[test]
        fn what_is_written_is_read(data in prop::collection::vec(prop::collection::vec("[\r\nb-]|--b|\r\n-", 0..9), 1..4)) {
            let data: Vec<String> = data.into_iter().map(|pieces| pieces.concat()).collect();
            let boundary = "bound";
            let parts_of = data.iter().map(|text| format!("--{boundary}\r\n{HEAD}{text}\r\n"));
            let body = parts_of.collect::<String>() + &format!("--{boundary}--\r\n");
            let read = parts(&Bytes::from(body), boundary).expect("a form");
            let read: Vec<_> = read.into_iter().map(|part| part.data).collect();
            prop_assert_eq!(read, data);
        }

        /// Nothing makes it fail but by an error.
        #[test]
        fn anything_has_an_answer(body in "(--b(--)?|\r\n|[:;= \"a-c]|Content-Disposition: form-data; name=\"?x){0,30}") {
            let _ = parts_of(&body);
            let _ = parameter(&body, "b");
        }
    }
}
