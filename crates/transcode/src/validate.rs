//! Checking messages against the rules of the contract; the checks themselves are generated.

use std::sync::LazyLock;

use prost_types::FieldMask;
use regex::Regex;

use crate::Violations;
use crate::json::kind::camel_case;
use crate::json::too_deep;

/// A compiled pattern of the contract; made at first use, in a `static` of generated code.
pub type Pattern = LazyLock<Regex>;

/// Compiles a pattern that the generator has compiled before.
///
/// # Panics
/// When the pattern does not compile, which the generator has ruled out.
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the generator compiled this pattern")
}

/// What the generator writes for each message.
pub trait Validate {
    /// Notes what is wrong with a message.
    fn validate(&self, violations: &mut Violations);

    /// What a path of an update mask, in proto or JSON names, stands for in this message.
    fn path(path: &str) -> MaskPath;
}

impl<M: Validate> Validate for Box<M> {
    fn validate(&self, violations: &mut Violations) {
        (**self).validate(violations);
    }

    fn path(path: &str) -> MaskPath {
        M::path(path)
    }
}

/// What a path of an update mask stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskPath {
    /// A field that callers may set.
    Writable,
    /// A field that only the service sets.
    ReadOnly,
    /// No field.
    Unknown,
}

/// Whether a string is as long as a rule wants, in characters.
pub fn length_between(text: &str, min: usize, max: usize) -> bool {
    // Bytes decide most cases: a character has one to four.
    if text.len() < min || text.len() > max.saturating_mul(4) {
        return false;
    }
    let length = text.chars().count();
    (min..=max).contains(&length)
}

/// Whether a string is a decimal of at least 0 with at most so many digits before and after the point.
pub fn is_decimal(text: &str, integer_digits: usize, fraction_digits: usize) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, max| {
        (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(whole, integer_digits) && digits(fraction, fraction_digits.max(1))
}

/// Whether a string holds U+0000.
pub fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// Whether a string in an object, at any depth and keys among them, holds U+0000.
pub fn object_has_nul(object: &prost_types::Struct) -> bool {
    object
        .fields
        .iter()
        .any(|(name, value)| has_nul(name) || value_has_nul(value))
}

fn value_has_nul(value: &prost_types::Value) -> bool {
    use prost_types::value::Kind;
    match &value.kind {
        Some(Kind::StringValue(text)) => has_nul(text),
        Some(Kind::StructValue(object)) => object_has_nul(object),
        Some(Kind::ListValue(list)) => list.values.iter().any(value_has_nul),
        _ => false,
    }
}

/// Checks an update mask and drops the violations of fields that it leaves alone: an update is judged by what it changes.
///
/// `resource` is the JSON name of the field that holds the new values.
pub fn check_mask<M: Validate>(
    violations: &mut Violations,
    resource: &'static str,
    mask: &FieldMask,
) {
    let json: Vec<String> = mask
        .paths
        .iter()
        .map(|path| camel_case(path).unwrap_or_else(|| path.clone()))
        .collect();
    violations.retain(|field| {
        let Some(rest) = field
            .strip_prefix(resource)
            .and_then(|rest| rest.strip_prefix('.'))
        else {
            return true;
        };
        M::path(rest) == MaskPath::ReadOnly
            || json.iter().any(|path| path == "*" || covers(path, rest))
    });
    for (path, json) in mask.paths.iter().zip(&json) {
        let found = match path.as_str() {
            "*" => MaskPath::Writable,
            path if too_deep(path) => MaskPath::Unknown,
            path => M::path(path),
        };
        match found {
            MaskPath::Writable => {}
            MaskPath::ReadOnly => {
                violations.field(resource, |v| {
                    v.key(json.clone(), |v| v.add("Can't be changed"));
                });
            }
            MaskPath::Unknown => {
                let path: String = path.chars().take(64).collect();
                violations.field("updateMask", |v| v.add(format!("Names no field: {path}")));
            }
        }
    }
}

/// Whether a path names a field or what it is in.
fn covers(path: &str, field: &str) -> bool {
    field
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
