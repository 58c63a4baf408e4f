//! What bytes are compressed with on their way, in bodies and in messages alike: gzip, zstd and br.

mod decoder;

use std::io::Write as _;

use brotli::enc::BrotliEncoderParams;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName};

use crate::lists::{elements, weighted};

pub(crate) use decoder::{Decoder, Refused};

/// How bodies are compressed.
///
/// An answer that holds a secret beside what a stranger could have put into it tells its length, and by it the secret to
/// one who tries many times (BREACH): such a service leaves compression off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Smallest answer that is compressed, in bytes: a smaller one fits into a packet or two as it is.
    pub min_bytes: usize,
}

impl Default for Compression {
    fn default() -> Self {
        Self { min_bytes: 1 << 10 }
    }
}

/// What a body may be coded with, as a refusal says it.
pub(crate) const NAMES: &str = "zstd, br, gzip";

/// What a body is coded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, the preferred one first: what takes the least time for what it saves.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in HTTP.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of a name; `x-gzip` is an old name of gzip.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let found = Self::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name()));
        found.or_else(|| name.eq_ignore_ascii_case("x-gzip").then_some(Self::Gzip))
    }

    /// The coding a caller likes best; none when it likes the bare answer better, or says nothing.
    pub(crate) fn accepted(headers: &HeaderMap, header: &HeaderName) -> Option<Self> {
        let quality = |wanted: &dyn Fn(&str) -> bool| {
            let listed = elements(headers, header).filter_map(weighted);
            let mut listed = listed.filter(|(name, _)| wanted(name));
            listed.next().map(|(_, quality)| quality)
        };
        let any = quality(&|name| name == "*").unwrap_or(0);
        let bare = quality(&|name| name.eq_ignore_ascii_case("identity")).unwrap_or(0);
        let mut best = (0, None);
        for coding in Self::ALL {
            let quality = quality(&|name| Self::named(name) == Some(coding)).unwrap_or(any);
            if quality > best.0 && quality >= bare {
                best = (quality, Some(coding));
            }
        }
        best.1
    }

    /// Compresses bytes.
    pub(crate) fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, 3),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Brotli => {
                let parameters = BrotliEncoderParams {
                    quality: 4,
                    size_hint: bytes.len(),
                    ..BrotliEncoderParams::default()
                };
                let mut encoded = Vec::new();
                brotli::BrotliCompress(&mut &*bytes, &mut encoded, &parameters)?;
                Ok(encoded)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT_ENCODING;

    use super::*;

    #[test]
    fn the_coding_a_caller_likes_best() {
        for (text, coding) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("GZip", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("deflate", None),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Brotli)),
            ("gzip;q=0, *;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0, deflate", None),
            ("gzip;q=x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().expect("a header"));
            assert_eq!(
                Coding::accepted(&headers, &ACCEPT_ENCODING),
                coding,
                "{text}"
            );
        }
        assert_eq!(Coding::accepted(&HeaderMap::new(), &ACCEPT_ENCODING), None);
    }
}
