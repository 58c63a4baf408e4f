//! The W3C trace context: which trace, which span of it, and whether it is kept.

use std::fmt;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, not 0.
    pub trace_id: u128,
    /// The span, not 0.
    pub span_id: u64,
    /// Whether the trace is kept.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. One that is not sane is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next()?;
            let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let sane = part.len() == digits && part.as_bytes().iter().all(hex);
            u128::from_str_radix(part, 16).ok().filter(|_| sane)
        };
        let version = number(2)?;
        let (trace_id, span_id, flags) = (number(32)?, number(16)?, number(2)?);
        // A later version may have more to say.
        let sane = version != 0xff && (version != 0 || parts.next().is_none());
        Some(Self {
            trace_id,
            span_id: u64::try_from(span_id).ok()?,
            sampled: flags & 1 == 1,
        })
        .filter(|context| sane && context.trace_id != 0 && context.span_id != 0)
    }

    /// Appends the id of the trace, in 32 digits.
    pub fn write_trace_id(&self, text: &mut Vec<u8>) {
        write_hex(text, self.trace_id, 32);
    }

    /// Appends the id of the span, in 16 digits.
    pub fn write_span_id(&self, text: &mut Vec<u8>) {
        write_hex(text, self.span_id.into(), 16);
    }
}

/// As a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

/// Digit by digit: formatting with a width takes ten times as long, and each request has two ids.
fn write_hex(text: &mut Vec<u8>, number: u128, digits: u32) {
    let digit = |place| b"0123456789abcdef"[(number >> (4 * place)) as usize & 15];
    text.extend((0..digits).rev().map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_comes_back_as_it_went() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), text);
        let mut ids = Vec::new();
        context.write_trace_id(&mut ids);
        context.write_span_id(&mut ids);
        assert_eq!(ids, [&text[3..35], &text[36..52]].concat().as_bytes());
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!TraceContext::parse(later).unwrap().sampled);
    }

    #[test]
    fn what_is_not_sane_is_none() {
        for text in [
            "",
            "00-4bf9-00f0-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
