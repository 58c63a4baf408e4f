//! What is wrong with a request, field by field.

use std::fmt::Write as _;

use crate::json::kind::camel_case;

/// How many violations an answer names. They travel in gRPC trailers, whose size clients limit.
const MAX_VIOLATIONS: usize = 32;

/// Longest name of an unknown field that is repeated back, in characters.
const MAX_NAME: usize = 64;

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in JSON names, such as `product.price.amount` or `tags[2]`.
    pub field: String,
    /// What is expected, as a sentence without a full stop.
    pub description: String,
}

impl Violation {
    /// A violation of a field that is named as the contract names it, such as `page_token`.
    pub fn of(path: &str, description: impl Into<String>) -> Self {
        Self {
            field: camel_case(path).unwrap_or_else(|| path.to_owned()),
            description: description.into(),
        }
    }
}

/// A step of a path into a request.
#[derive(Debug, Clone)]
enum Segment {
    Field(&'static str),
    Key(String),
    Index(usize),
}

/// Collects violations while a request is decoded or checked; it knows the path to where the walk stands.
#[derive(Debug, Default)]
pub struct Violations {
    path: Vec<Segment>,
    list: Vec<Violation>,
}

impl Violations {
    /// An empty collection, standing at the root of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `walk` one field deeper.
    pub fn field<T>(&mut self, name: &'static str, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(Segment::Field(name), walk)
    }

    /// Runs `walk` at an item of a list.
    pub fn index<T>(&mut self, index: usize, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(Segment::Index(index), walk)
    }

    /// Runs `walk` at an entry of a map.
    pub fn key<T>(&mut self, key: impl Into<String>, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(Segment::Key(shorten(&key.into())), walk)
    }

    fn enter<T>(&mut self, segment: Segment, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment);
        let result = walk(self);
        self.path.pop();
        result
    }

    pub(crate) fn push_field(&mut self, name: &'static str) {
        self.path.push(Segment::Field(name));
    }

    pub(crate) fn push_key(&mut self, name: &str) {
        self.path.push(Segment::Key(shorten(name)));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.path.push(Segment::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.path.pop();
    }

    /// Notes a violation of the field where the walk stands.
    pub fn add(&mut self, description: impl Into<String>) {
        let field = self.path();
        self.add_at(field, description);
    }

    /// Notes a violation of a field named in full. The first violation of a field is kept, later ones of the same
    /// field say nothing new.
    pub fn add_at(&mut self, field: impl Into<String>, description: impl Into<String>) {
        let field = field.into();
        if self.list.len() < MAX_VIOLATIONS
            && self.list.iter().all(|violation| violation.field != field)
        {
            self.list.push(Violation {
                field,
                description: description.into(),
            });
        }
    }

    /// The path where the walk stands.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in &self.path {
            match segment {
                Segment::Index(index) => {
                    // Writing to a String can't fail.
                    let _ = write!(path, "[{index}]");
                }
                Segment::Field(name) => push_name(&mut path, name),
                Segment::Key(name) => push_name(&mut path, name),
            }
        }
        path
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds the violations of another collection.
    pub fn extend(&mut self, other: Self) {
        for Violation { field, description } in other.list {
            self.add_at(field, description);
        }
    }

    /// Keeps the violations whose field `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.list.retain(|violation| keep(&violation.field));
    }

    /// The violations, in the order they were found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.list
    }
}

/// A name that a caller made up, in a length that fits an answer.
fn shorten(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_fields_keys_and_items() {
        let mut violations = Violations::new();
        violations.field("order", |v| {
            v.field("lines", |v| {
                v.index(2, |v| v.key("a b", |v| v.add("Is wrong")));
            });
        });
        let list = violations.into_vec();
        assert_eq!(list[0].field, "order.lines[2].a b");
    }

    #[test]
    fn a_field_is_reported_once() {
        let mut violations = Violations::new();
        violations.field("limit", |v| v.add("Must be an integer"));
        violations.field("limit", |v| v.add("Must be between 1 and 100"));
        assert_eq!(violations.into_vec().len(), 1);
    }
}
