//! Without the feature `compression` nothing is compressed, and what comes compressed is not read.

use http::{HeaderMap, HeaderName};

/// What a body may be coded with, as a refusal says it.
pub(crate) const NAMES: &str = "identity";

/// What bytes are coded with: there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {}

impl Coding {
    pub(crate) const fn name(self) -> &'static str {
        match self {}
    }

    pub(crate) const fn named(_: &str) -> Option<Self> {
        None
    }

    pub(crate) const fn accepted(_: &HeaderMap, _: &HeaderName) -> Option<Self> {
        None
    }

    pub(crate) const fn encode(self, _: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {}
    }
}

/// Why bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They say more than they may.
    #[expect(dead_code, reason = "nothing is unpacked")]
    TooLarge,
    /// They are not what they say they are.
    #[expect(dead_code, reason = "nothing is unpacked")]
    Malformed,
}

/// Unpacks nothing.
pub(crate) struct Decoder(Coding);

impl Decoder {
    pub(crate) const fn new(coding: Coding, _: usize) -> std::io::Result<Self> {
        match coding {}
    }

    pub(crate) const fn write(&mut self, _: &[u8]) -> Result<(), Refused> {
        match self.0 {}
    }

    pub(crate) const fn finish(self) -> Result<Vec<u8>, Refused> {
        match self.0 {}
    }
}
