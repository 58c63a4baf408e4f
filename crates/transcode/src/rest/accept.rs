//! Which form of a stream a caller takes.

use http::{HeaderMap, HeaderValue, header};

/// The forms that a stream has in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Server-sent events, `text/event-stream`: what browsers read by themselves.
    EventStream,
    /// A JSON text on each line, `application/x-ndjson`.
    JsonLines,
}

impl Format {
    /// All of them, the preferred one first.
    const ALL: [Self; 2] = [Self::EventStream, Self::JsonLines];

    /// What the answer says it is.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// The form a caller likes best; none when it takes none.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::ACCEPT).iter();
        let text: Vec<_> = values.flat_map(HeaderValue::to_str).collect();
        let text = text.join(",");
        let ranges: Vec<_> = text.split(',').filter_map(Range::parse).collect();
        if ranges.is_empty() {
            return Some(Self::EventStream);
        }
        let quality = |format: &Self| {
            let fitting = ranges.iter().filter_map(|range| {
                let closeness = range.closeness(format.content_type())?;
                Some((closeness, range.quality))
            });
            // The range that says most about the type decides.
            fitting.max().map_or(0, |(_, quality)| quality)
        };
        let liked = Self::ALL.into_iter().filter(|format| quality(format) > 0);
        // Of equals, max_by_key takes the last.
        liked.rev().max_by_key(quality)
    }
}

/// One of the media ranges of an Accept header.
struct Range {
    /// `*/*`, `text/*` or `text/event-stream`, in lower case.
    media: String,
    /// How much it is liked, in thousandths.
    quality: u16,
}

impl Range {
    /// None for what is no media range.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| media.contains('/'))?;
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim_end().eq_ignore_ascii_case("q")
            {
                quality = thousandths(value.trim_start())?;
            }
        }
        Some(Self {
            media: media.to_ascii_lowercase(),
            quality,
        })
    }

    /// How much the range says about a type; none when the type is not in it.
    fn closeness(&self, media: &str) -> Option<u8> {
        if self.media == media {
            return Some(2);
        }
        let kind = self.media.strip_suffix("/*")?;
        match media.split_once('/') {
            Some((of, _)) if of == kind => Some(1),
            _ => (kind == "*").then_some(0),
        }
    }
}

/// `0.5` as 500.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || fraction.len() > 3 {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_a_caller_likes_best() {
        for (accept, format) in [
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
            ("application/json", None),
            ("text/html, application/xhtml+xml", None),
            ("text/event-stream;q=0", None),
            ("*/*;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().expect("a header"));
            assert_eq!(Format::accepted(&headers), format, "{accept}");
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
}
