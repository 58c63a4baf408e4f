//! What a contract as a whole must keep to.

use std::collections::BTreeMap;

use prost_reflect::DescriptorPool;

use super::place;
use crate::error::Error;
use crate::ir::{Api, Field, Message, Scalar, Shape, Type, qualified};
use crate::options::{FieldRules, TypeRules};
use crate::template::Template;

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

/// No two rules take the same requests. Where only some requests match two, the router decides by the first segment that
/// differs: a word before `*`, `*` before `**`.
pub(super) fn routes(api: &Api, pool: &DescriptorPool) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for service in &api.services {
        for method in &service.methods {
            for binding in &method.bindings {
                let Template { segments, verb, .. } = &binding.template;
                let other = seen.insert(
                    (&binding.method, segments, verb),
                    (service, method, binding),
                );
                let Some((other_service, other_method, other)) = other else {
                    continue;
                };
                let name = format!("{}.{}", service.full_name(), method.name);
                let service = pool.get_service_by_name(&service.full_name());
                let descriptor = service.and_then(|service| {
                    service.methods().find(|found| found.name() == method.name)
                });
                let place = descriptor.map_or_else(unknown, |found| {
                    place(&found.parent_service().parent_file(), found.path(), &name)
                });
                let message = format!(
                    "{} {} matches the same requests as {} of {}.{}",
                    binding.method,
                    binding.template.text,
                    other.template.text,
                    other_service.full_name(),
                    other_method.name
                );
                return Err(Error::Contract { place, message });
            }
        }
    }
    Ok(())
}
