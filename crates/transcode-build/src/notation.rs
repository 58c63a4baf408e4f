//! Descriptions as text.

use serde_json::Value;

use crate::error::Error;

/// A description as JSON text.
///
/// # Errors
/// When it can't be written.
pub(crate) fn json(description: &Value) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(description)
        .map_err(|error| Error::Description(error.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// A description as YAML text.
///
/// # Errors
/// When it can't be written.
pub(crate) fn yaml(description: &Value) -> Result<String, Error> {
    let text = serde_yaml_ng::to_string(description)
        .map_err(|error| Error::Description(error.to_string()))?;
    // YAML 1.1 takes a plain timestamp for a value of its own, not for a string.
    let quoted = text.lines().map(|line| match line.rsplit_once([' ']) {
        Some((head, value)) if looks_like_a_date(value) => format!("{head} '{value}'\n"),
        _ => format!("{line}\n"),
    });
    Ok(quoted.collect())
}

fn looks_like_a_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5..7].iter().all(u8::is_ascii_digit)
        && bytes[7] == b'-'
}
