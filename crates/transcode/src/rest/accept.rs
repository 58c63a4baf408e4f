//! What a caller takes: the Accept header, for messages and for streams.
//!
//! Nothing is allocated here: the header is walked once for each form an answer has.

use http::{HeaderMap, header};

use super::form::{BINARY, Form, JSON};
use crate::lists::{elements, weighted};

/// The forms that a stream has in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Server-sent events, `text/event-stream`: what browsers read by themselves.
    EventStream,
    /// A JSON text on each line, `application/x-ndjson`.
    JsonLines,
    /// One JSON array, `application/json`: for callers who read an answer as a whole.
    JsonArray,
}

impl Format {
    /// All of them, the preferred one first, with what the answer says it is.
    const ALL: [(Self, &'static str); 3] = [
        (Self::EventStream, "text/event-stream"),
        (Self::JsonLines, "application/x-ndjson"),
        (Self::JsonArray, JSON),
    ];

    /// What the answer says it is.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => Self::ALL[0].1,
            Self::JsonLines => Self::ALL[1].1,
            Self::JsonArray => Self::ALL[2].1,
        }
    }

    /// The form a caller likes best; none when it takes none.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        best(headers, &Self::ALL)
    }
}

/// The forms of a message, JSON first: it is what a caller gets who likes both.
const FORMS: [(Form, &str); 4] = [
    (Form::Json, JSON),
    (Form::Binary(BINARY[0]), BINARY[0]),
    (Form::Binary(BINARY[1]), BINARY[1]),
    (Form::Binary(BINARY[2]), BINARY[2]),
];

/// The form a caller likes best of those that a message has; none when it takes none of them.
pub(super) fn message(headers: &HeaderMap, has_binary: bool) -> Option<Form> {
    if takes_json(headers) {
        return Some(Form::Json);
    }
    let offers = if has_binary { &FORMS[..] } else { &FORMS[..1] };
    best(headers, offers)
}

/// The form of an error, which always has one.
pub(super) fn error(headers: &HeaderMap) -> Form {
    if takes_json(headers) {
        return Form::Json;
    }
    best(headers, &FORMS).unwrap_or(Form::Json)
}

/// Whether a caller takes JSON before anything else, told at a glance.
fn takes_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value == "*/*" || value == JSON,
        _ => false,
    }
}

/// The offer a caller likes best, the first of equals; none when it takes none.
fn best<T: Copy>(headers: &HeaderMap, offers: &[(T, &str)]) -> Option<T> {
    let ranges = || elements(headers, &header::ACCEPT).filter_map(Range::parse);
    if ranges().next().is_none() {
        return offers.first().map(|(offer, _)| *offer);
    }
    let mut best = (0, None);
    for (offer, media) in offers {
        let fitting = ranges().filter_map(|range| Some((range.closeness(media)?, range.quality)));
        // The range that says most about the type decides.
        let quality = fitting.max().map_or(0, |(_, quality)| quality);
        if quality > best.0 {
            best = (quality, Some(*offer));
        }
    }
    best.1
}

/// One of the media ranges of an Accept header.
struct Range<'a> {
    /// `*/*`, `text/*` or `text/event-stream`, in any case.
    media: &'a str,
    /// How much it is liked, in thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    /// None for what is no media range.
    fn parse(text: &'a str) -> Option<Self> {
        let (media, quality) = weighted(text)?;
        media.contains('/').then_some(Self { media, quality })
    }

    /// How much the range says about a type; none when the type is not in it.
    fn closeness(&self, media: &str) -> Option<u8> {
        if self.media.eq_ignore_ascii_case(media) {
            return Some(2);
        }
        let kind = self.media.strip_suffix("/*")?;
        match media.split_once('/') {
            Some((of, _)) if of.eq_ignore_ascii_case(kind) => Some(1),
            _ => (kind == "*").then_some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().expect("a header"));
        headers
    }

    #[test]
    fn the_form_a_caller_likes_best() {
        for (text, format) in [
            ("", Some(Format::EventStream)),
            ("*/*", Some(Format::EventStream)),
            ("text/event-stream", Some(Format::EventStream)),
            (
                "Text/Event-Stream; charset=utf-8",
                Some(Format::EventStream),
            ),
            ("text/*", Some(Format::EventStream)),
            (
                "application/json, text/plain, */*",
                Some(Format::EventStream),
            ),
            ("application/x-ndjson", Some(Format::JsonLines)),
            ("application/*", Some(Format::JsonLines)),
            (
                "text/event-stream;q=0.5, application/x-ndjson",
                Some(Format::JsonLines),
            ),
            (
                "application/x-ndjson, text/event-stream",
                Some(Format::EventStream),
            ),
            ("text/event-stream;q=0, */*;q=0.1", Some(Format::JsonLines)),
            (
                "application/x-ndjson, */*; q=0.001",
                Some(Format::JsonLines),
            ),
            ("application/json", Some(Format::JsonArray)),
            (
                "application/json, application/x-ndjson",
                Some(Format::JsonLines),
            ),
            (
                "application/json, text/event-stream;q=0.9",
                Some(Format::JsonArray),
            ),
            ("text/html, application/xhtml+xml", None),
            ("text/event-stream;q=0", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(Format::accepted(&accept(text)), format, "{text}");
        }
        assert_eq!(
            Format::accepted(&HeaderMap::new()),
            Some(Format::EventStream)
        );
        let mut two = HeaderMap::new();
        two.append(header::ACCEPT, "text/html".parse().expect("a header"));
        two.append(header::ACCEPT, "text/*".parse().expect("a header"));
        assert_eq!(Format::accepted(&two), Some(Format::EventStream));
    }

    #[test]
    fn messages_are_json_unless_the_binary_form_is_liked_better() {
        let binary = |media| Some(Form::Binary(media));
        for (text, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/json", Some(Form::Json)),
            ("application/json;charset=utf-8", Some(Form::Json)),
            ("application/*", Some(Form::Json)),
            ("text/html, */*;q=0.1", Some(Form::Json)),
            ("application/x-protobuf, application/json", Some(Form::Json)),
            ("application/x-protobuf, */*", Some(Form::Json)),
            ("application/x-protobuf", binary(BINARY[0])),
            ("Application/X-Protobuf", binary(BINARY[0])),
            ("application/protobuf", binary(BINARY[1])),
            ("application/vnd.google.protobuf", binary(BINARY[2])),
            (
                "application/json;q=0.9, application/protobuf",
                binary(BINARY[1]),
            ),
            (
                "application/x-protobuf;q=0.2, application/protobuf;q=0.3, */*;q=0.1",
                binary(BINARY[1]),
            ),
            ("application/json;q=0, */*", binary(BINARY[0])),
            ("text/html", None),
            ("*/*;q=0", None),
            ("application/x-protobuf;q=0", None),
        ] {
            let headers = accept(text);
            assert_eq!(message(&headers, true), form, "{text}");
            assert_eq!(error(&headers), form.unwrap_or(Form::Json), "{text}");
            let json = form.filter(|form| *form == Form::Json);
            if form.is_none() || json.is_some() {
                assert_eq!(message(&headers, false), json, "{text}");
            }
        }
        assert_eq!(message(&HeaderMap::new(), true), Some(Form::Json));
        assert_eq!(message(&accept("application/x-protobuf"), false), None);
    }
}
