//! The rules of messages as code.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::json::{members, spellings};
use super::names::{self, Scope, snake};
use crate::ir::{Field, Message, Scalar, Shape, Type, WellKnown, qualified};
use crate::options::{
    BEHAVIOR_IMMUTABLE, BEHAVIOR_OUTPUT_ONLY, Bounds, FieldRules, IGNORE_ALWAYS,
    IGNORE_IF_ZERO_VALUE, TypeRules,
};

pub(super) fn message(scope: &Scope<'_>, message: &Message) -> TokenStream {
    let path = scope.message(&qualified(&message.package, &message.path.join(".")));
    let checks = message
        .fields
        .iter()
        .map(|field| check_field(scope, message, field));
    let oneofs = message
        .oneofs
        .iter()
        .enumerate()
        .filter(|(_, oneof)| oneof.required)
        .map(|(index, oneof)| {
            let (slot, name) = (snake(&oneof.name), &oneof.name);
            let text = format!("One of {} is required", members(message, index).join(", "));
            quote! {
                if self.#slot.is_none() {
                    violations.field(#name, |violations| violations.add(#text));
                }
            }
        });
    let mask = mask(scope, message);
    let mask_paths = message.fields.iter().map(|field| mask_path(scope, field));
    quote! {
        impl ::transcode::validate::Validate for #path {
            #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
            fn validate(&self, violations: &mut ::transcode::Violations) {
                #(#checks)*
                #(#oneofs)*
                #mask
            }

            #[allow(unused_variables)]
            fn path(path: &str) -> ::transcode::validate::MaskPath {
                let (name, rest) = path.split_once('.').unwrap_or((path, ""));
                match name {
                    #(#mask_paths)*
                    _ => ::transcode::validate::MaskPath::Unknown,
                }
            }
        }
    }
}

/// An update is a request with a message and a mask over it.
fn mask(scope: &Scope<'_>, message: &Message) -> Option<TokenStream> {
    let mask = message
        .field("update_mask")
        .filter(|field| field.ty == Type::WellKnown(WellKnown::FieldMask))?;
    let (resource, name) = resource(message)?;
    let (slot, json_name, ty) = (snake(&mask.name), &resource.json_name, scope.message(name));
    Some(quote! {
        if let Some(mask) = &self.#slot {
            ::transcode::validate::check_mask::<#ty>(violations, #json_name, mask);
        }
    })
}

/// The one message of an update.
fn resource(message: &Message) -> Option<(&Field, &String)> {
    let mut messages = message
        .fields
        .iter()
        .filter_map(|field| match (&field.shape, &field.ty) {
            (Shape::Optional, Type::Message(name)) => Some((field, name)),
            _ => None,
        });
    messages.next().filter(|_| messages.next().is_none())
}

fn mask_path(scope: &Scope<'_>, field: &Field) -> TokenStream {
    let spellings = spellings(field);
    let kind = if field.is(BEHAVIOR_OUTPUT_ONLY) || field.is(BEHAVIOR_IMMUTABLE) {
        quote!(::transcode::validate::MaskPath::ReadOnly)
    } else {
        quote!(::transcode::validate::MaskPath::Writable)
    };
    let inner = if let (Type::Message(name), Shape::Optional | Shape::Boxed | Shape::Oneof { .. }) =
        (&field.ty, &field.shape)
    {
        let ty = scope.message(name);
        quote!(<#ty as ::transcode::validate::Validate>::path(rest))
    } else {
        quote!(::transcode::validate::MaskPath::Unknown)
    };
    quote! {
        #(#spellings)|* if rest.is_empty() => #kind,
        #(#spellings)|* => #inner,
    }
}

fn check_field(scope: &Scope<'_>, message: &Message, field: &Field) -> TokenStream {
    let (name, json_name) = (snake(&field.name), &field.json_name);
    if field.rules.ignore == Some(IGNORE_ALWAYS) {
        return TokenStream::new();
    }
    let required = field.rules.required == Some(true);
    let missing = required.then(|| quote!(else { violations.add("Is required"); }));
    let body = match field.shape {
        Shape::Implicit => {
            let checks = check_value(scope, field, &field.rules, &quote!(value));
            if checks.is_empty() && !required {
                return TokenStream::new();
            }
            if required || field.rules.ignore == Some(IGNORE_IF_ZERO_VALUE) {
                let set = is_set(&field.ty);
                quote! {
                    let value = &self.#name;
                    if #set { #checks } #missing
                }
            } else {
                quote! {
                    let value = &self.#name;
                    #checks
                }
            }
        }
        Shape::Optional | Shape::Boxed => {
            let checks = check_value(scope, field, &field.rules, &quote!(value));
            if checks.is_empty() && !required {
                return TokenStream::new();
            }
            quote!(if let Some(value) = &self.#name { #checks } #missing)
        }
        Shape::Oneof { index, .. } => {
            let checks = check_value(scope, field, &field.rules, &quote!(value));
            if checks.is_empty() {
                return TokenStream::new();
            }
            let oneof = &message.oneofs[index];
            let (slot, path) = (snake(&oneof.name), names::oneof(&message.path, &oneof.name));
            let variant = super::names::camel(&field.name);
            quote!(if let Some(#path::#variant(value)) = &self.#slot { #checks })
        }
        Shape::Repeated => check_list(scope, field, required),
        Shape::Map(_) => check_map(scope, field, required),
    };
    if body.is_empty() {
        return body;
    }
    quote!(violations.field(#json_name, |violations| { #body });)
}

/// Whether `value` is not its type's zero.
fn is_set(ty: &Type) -> TokenStream {
    match ty {
        Type::Scalar(Scalar::String | Scalar::Bytes) | Type::Decimal(_) => {
            quote!(!value.is_empty())
        }
        Type::Scalar(Scalar::Bool) => quote!(*value),
        Type::Scalar(Scalar::Double | Scalar::Float) => quote!(*value != 0.0),
        _ => quote!(*value != 0),
    }
}

fn check_list(scope: &Scope<'_>, field: &Field, required: bool) -> TokenStream {
    let name = snake(&field.name);
    let none = FieldRules::default();
    let (min, max, items) = match &field.rules.rules {
        Some(TypeRules::Repeated(rules)) => {
            (rules.min_items, rules.max_items, rules.items.as_deref())
        }
        _ => (None, None, None),
    };
    let length = check_size(
        min.or(required.then_some(1)),
        max,
        &quote!(self.#name.len()),
        "items",
    );
    let checks = check_value(scope, field, items.unwrap_or(&none), &quote!(value));
    let each = (!checks.is_empty()).then(|| {
        quote! {
            for (index, value) in self.#name.iter().enumerate() {
                violations.index(index, |violations| { #checks });
            }
        }
    });
    quote!(#length #each)
}

fn check_map(scope: &Scope<'_>, field: &Field, required: bool) -> TokenStream {
    let name = snake(&field.name);
    let none = FieldRules::default();
    let (min, max, keys, values) = match &field.rules.rules {
        Some(TypeRules::Map(rules)) => (
            rules.min_pairs,
            rules.max_pairs,
            rules.keys.as_deref(),
            rules.values.as_deref(),
        ),
        _ => (None, None, None, None),
    };
    let length = check_size(
        min.or(required.then_some(1)),
        max,
        &quote!(self.#name.len()),
        "entries",
    );
    let keys = keys
        .map(|rules| check_rules(scope, field, rules, &quote!(key)))
        .unwrap_or_default();
    let values = check_value(scope, field, values.unwrap_or(&none), &quote!(value));
    let each = (!keys.is_empty() || !values.is_empty()).then(|| {
        quote! {
            for (key, value) in &self.#name {
                violations.key(key.to_string(), |violations| { #keys #values });
            }
        }
    });
    quote!(#length #each)
}

/// Checks of the number of things in something.
fn check_size(min: Option<u64>, max: Option<u64>, size: &TokenStream, what: &str) -> TokenStream {
    let check =
        |condition: TokenStream, text: String| quote!(if #condition { violations.add(#text); });
    let number = |n: u64| Literal::u64_unsuffixed(n);
    match (min, max) {
        (Some(1), None) => check(quote!(#size == 0), "Must not be empty".to_owned()),
        (Some(min), None) => {
            let (n, text) = (number(min), format!("Must have at least {min} {what}"));
            check(quote!(#size < #n), text)
        }
        (None, Some(max)) => {
            let (n, text) = (number(max), format!("Must have at most {max} {what}"));
            check(quote!(#size > #n), text)
        }
        (Some(min), Some(max)) => {
            let (low, high, text) = (
                number(min),
                number(max),
                format!("Must have between {min} and {max} {what}"),
            );
            check(quote!(!(#low..=#high).contains(&#size)), text)
        }
        (None, None) => TokenStream::new(),
    }
}

/// Checks of a value and, for a message, of what is in it. `value` is a reference.
fn check_value(
    scope: &Scope<'_>,
    field: &Field,
    rules: &FieldRules,
    value: &TokenStream,
) -> TokenStream {
    let mut checks = check_rules(scope, field, rules, value);
    match &field.ty {
        Type::Message(_) => {
            checks.extend(quote!(::transcode::validate::Validate::validate(#value, violations);));
        }
        Type::Decimal(decimal) => {
            let (whole, fraction) = (decimal.integer_digits, decimal.fraction_digits);
            let text = format!(
                "Must be a decimal of at least 0, with at most {whole} digits before the point and {fraction} after it"
            );
            let (whole, fraction) = (
                Literal::i32_unsuffixed(whole),
                Literal::i32_unsuffixed(fraction),
            );
            checks.extend(quote! {
                if !::transcode::validate::is_decimal(#value, #whole, #fraction) { violations.add(#text); }
            });
        }
        _ => {}
    }
    if field.no_null_characters {
        let holds = if field.ty == Type::WellKnown(WellKnown::Struct) {
            quote!(object_has_nul)
        } else {
            quote!(has_nul)
        };
        checks.extend(quote! {
            if ::transcode::validate::#holds(#value) { violations.add("Must not contain a null character"); }
        });
    }
    checks
}

fn check_rules(
    scope: &Scope<'_>,
    field: &Field,
    rules: &FieldRules,
    value: &TokenStream,
) -> TokenStream {
    let Some(rules) = &rules.rules else {
        return TokenStream::new();
    };
    let check =
        |condition: TokenStream, text: String| quote!(if #condition { violations.add(#text); });
    match rules {
        TypeRules::String(rules) => {
            let mut checks = TokenStream::new();
            let (min, max) = rules.lengths();
            if min.is_some() || max.is_some() {
                let condition = {
                    let low = Literal::u64_unsuffixed(min.unwrap_or(0));
                    let high = max.map_or_else(
                        || quote!(usize::MAX),
                        |max| {
                            let max = Literal::u64_unsuffixed(max);
                            quote!(#max)
                        },
                    );
                    quote!(!::transcode::validate::length_between(#value, #low, #high))
                };
                checks.extend(check(condition, length_text(min, max)));
            }
            if let Some(pattern) = &rules.pattern {
                let name = format_ident!("PATTERN");
                let text = if field.message.is_empty() {
                    format!("Must match {pattern}")
                } else {
                    field.message.clone()
                };
                checks.extend(quote! {
                    {
                        static #name: ::transcode::validate::Pattern =
                            ::transcode::validate::Pattern::new(|| ::transcode::validate::pattern(#pattern));
                        if !#name.is_match(#value) { violations.add(#text); }
                    }
                });
            }
            if let Some(prefix) = &rules.prefix {
                checks.extend(check(
                    quote!(!#value.starts_with(#prefix)),
                    format!("Must begin with {prefix}"),
                ));
            }
            if !rules.r#in.is_empty() {
                let allowed = &rules.r#in;
                let text = format!("Must be one of: {}", allowed.join(", "));
                checks.extend(check(
                    quote!(![#(#allowed),*].contains(&#value.as_str())),
                    text,
                ));
            }
            checks
        }
        TypeRules::Bytes(rules) => {
            check_size(rules.min_len, rules.max_len, &quote!(#value.len()), "bytes")
        }
        TypeRules::Enum(rules) => check_enum(scope, field, rules, value),
        TypeRules::Repeated(_) | TypeRules::Map(_) => TokenStream::new(),
        number => number
            .bounds()
            .map(|bounds| check_bounds(&bounds, value))
            .unwrap_or_default(),
    }
}

fn length_text(min: Option<u64>, max: Option<u64>) -> String {
    match (min, max) {
        (Some(1), None) => "Must not be empty".to_owned(),
        (Some(min), Some(max)) if min == max => format!("Must be {min} characters long"),
        (Some(min), Some(max)) => format!("Must be {min} to {max} characters long"),
        (Some(min), None) => format!("Must be at least {min} characters long"),
        (None, max) => format!(
            "Must be at most {} characters long",
            max.unwrap_or_default()
        ),
    }
}

fn check_enum(
    scope: &Scope<'_>,
    field: &Field,
    rules: &crate::options::EnumRules,
    value: &TokenStream,
) -> TokenStream {
    let Type::Enum(name) = &field.ty else {
        return TokenStream::new();
    };
    let path = scope.enumeration(name);
    let mut conditions = Vec::new();
    if rules.defined_only == Some(true) {
        conditions.push(quote!(<#path as ::transcode::json::Enum>::name(*#value).is_none()));
    }
    if !rules.not_in.is_empty() {
        let refused = &rules.not_in;
        conditions.push(quote!([#(#refused),*].contains(#value)));
    }
    if conditions.is_empty() {
        return TokenStream::new();
    }
    let names: Vec<_> = scope.api.enums[name]
        .callable()
        .map(|value| value.json_name.as_str())
        .collect();
    let text = format!("Must be one of: {}", names.join(", "));
    quote!(if #(#conditions)||* { violations.add(#text); })
}

fn check_bounds(bounds: &Bounds, value: &TokenStream) -> TokenStream {
    let number = |text: &String| text.parse::<TokenStream>().unwrap_or_default();
    let mut holds = Vec::new();
    for (bound, operator) in [
        (&bounds.gte, quote!(>=)),
        (&bounds.gt, quote!(>)),
        (&bounds.lte, quote!(<=)),
        (&bounds.lt, quote!(<)),
    ] {
        if let Some(bound) = bound {
            let bound = number(bound);
            holds.push(quote!(*#value #operator #bound as _));
        }
    }
    if holds.is_empty() {
        return TokenStream::new();
    }
    let text = if let (Some(low), None, Some(high), None) =
        (&bounds.gte, &bounds.gt, &bounds.lte, &bounds.lt)
    {
        format!("Must be between {low} and {high}")
    } else {
        let parts = [
            ("at least", &bounds.gte),
            ("greater than", &bounds.gt),
            ("at most", &bounds.lte),
            ("less than", &bounds.lt),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter_map(|(words, bound)| bound.as_ref().map(|b| format!("{words} {b}")))
            .collect();
        format!("Must be {}", parts.join(" and "))
    };
    // Not "outside": NaN is inside nothing.
    quote!(if !(#(#holds)&&*) { violations.add(#text); })
}
