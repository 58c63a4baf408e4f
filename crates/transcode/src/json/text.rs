//! Binding text from a path or a query string to a field.

use super::{Context, TextKind};

/// What the generator writes for each message so that `a.b.c=text` finds its field.
pub trait Binder {
    /// Puts a text into the field the path names, or notes a violation. `path` is in JSON or proto names.
    fn bind(&mut self, path: &str, text: &str, context: &mut Context);
}

/// Puts a text into a singular field; `set` stores the value and is called only for one that could be read.
pub fn bind_singular<K: TextKind>(
    rest: &str,
    text: &str,
    context: &mut Context,
    set: impl FnOnce(K::Value),
) {
    if context.claim() {
        bind_repeated::<K>(rest, text, context, set);
    }
}

/// Adds a text to a repeated field.
pub fn bind_repeated<K: TextKind>(
    rest: &str,
    text: &str,
    context: &mut Context,
    add: impl FnOnce(K::Value),
) {
    if !rest.is_empty() {
        context.violations.add("Has no fields of its own");
        return;
    }
    match K::parse(text) {
        Ok(value) => add(value),
        Err(expected) => context.violations.add(expected),
    }
}

/// Goes on into a message.
pub fn bind_message<M: Binder>(message: &mut M, rest: &str, text: &str, context: &mut Context) {
    if rest.is_empty() {
        context
            .violations
            .add("Is an object: name one of its fields");
    } else {
        message.bind(rest, text, context);
    }
}

/// Puts a text into a member of a oneof; a sibling that is set already is a violation.
pub fn bind_oneof<K: TextKind, O>(
    slot: &mut Option<O>,
    wrap: impl FnOnce(K::Value) -> O,
    members: &'static str,
    rest: &str,
    text: &str,
    context: &mut Context,
) {
    let taken = slot.is_some();
    let mut value = None;
    bind_singular::<K>(rest, text, context, |bound| value = Some(bound));
    match value {
        Some(_) if taken => context
            .violations
            .add(format!("Only one of {members} may be given")),
        Some(value) => *slot = Some(wrap(value)),
        None => {}
    }
}
