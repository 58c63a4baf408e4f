//! A line of the log as JSON: the same members for events and for requests.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::request::{RequestRecord, operation};
use super::writer::LogWriter;
use crate::domain::Environment as _;
use crate::lifecycle::{NAME, VERSION};
use crate::system::SystemEnvironment;

/// What all lines say of the service.
static SERVICE: LazyLock<String> = LazyLock::new(|| {
    let id = serde_json::Value::from(super::instance());
    format!(
        r#","service":"{NAME}","service.id":{id},"service.name":"{NAME}","service.version":"{VERSION}""#
    )
});

/// One line. [`data`](Self::data) after the message; [`end`](Self::end) last.
pub struct Line<'a> {
    bytes: &'a mut Vec<u8>,
    separator: &'static [u8],
}

impl<'a> Line<'a> {
    /// Begins a line. `caller` is a file and a line in it.
    pub fn begin(
        bytes: &'a mut Vec<u8>,
        level: Level,
        request: Option<&RequestRecord>,
        caller: (&str, u32),
    ) -> Self {
        bytes.extend_from_slice(br#"{"timestamp":""#);
        timestamp(bytes, SystemEnvironment.now());
        let mut line = Self {
            bytes,
            separator: b"",
        };
        line.raw(br#"","level":""#);
        line.raw(level.as_str().as_bytes());
        line.raw(b"\"");
        line.raw(SERVICE.as_bytes());
        if let Some(request) = request {
            line.raw(br#","trace.id":""#);
            request.trace.context.write_trace_id(line.bytes);
            line.raw(br#"","span.id":""#);
            request.trace.context.write_span_id(line.bytes);
            line.raw(b"\"");
        }
        line.raw(br#","caller":""#);
        line.raw(caller.0.as_bytes());
        line.raw(b":");
        line.raw(itoa::Buffer::new().format(caller.1).as_bytes());
        line.raw(b"\"");
        line
    }

    /// The message, after which the data begins.
    pub fn message(&mut self, message: &str) {
        self.raw(br#","message":"#);
        self.text(message);
        self.raw(br#","data":{"#);
    }

    /// A member of the data that is text.
    pub fn data(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text(value);
    }

    /// A member of the data that is a number from zero on.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.raw(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A member of the data that is a number or a truth value.
    pub fn datum(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        let _ = write!(self.bytes, "{value}");
    }

    /// A member of the data that is a time, in milliseconds: `25.031ms`.
    pub fn duration(&mut self, name: &str, duration: Duration) {
        self.name(name);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.raw(b"\"");
        let mut divisor = 1000;
        while divisor <= micros / 10 {
            divisor *= 10;
        }
        // The point stands before the last three digits.
        while divisor > 0 {
            if divisor == 100 {
                self.raw(b".");
            }
            self.bytes.push(digit(micros / divisor));
            divisor /= 10;
        }
        self.raw(b"ms\"");
    }

    /// What is known of a request.
    pub fn request(&mut self, request: &RequestRecord) {
        if let Some(spec) = request.spec.get() {
            self.name("operation");
            self.raw(b"\"");
            operation(spec.name, |letter| self.bytes.push(letter));
            self.raw(b"\"");
        }
        if let Some(entity) = request.entity.get() {
            self.name("entityId");
            self.raw(b"\"");
            entity.write(self.bytes);
            self.raw(b"\"");
        }
        if let Some(principal) = request.principal.get() {
            self.data("userId", &principal.subject);
        }
        self.data("requestId", &request.context.request_id);
    }

    /// Ends the line.
    pub fn end(self) {
        self.bytes.extend_from_slice(b"}}");
    }

    /// Names are identifiers, which are written as they are.
    fn name(&mut self, name: &str) {
        self.raw(self.separator);
        self.separator = b",";
        self.raw(b"\"");
        self.raw(name.as_bytes());
        self.raw(b"\":");
    }

    fn text(&mut self, text: &str) {
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        // Nearly all there is: no need to look for what each byte is written as. To look at all of them takes less time
        // than to stop at the first, as it is done many at a time.
        if text.bytes().fold(true, |all, byte| all & plain(byte)) {
            self.raw(b"\"");
            self.raw(text.as_bytes());
            self.raw(b"\"");
        } else {
            // Writing to a Vec can't fail.
            let _ = serde_json::to_writer(&mut *self.bytes, text);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// The last decimal digit of a number.
fn digit(number: u64) -> u8 {
    let last = (number % 10) as u8;
    b'0' + last
}

thread_local! {
    /// The last second that the thread wrote, and its text.
    static SECOND: Cell<(i64, [u8; SECOND_LENGTH])> = const { Cell::new((i64::MIN, [0; SECOND_LENGTH])) };
}

/// The length of a time to the second, with the point after it.
const SECOND_LENGTH: usize = "2024-01-15T10:30:00.".len();

/// RFC 3339 with microseconds, in UTC.
fn timestamp(bytes: &mut Vec<u8>, time: OffsetDateTime) {
    let second = time.unix_timestamp();
    let (known, mut text) = SECOND.get();
    if known != second {
        text = written(time);
        SECOND.set((second, text));
    }
    bytes.extend_from_slice(&text);
    let micros = time.microsecond();
    for divisor in [100_000, 10_000, 1000, 100, 10, 1] {
        bytes.push(digit((micros / divisor).into()));
    }
    bytes.push(b'Z');
}

/// A time to the second.
fn written(time: OffsetDateTime) -> [u8; SECOND_LENGTH] {
    let mut text = *b"0000-00-00T00:00:00.";
    let year = time.year().clamp(0, 9999).unsigned_abs();
    for (places, number) in [
        (0..4, year),
        (5..7, u8::from(time.month()).into()),
        (8..10, time.day().into()),
        (11..13, time.hour().into()),
        (14..16, time.minute().into()),
        (17..19, time.second().into()),
    ] {
        let mut rest: u32 = number;
        for place in text[places].iter_mut().rev() {
            *place = digit(rest.into());
            rest /= 10;
        }
    }
    text
}

/// Writes events as lines.
pub(super) struct JsonLayer(pub LogWriter);

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let request = RequestRecord::current();
        let mut message = Message(String::new());
        event.record(&mut message);
        let caller = (
            metadata.file().unwrap_or_else(|| metadata.target()),
            metadata.line().unwrap_or_default(),
        );
        self.0.line(true, |bytes| {
            let mut line = Line::begin(bytes, *metadata.level(), request.as_deref(), caller);
            line.message(&message.0);
            event.record(&mut Data(&mut line));
            if let Some(request) = &request {
                line.request(request);
            }
            line.end();
        });
    }
}

const MESSAGE: &str = "message";

/// Takes the message out of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.0);
        }
    }
}

/// Takes all but the message out of an event.
struct Data<'a, 'b>(&'a mut Line<'b>);

impl Visit for Data<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != MESSAGE {
            self.0.data(field.name(), &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE {
            self.0.data(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.datum(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.datum(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.datum(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use transcode::rest::RequestContext;

    use super::*;
    use crate::telemetry::request::Entity;
    use crate::telemetry::trace::{TraceContext, Tracer};

    #[test]
    fn a_line_is_json_whatever_is_in_it() {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Tracer::off(SystemEnvironment).begin(TraceContext::parse(caller));
        let context = RequestContext {
            request_id: "req_1".to_owned(),
            trace_id: Some(trace.context.trace_id),
        };
        let request = RequestRecord::new(context, trace);
        let spec = &crate::pb::catalog::v1::catalog_service::GET_PRODUCT;
        request.spec.set(spec).unwrap();
        let (prefix, id) = ("prod", uuid::Uuid::nil());
        request.entity.set(Entity { prefix, id }).unwrap();
        let mut bytes = Vec::new();
        let mut line = Line::begin(&mut bytes, Level::WARN, Some(&request), ("src/a.rs", 7));
        line.message("\"quoted\"\n");
        line.data("path", "/\u{1}ä");
        line.datum("status", 200);
        line.duration("duration", Duration::from_micros(25_031));
        line.request(&request);
        line.end();
        let line: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service"], "catalog-service");
        assert_eq!(line["service.version"], VERSION);
        assert_eq!(line["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["span.id"].as_str().unwrap().len(), 16);
        assert_ne!(line["span.id"], "00f067aa0ba902b7", "the caller's");
        assert_eq!(line["caller"], "src/a.rs:7");
        assert_eq!(line["message"], "\"quoted\"\n");
        assert_eq!(line["data"]["path"], "/\u{1}ä");
        assert_eq!(line["data"]["status"], 200);
        assert_eq!(line["data"]["duration"], "25.031ms");
        assert_eq!(line["data"]["operation"], "get_product");
        assert_eq!(line["data"]["entityId"], "prod_00000000000000000000000000");
        assert_eq!(line["data"]["requestId"], "req_1");
        assert_eq!(line["timestamp"].as_str().unwrap().len(), 27);
    }

    #[test]
    fn durations_are_in_milliseconds() {
        for (micros, text) in [
            (0, r#""d":"0.000ms""#),
            (999, r#""d":"0.999ms""#),
            (1000, r#""d":"1.000ms""#),
            (9_999, r#""d":"9.999ms""#),
            (10_000, r#""d":"10.000ms""#),
            (123_456_789, r#""d":"123456.789ms""#),
        ] {
            let mut bytes = Vec::new();
            let mut line = Line {
                bytes: &mut bytes,
                separator: b"",
            };
            line.duration("d", Duration::from_micros(micros));
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let text = |time| {
            let mut bytes = Vec::new();
            timestamp(&mut bytes, time);
            String::from_utf8(bytes).unwrap()
        };
        for (time, expected) in [
            (
                time::macros::datetime!(2024-01-05 01:02:03.000004 UTC),
                "2024-01-05T01:02:03.000004Z",
            ),
            (
                time::macros::datetime!(2024-01-05 01:02:03.987654 UTC),
                "2024-01-05T01:02:03.987654Z",
            ),
            (
                time::macros::datetime!(2024-12-31 23:59:59 UTC),
                "2024-12-31T23:59:59.000000Z",
            ),
        ] {
            assert_eq!(text(time), expected);
        }
    }
}
