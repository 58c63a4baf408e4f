//! Unary calls by GET, whose message is in the query.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode;

use super::protocol::Codec;

/// base64 for URLs, with or without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the query of a call says.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    /// `v1`, if it says a version.
    pub(super) version: Option<&'a str>,
    pub(super) encoding: Option<&'a str>,
    /// What the message is compressed with.
    pub(super) compression: Option<&'a str>,
    message: Option<&'a str>,
    base64: bool,
}

impl<'a> Query<'a> {
    /// Reads a query. What it says beside this is none of the protocol's, and skipped; what it says twice counts once.
    pub(super) fn parse(query: &'a str) -> Self {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "connect" => &mut found.version,
                "encoding" => &mut found.encoding,
                "compression" => &mut found.compression,
                "message" => &mut found.message,
                "base64" => {
                    found.base64 |= value == "1";
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(value);
        }
        found
    }

    pub(super) fn codec(&self) -> Option<Codec> {
        self.encoding.and_then(Codec::named)
    }

    /// The bytes of the message, as they are packed. Fails with what is wrong with them.
    pub(super) fn message(&self) -> Result<Bytes, &'static str> {
        let message = self.message.ok_or("The query needs a message")?;
        // In a query + is a space.
        let spaced = if message.contains('+') {
            Cow::Owned(message.replace('+', " "))
        } else {
            Cow::Borrowed(message)
        };
        let bytes = Cow::from(percent_decode(spaced.as_bytes()));
        if self.base64 {
            let decoded = URL_SAFE.decode(&*bytes);
            return decoded
                .map(Bytes::from)
                .map_err(|_| "The message of the query must be base64 for URLs");
        }
        Ok(Bytes::from(bytes.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let message = |query| Query::parse(query).message();
        for (query, expected) in [
            ("message=%7b%7D", "{}"),
            ("message=a+b%2B", "a b+"),
            ("message=", ""),
            ("message=e30&base64=1", "{}"),
            ("base64=1&message=e30%3D", "{}"),
            ("base64=1&message=e30=", "{}"),
            ("message=a&message=b&x", "a"),
            ("base64=0&message=e30", "e30"),
        ] {
            assert_eq!(
                message(query).as_deref(),
                Ok(expected.as_bytes()),
                "{query}"
            );
        }
        for query in ["", "base64=1&message=%%", "base64=1&message=++"] {
            assert!(message(query).is_err(), "{query}");
        }
    }

    #[test]
    fn codecs() {
        let codec = |query| Query::parse(query).codec();
        assert_eq!(codec("encoding=json"), Some(Codec::Json));
        assert_eq!(codec("encoding=proto"), Some(Codec::Proto));
        assert_eq!(codec("encoding=x"), None);
        assert_eq!(codec("connect=v1"), None);
        let query = Query::parse("connect=v1&compression=gzip");
        assert_eq!(
            (query.version, query.compression),
            (Some("v1"), Some("gzip"))
        );
    }
}
