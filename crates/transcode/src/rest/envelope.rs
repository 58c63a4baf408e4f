//! The envelope: what it says beside the data or the error.

use std::cell::Cell;
use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Value;

use super::{Problem, RequestContext, Settings};
use crate::clock_text::{SECONDS, to_seconds};
use crate::details::{self, Fields};
use crate::spec::ReasonTable;

/// An error in its envelope.
pub(super) fn error(
    settings: &Settings,
    context: Option<&RequestContext>,
    reasons: &ReasonTable,
    problem: &Problem,
) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Envelope {
        success: false,
        error: Error {
            code: problem.name(reasons),
            message: &problem.message,
            details: Fields(&problem.details),
            typed: details::typed(&problem.origin),
        },
        meta: Meta { settings, context },
    })
}

#[derive(Serialize)]
struct Envelope<'a> {
    success: bool,
    error: Error<'a>,
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    details: Fields<'a>,
    #[serde(rename = "errorDetails", skip_serializing_if = "Vec::is_empty")]
    typed: Vec<Value>,
}

/// `meta` of an error's envelope.
struct Meta<'a> {
    settings: &'a Settings,
    context: Option<&'a RequestContext>,
}

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(context) = self.context {
            map.serialize_entry("requestId", &context.request_id)?;
        }
        let time = rfc3339((self.settings.clock)());
        map.serialize_entry("timestamp", &String::from_utf8_lossy(&time))?;
        if let Some(trace_id) = self.context.and_then(|context| context.trace_id) {
            map.serialize_entry("traceId", &format_args!("{trace_id:032x}"))?;
        }
        map.end()
    }
}

/// Writes `meta` of a success's envelope. Not through serde: that takes as long as all the rest of a small answer.
pub(super) fn write_meta(
    json: &mut Vec<u8>,
    settings: &Settings,
    context: Option<&RequestContext>,
    version: &str,
) {
    json.push(b'{');
    if let Some(context) = context {
        json.extend_from_slice(br#""requestId":"#);
        write_text(json, &context.request_id);
        json.push(b',');
    }
    json.extend_from_slice(br#""timestamp":""#);
    json.extend_from_slice(&rfc3339((settings.clock)()));
    json.extend_from_slice(br#"","version":"#);
    write_text(json, version);
    json.push(b'}');
}

/// Writes a text as JSON.
fn write_text(json: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    // All of them, which the compiler looks at many at a time, as it can't do when it is to stop at the first.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        // Writing to a Vec can't fail.
        let _ = serde_json::to_writer(json, text);
    }
}

thread_local! {
    /// The last second that the thread wrote, counted from 1970, and its text.
    static SECOND: Cell<(u64, [u8; 20])> = const { Cell::new((0, *b"1970-01-01T00:00:00Z")) };
}

/// A time in whole seconds, such as `2024-01-15T10:30:00Z`; times before 1970 are its beginning.
fn rfc3339(time: SystemTime) -> [u8; 20] {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let second = since.unwrap_or_default().as_secs();
    let (known, mut text) = SECOND.get();
    if known != second {
        text = written(second);
        SECOND.set((second, text));
    }
    text
}

fn written(second: u64) -> [u8; 20] {
    let time = i64::try_from(second).ok();
    let time = time.and_then(|second| time::OffsetDateTime::from_unix_timestamp(second).ok());
    let time = time.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let mut text = [b'Z'; 20];
    text[..SECONDS].copy_from_slice(&to_seconds(time));
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_705_314_609, "2024-01-15T10:30:09Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), text.as_bytes());
        }
    }

    #[test]
    fn meta_is_json_whatever_is_in_it() {
        let settings = Settings {
            clock: || UNIX_EPOCH,
            ..Settings::default()
        };
        for request_id in ["req_1", "ä", "\"", "\\", "\n"] {
            let context = RequestContext {
                request_id: request_id.to_owned(),
                trace_id: None,
            };
            let mut json = Vec::new();
            write_meta(&mut json, &settings, Some(&context), "1.0");
            let meta: Value = serde_json::from_slice(&json).expect("JSON");
            assert_eq!(
                meta,
                serde_json::json!({"requestId": request_id, "timestamp": "1970-01-01T00:00:00Z", "version": "1.0"})
            );
        }
        let mut json = Vec::new();
        write_meta(&mut json, &settings, None, "1.0");
        assert!(serde_json::from_slice::<Value>(&json).is_ok());
    }
}
