//! Unpacking a body as it comes.
//!
//! What is unpacked never grows over the limit. A decoder also keeps what later bytes may refer to, which is no more than
//! what was unpacked (zstd reserves the window at once, but writes as far into it), and some kilobytes of tables.

use std::io::{self, Write};

use brotli::DecompressorWriter;
use brotli_decompressor::BrotliDecoderParameter;
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{self, DParameter, InBuffer, Operation as _, OutBuffer};

use super::Coding;

/// Bytes that are unpacked at a time.
const CHUNK: usize = 8 << 10;

/// The largest window that RFC 9659 lets a body in zstd ask for is 8 MiB, which is 2 to the power of this.
const ZSTD_WINDOW: u32 = 23;

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It says more than it may.
    TooLarge,
    /// It is not what it says it is.
    Malformed,
}

/// What was unpacked, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    passed: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max - self.bytes.len() {
            self.passed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks a body.
pub(crate) struct Decoder(Inner);

enum Inner {
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Brotli(Box<DecompressorWriter<Bounded>>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// For a body of at most `max` bytes when it is unpacked.
    pub(crate) fn new(coding: Coding, max: usize) -> io::Result<Self> {
        let output = Bounded {
            bytes: Vec::new(),
            max,
            passed: false,
        };
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(output))),
            Coding::Brotli => {
                let mut decoder = DecompressorWriter::new(output, CHUNK);
                // Windows of a gigabyte are no part of the coding that HTTP has.
                decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                Inner::Brotli(Box::new(decoder))
            }
            Coding::Zstd => {
                let mut decoder = raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                Inner::Zstd(Box::new(Zstd {
                    decoder,
                    output,
                    ended: false,
                }))
            }
        };
        Ok(Self(inner))
    }

    /// Takes what has come.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let written = match &mut self.0 {
            Inner::Gzip(decoder) => decoder.write_all(bytes),
            Inner::Brotli(decoder) => decoder.write_all(bytes),
            Inner::Zstd(decoder) => decoder.write_all(bytes),
        };
        written.map_err(|_| self.refused())
    }

    /// What was unpacked, when all has come.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, Refused> {
        let finished = match &mut self.0 {
            Inner::Gzip(decoder) => decoder.try_finish(),
            Inner::Brotli(decoder) => decoder.close(),
            Inner::Zstd(decoder) if decoder.ended => Ok(()),
            Inner::Zstd(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if finished.is_err() {
            return Err(self.refused());
        }
        Ok(std::mem::take(&mut self.output().bytes))
    }

    fn refused(&mut self) -> Refused {
        if self.output().passed {
            Refused::TooLarge
        } else {
            Refused::Malformed
        }
    }

    fn output(&mut self) -> &mut Bounded {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.get_mut(),
            Inner::Brotli(decoder) => decoder.get_mut(),
            Inner::Zstd(decoder) => &mut decoder.output,
        }
    }
}

/// Unpacks zstd, frame after frame.
struct Zstd {
    decoder: raw::Decoder<'static>,
    output: Bounded,
    /// Whether what has come ends with a frame.
    ended: bool,
}

impl Zstd {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(bytes);
        let mut chunk = [0; CHUNK];
        while input.pos() < bytes.len() {
            loop {
                let mut unpacked = OutBuffer::around(&mut chunk[..]);
                let wanted = self.decoder.run(&mut input, &mut unpacked)?;
                let full = unpacked.pos() == CHUNK;
                self.output.write_all(unpacked.as_slice())?;
                self.ended = wanted == 0;
                // After the end of a frame there is nothing left to unpack, and asking would begin another one.
                if self.ended || !full {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

    /// Unpacks in pieces of a size.
    fn unpack(coding: Coding, bytes: &[u8], piece: usize, max: usize) -> Result<Vec<u8>, Refused> {
        let mut decoder = Decoder::new(coding, max).expect("a decoder");
        for piece in bytes.chunks(piece) {
            decoder.write(piece)?;
        }
        decoder.finish()
    }

    /// What shrinks and what does not, of many sizes.
    fn texts() -> Vec<Vec<u8>> {
        let mut state = 1_u32;
        let mut noise = |length: usize| -> Vec<u8> {
            let next = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            });
            next.take(length).collect()
        };
        let mut texts = Vec::new();
        for length in [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 100_000] {
            texts.push(vec![b'a'; length]);
            texts.push(noise(length));
        }
        texts
    }

    #[test]
    fn what_was_packed_is_unpacked_however_it_comes() {
        for coding in CODINGS {
            for text in texts() {
                let packed = coding.encode(&text).expect("packed");
                for piece in [1, 7, 1000, usize::MAX] {
                    let unpacked = unpack(coding, &packed, piece, text.len());
                    assert!(unpacked.as_ref() == Ok(&text), "{coding:?} {}", text.len());
                }
                if let Some(less) = text.len().checked_sub(1) {
                    let refused = unpack(coding, &packed, usize::MAX, less);
                    assert_eq!(refused, Err(Refused::TooLarge), "{coding:?} {less}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_changed_is_refused() {
        let text = b"what is said here has no end, or another one".repeat(20);
        for coding in CODINGS {
            let packed = coding.encode(&text).expect("packed");
            for end in 0..packed.len() {
                let refused = unpack(coding, &packed[..end], 5, 10_000);
                assert_eq!(refused, Err(Refused::Malformed), "{coding:?} {end}");
            }
            let longer = [&packed[..], b"more"].concat();
            assert_eq!(unpack(coding, &longer, 5, 10_000), Err(Refused::Malformed));
            assert_eq!(
                unpack(coding, b"plain text", 5, 10_000),
                Err(Refused::Malformed)
            );
        }
    }

    #[test]
    fn several_members_are_one_body() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let twice = coding.encode(b"ab").expect("packed").repeat(2);
            for piece in [1, usize::MAX] {
                let unpacked = unpack(coding, &twice, piece, 4);
                assert_eq!(unpacked.as_deref(), Ok(&b"abab"[..]));
                assert_eq!(unpack(coding, &twice, piece, 3), Err(Refused::TooLarge));
            }
        }
    }

    #[test]
    fn windows_that_take_too_much_memory_are_refused() {
        let text = b"what is said here is short".repeat(20);
        let zstd = |window| {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("an encoder");
            let parameter = zstd::stream::raw::CParameter::WindowLog(window);
            encoder.set_parameter(parameter).expect("a window");
            encoder.write_all(&text).expect("packed");
            encoder.finish().expect("packed")
        };
        let brotli = |large_window| {
            let parameters = brotli::enc::BrotliEncoderParams {
                large_window,
                lgwin: if large_window { 30 } else { 24 },
                ..brotli::enc::BrotliEncoderParams::default()
            };
            let mut packed = Vec::new();
            brotli::BrotliCompress(&mut &*text, &mut packed, &parameters).expect("packed");
            packed
        };
        for (coding, allowed, refused) in [
            (Coding::Zstd, zstd(ZSTD_WINDOW), zstd(ZSTD_WINDOW + 1)),
            (Coding::Brotli, brotli(false), brotli(true)),
        ] {
            let unpack = |bytes| unpack(coding, bytes, usize::MAX, text.len());
            assert_eq!(unpack(&allowed).as_ref(), Ok(&text), "{coding:?}");
            assert_eq!(unpack(&refused), Err(Refused::Malformed), "{coding:?}");
        }
    }
}
