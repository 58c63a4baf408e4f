//! The forms that a message has in HTTP: JSON and protobuf's binary one.

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use tonic::Code;

use super::Problem;

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// The media type of lines of JSON.
pub(super) const LINES: &str = "application/x-ndjson";

/// The media type of forms of HTML that may hold files.
pub(super) const MULTIPART: &str = "multipart/form-data";

/// The media types of the binary form, the usual one first.
pub(super) const BINARY: [&str; 3] = [
    "application/x-protobuf",
    "application/protobuf",
    "application/vnd.google.protobuf",
];

/// A form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// ProtoJSON.
    Json,
    /// The bytes that gRPC sends, under one of the types of [`BINARY`].
    Binary(&'static str),
}

impl Form {
    /// What the tag of an answer in this form ends with: forms of one thing are told apart by their entity tags.
    pub(super) const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Binary(_) => super::etag::BINARY,
        }
    }

    /// What the body of a request says it is; none for what is neither.
    pub(super) fn of_body(headers: &HeaderMap) -> Option<Self> {
        let (essence, mut parameters) = content_type(headers)?;
        if let Some(media) = BINARY
            .into_iter()
            .find(|media| essence.eq_ignore_ascii_case(media))
        {
            return Some(Self::Binary(media));
        }
        (is_json(essence) && parameters.all(is_utf8)).then_some(Self::Json)
    }
}

/// Whether a body says it is lines of JSON.
pub(super) fn is_lines(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|(essence, mut parameters)| {
        essence.eq_ignore_ascii_case(LINES) && parameters.all(is_utf8)
    })
}

/// The type of a body and its parameters; none for what says none, or several.
fn content_type(headers: &HeaderMap) -> Option<(&str, impl Iterator<Item = &str>)> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let mut parts = value.to_str().ok()?.split(';').map(str::trim);
    Some((parts.next().unwrap_or_default(), parts))
}

/// Whether a parameter of a type says nothing of another charset.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
            charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    }
}

/// Whether a type is JSON: `application/json` or one that ends in `+json`.
fn is_json(essence: &str) -> bool {
    let ends = |text: &str, end: &str| {
        let at = text.len().checked_sub(end.len());
        at.and_then(|at| text.get(at..))
            .is_some_and(|rest| rest.eq_ignore_ascii_case(end))
    };
    essence.eq_ignore_ascii_case(JSON)
        || (essence
            .split_once('/')
            .is_some_and(|(kind, _)| kind.eq_ignore_ascii_case("application"))
            && ends(essence, "+json"))
}

/// The media types of answers, for people.
pub(super) const fn offered(has_binary: bool) -> &'static str {
    if has_binary {
        "application/json or application/x-protobuf"
    } else {
        JSON
    }
}

/// The error of a body of another type than those that are read.
pub(super) fn unsupported(parts: &Parts, types: &[&str]) -> Problem {
    let name = match parts.method {
        Method::POST => header::HeaderName::from_static("accept-post"),
        Method::PATCH => header::HeaderName::from_static("accept-patch"),
        // As RFC 9110, 12.5.1 has it: in an answer, what a later request may be.
        _ => header::ACCEPT,
    };
    let (last, others) = types.split_last().unwrap_or((&JSON, &[]));
    let or = if others.is_empty() { "" } else { " or " };
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        format!("Content-Type must be {}{or}{last}", others.join(", ")),
    )
    .with_header(name, &types.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let form = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().expect("a header"));
            Form::of_body(&headers)
        };
        for value in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/merge-patch+json",
            "application/merge-patch+JSON",
        ] {
            assert_eq!(form(value), Some(Form::Json), "{value}");
        }
        for value in [
            "application/x-protobuf",
            "application/X-Protobuf; messageType=\"library.v1.Book\"",
        ] {
            assert_eq!(form(value), Some(Form::Binary(BINARY[0])), "{value}");
        }
        for media in BINARY {
            assert_eq!(form(media), Some(Form::Binary(media)), "{media}");
        }
        for value in [
            "text/plain",
            "application/jsonx",
            "text/json",
            "text/x+json",
            "+json",
            "application/json; charset=latin1",
            "application/x-protobuffer",
            "",
        ] {
            assert_eq!(form(value), None, "{value}");
        }
        assert_eq!(Form::of_body(&HeaderMap::new()), None);
        let mut two = HeaderMap::new();
        two.append(header::CONTENT_TYPE, JSON.parse().expect("a header"));
        two.append(header::CONTENT_TYPE, JSON.parse().expect("a header"));
        assert_eq!(Form::of_body(&two), None);
    }
}
