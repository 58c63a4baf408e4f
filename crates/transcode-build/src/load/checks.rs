//! What a contract as a whole must keep to.

use std::collections::BTreeMap;

use prost_reflect::DescriptorPool;

use super::place;
use crate::Overlaps;
use crate::error::Error;
use crate::ir::{Api, Binding, Field, Message, Method, Scalar, Service, Shape, Type, qualified};
use crate::options::{FieldRules, IGNORE_ALWAYS, TypeRules};
use crate::template::{Segment, Template};

/// Rules fit their fields, patterns compile, error enums are complete.
pub(super) fn messages(api: &Api, pool: &DescriptorPool) -> Result<(), Error> {
    for (name, message) in &api.messages {
        for field in &message.fields {
            known(api, &field.ty)
                .and_then(|()| rules(field))
                .map_err(|text| in_message(pool, name, message, field, text))?;
        }
    }
    let named: Vec<_> = api
        .enums
        .iter()
        .filter(|(_, found)| found.names_errors())
        .collect();
    for (name, found) in &named {
        let fail = |message: String| {
            let descriptor = pool.get_enum_by_name(name);
            Err(Error::Contract {
                place: descriptor.map_or_else(unknown, |found| {
                    place(&found.parent_file(), found.path(), name)
                }),
                message,
            })
        };
        for code in 1..=16 {
            let count = found
                .values
                .iter()
                .flat_map(|value| &value.options.grpc_codes)
                .filter(|c| **c == code)
                .count();
            if count != 1 {
                return fail(format!(
                    "gRPC code {code} must have one reason, it has {count}"
                ));
            }
        }
    }
    if let [_, (name, _), ..] = named[..] {
        let place = pool
            .get_enum_by_name(name)
            .map_or_else(unknown, |e| place(&e.parent_file(), e.path(), name));
        return Err(Error::Contract {
            place,
            message: "a contract has one error enum".to_owned(),
        });
    }
    Ok(())
}

pub(super) fn unknown() -> crate::error::Place {
    crate::error::Place {
        file: String::new(),
        line: 0,
        column: 0,
        subject: String::new(),
    }
}

fn in_message(
    pool: &DescriptorPool,
    name: &str,
    message: &Message,
    field: &Field,
    text: String,
) -> Error {
    let subject = format!(
        "{}.{}",
        qualified(&message.package, &message.path.join(".")),
        field.name
    );
    let place = pool
        .get_message_by_name(name)
        .and_then(|message| message.get_field_by_name(&field.name))
        .map_or_else(unknown, |found| {
            place(&found.parent_file(), found.path(), &subject)
        });
    Error::Contract {
        place,
        message: text,
    }
}

/// Whether the type of a field is one that code and schemas are made of, which the bundled files have none of.
fn known(api: &Api, ty: &Type) -> Result<(), String> {
    match ty {
        Type::Message(name) if !api.messages.contains_key(name) => {
            Err(format!("{name} has no JSON mapping here"))
        }
        Type::Enum(name) if !api.enums.contains_key(name) => {
            Err(format!("{name} has no JSON mapping here"))
        }
        _ => Ok(()),
    }
}

/// Whether the rules of a field are of its type.
fn rules(field: &Field) -> Result<(), String> {
    match (&field.shape, &field.rules.rules) {
        (Shape::Repeated, Some(TypeRules::Repeated(rules))) => {
            value_rules(&field.ty, rules.items.as_deref())
        }
        (Shape::Map(key), Some(TypeRules::Map(rules))) => {
            value_rules(&Type::Scalar(*key), rules.keys.as_deref())?;
            value_rules(&field.ty, rules.values.as_deref())
        }
        (Shape::Repeated | Shape::Map(_), Some(_)) => {
            Err("the rules are not those of a list or a map".to_owned())
        }
        _ => value_rules(&field.ty, Some(&field.rules)),
    }
}

fn value_rules(ty: &Type, rules: Option<&FieldRules>) -> Result<(), String> {
    let Some(rules) = rules.and_then(|rules| rules.rules.as_ref()) else {
        return Ok(());
    };
    let fits = match rules {
        TypeRules::String(rules) => {
            if let Some(Err(error)) = rules.pattern.as_deref().map(regex::Regex::new) {
                return Err(format!("the pattern does not compile: {error}"));
            }
            matches!(
                ty,
                Type::Scalar(Scalar::String) | Type::Wrapper(Scalar::String)
            )
        }
        TypeRules::Bytes(_) => matches!(
            ty,
            Type::Scalar(Scalar::Bytes) | Type::Wrapper(Scalar::Bytes)
        ),
        TypeRules::Enum(_) => matches!(ty, Type::Enum(_)),
        TypeRules::Repeated(_) | TypeRules::Map(_) => false,
        number => {
            let of = |scalar| matches!(ty, Type::Scalar(s) | Type::Wrapper(s) if *s == scalar);
            match number {
                TypeRules::Float(_) => of(Scalar::Float),
                TypeRules::Double(_) => of(Scalar::Double),
                TypeRules::Int32(_) => of(Scalar::Int32),
                TypeRules::Int64(_) => of(Scalar::Int64),
                TypeRules::UInt32(_) => of(Scalar::UInt32),
                _ => of(Scalar::UInt64),
            }
        }
    };
    if fits {
        Ok(())
    } else {
        Err("the rules are not those of the field's type".to_owned())
    }
}

/// A rule, with whose it is.
type Rule<'a> = (&'a Service, &'a Method, &'a Binding);

/// No two rules take the same requests. Where only some requests match two, one is the more particular, or none is a
/// request that both take; or else `overlaps` has to allow it.
pub(super) fn routes(api: &Api, pool: &DescriptorPool, overlaps: Overlaps) -> Result<(), Error> {
    let mut same = BTreeMap::new();
    let mut seen: Vec<Rule<'_>> = Vec::new();
    for service in &api.services {
        for method in &service.methods {
            for binding in &method.bindings {
                let rule = (service, method, binding);
                let Template { segments, verb, .. } = &binding.template;
                if let Some(other) = same.insert((&binding.method, segments, verb), rule) {
                    let message = format!("matches the same requests as {}", named(other));
                    return Err(refused(pool, rule, &message));
                }
                if overlaps == Overlaps::FirstSegmentDecides {
                    continue;
                }
                if let Some(other) = seen.iter().find(|other| clash(api, rule, **other)) {
                    let message = format!(
                        "matches some of the same requests as {}, and neither is the more particular",
                        named(*other)
                    );
                    return Err(refused(pool, rule, &message));
                }
                seen.push(rule);
            }
        }
    }
    Ok(())
}

/// Whether a request could be meant for either of two rules.
fn clash(api: &Api, (_, method, binding): Rule<'_>, (_, other_method, other): Rule<'_>) -> bool {
    let (a, b) = (&binding.template, &other.template);
    other.method == binding.method
        && a.overlaps(b)
        && a.covers(b) == b.covers(a)
        && !excludes(api, method, a, b)
        && !excludes(api, other_method, b, a)
}

fn named((service, method, binding): Rule<'_>) -> String {
    let template = &binding.template.text;
    format!("{template} of {}.{}", service.full_name(), method.name)
}

fn refused(pool: &DescriptorPool, (service, method, binding): Rule<'_>, why: &str) -> Error {
    let name = format!("{}.{}", service.full_name(), method.name);
    let service = pool.get_service_by_name(&service.full_name());
    let descriptor =
        service.and_then(|service| service.methods().find(|found| found.name() == method.name));
    let place = descriptor.map_or_else(unknown, |found| {
        place(&found.parent_service().parent_file(), found.path(), &name)
    });
    let message = format!("{} {} {why}", binding.method, binding.template.text);
    Error::Contract { place, message }
}

/// Whether the pattern of a path variable refuses the word that the other template has in its place. It has to be the
/// first segment that tells them apart: there a router tries the word before the variable, and finds the right rule.
fn excludes(api: &Api, method: &Method, template: &Template, other: &Template) -> bool {
    let segments = template.segments.iter().zip(&other.segments);
    let apart = segments.enumerate().find(|(_, (a, b))| a != b);
    let Some((at, (Segment::Single, Segment::Literal(word)))) = apart else {
        return false;
    };
    let mut variables = template.variables.iter();
    variables
        .find(|variable| variable.start == at && variable.end == at + 1)
        .and_then(|variable| field(api, &api.messages[&method.input], &variable.field))
        .filter(|field| field.rules.ignore != Some(IGNORE_ALWAYS))
        .and_then(|field| match &field.rules.rules {
            Some(TypeRules::String(rules)) => regex::Regex::new(rules.pattern.as_deref()?).ok(),
            _ => None,
        })
        .is_some_and(|pattern| !pattern.is_match(word))
}

/// The field a path of names leads to.
fn field<'a>(api: &'a Api, message: &'a Message, path: &[String]) -> Option<&'a Field> {
    let (first, rest) = path.split_first()?;
    let found = message.field(first)?;
    match (&found.ty, rest) {
        (_, []) => Some(found),
        (Type::Message(name), rest) => field(api, api.messages.get(name)?, rest),
        _ => None,
    }
}
