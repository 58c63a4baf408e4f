//! Puts path and query into the request message.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode;
use prost::Message;

use super::etag;
use crate::json::{Binder, Context, Source, too_deep};
use crate::router::capture;
use crate::spec::{Binding, Body, Variable};

/// What is wrong with a field that has two places.
const TWICE: &str = "Is given in the path and in the body";

/// Binds the variables of a path. `named` are the fields the body names, in proto paths: a field has one place.
pub(super) fn path<M: Binder>(
    message: &mut M,
    binding: &Binding,
    path: &str,
    named: &[Cow<'static, str>],
    context: &mut Context,
) {
    for variable in binding.variables {
        path_variable(message, binding, variable, path, context);
        if named.iter().any(|name| name == variable.field) {
            context.violations.add_at(variable.field, TWICE);
        }
    }
}

/// As [`path`], over a message that came in binary, which does not say what it names: a field that has a value, and
/// another one than the path says, is given twice. A oneof that is set is refused whatever it holds, as binding does it
/// everywhere. `given` tells of a variable, by its number, whether its field has a value.
pub(super) fn path_over<M: Binder + Message>(
    message: &mut M,
    binding: &Binding,
    path: &str,
    given: fn(&M, usize) -> bool,
    context: &mut Context,
) {
    for (index, variable) in binding.variables.iter().enumerate() {
        // The bytes of a message stay the same as long as it does.
        let before = given(message, index).then(|| message.encode_to_vec());
        path_variable(message, binding, variable, path, context);
        if before.is_some_and(|before| before != message.encode_to_vec()) {
            context.violations.add_at(variable.field, TWICE);
        }
    }
}

fn path_variable<M: Binder>(
    message: &mut M,
    binding: &Binding,
    variable: &Variable,
    path: &str,
    context: &mut Context,
) {
    context.bind_from(Source::Path, |context| {
        match capture(binding, variable, path) {
            Ok(text) => message.bind(variable.field, &text, context),
            Err(_) => context.violations.add_at(variable.field, "Must be UTF-8"),
        }
    });
}

/// The parameter that generated clients of Google's say with which form of answer they want. No field is called so.
const ALT: &str = "$alt";

/// Whether a value of [`ALT`] asks for JSON. What may stand behind it, `enum-encoding=int`, is about how enums are written;
/// who asks for numbers reads names as well, as all do who read ProtoJSON.
fn is_json(value: &str) -> bool {
    value.split(';').next() == Some("json")
}

/// Binds the parameters of a query.
pub(super) fn query<M: Binder>(
    message: &mut M,
    binding: &Binding,
    query: &str,
    context: &mut Context,
) {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), value) = (decode(name), decode(value)) else {
            context.violations.add_at("query", "Must be UTF-8");
            continue;
        };
        match binding.body {
            _ if name == ALT => {
                if !value.is_some_and(|value| is_json(&value)) {
                    context.violations.add_at(ALT, "Only json is possible");
                }
            }
            Body::Whole => context.unknown(&name),
            _ if too_deep(&name) => context.unknown(&name),
            Body::Field {
                json_name,
                proto_name,
            } if in_body(&name, json_name) || in_body(&name, proto_name) => {
                context.violations.add_at(&*name, "Belongs in the body");
            }
            _ => match value {
                Some(value) => context.bind_from(Source::Query, |context| {
                    message.bind(&name, &value, context);
                }),
                None => context.violations.add_at(&*name, "Must be UTF-8"),
            },
        }
    }
}

/// Binds the Last-Event-ID header. It wins over what the query says: a reader that comes back repeats its URL, and only
/// the header tells how far it has got since.
pub(super) fn last_event_id<M>(
    message: &mut M,
    headers: &HeaderMap,
    put: fn(&mut M, String),
    context: &mut Context,
) {
    let Some(value) = headers
        .get("last-event-id")
        .filter(|value| !value.is_empty())
    else {
        return;
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => put(message, text.to_owned()),
        Err(_) => context.violations.add_at("Last-Event-ID", "Must be UTF-8"),
    }
}

/// Binds the If-Match header, which wins over the query.
pub(super) fn if_match<M>(
    message: &mut M,
    headers: &HeaderMap,
    put: fn(&mut M, Vec<String>),
    context: &mut Context,
) {
    match etag::asked(headers) {
        Ok(Some(tags)) => put(message, tags),
        Ok(None) => {}
        Err(etag::Malformed) => context
            .violations
            .add_at("If-Match", "Must be * or a list of quoted entity tags"),
    }
}

fn in_body(name: &str, field: &str) -> bool {
    name.strip_prefix(field)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Decodes a piece of a query, where `+` is a space. None for what is not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        percent_decode(spaced.as_bytes())
            .decode_utf8()
            .ok()
            .map(|text| Cow::Owned(text.into_owned()))
    } else {
        percent_decode(text.as_bytes()).decode_utf8().ok()
    }
}
