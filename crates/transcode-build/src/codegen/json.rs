//! The JSON mapping of messages and enums.

use proc_macro2::TokenStream;
use quote::quote;

use super::names::{self, Scope, camel, snake};
use crate::ir::{Enum, Field, Message, Scalar, Shape, Type};

pub(super) fn enumeration(scope: &Scope<'_>, found: &Enum) -> TokenStream {
    let path = scope.enumeration(&crate::ir::qualified(&found.package, &found.path.join(".")));
    let names = found.callable().map(|value| &value.json_name);
    let strict = found.has_json_names();
    let mut known: Vec<&str> = Vec::new();
    let readable: Vec<_> = if strict {
        found.callable().collect()
    } else {
        found.values.iter().collect()
    };
    let to_number = readable.into_iter().map(|value| {
        let mut spellings = vec![value.json_name.as_str(), value.name.as_str()];
        spellings.truncate(if strict { 1 } else { 2 });
        spellings.dedup();
        spellings.retain(|name| !known.contains(name));
        known.extend(&spellings);
        let number = value.number;
        if spellings.is_empty() {
            quote!()
        } else {
            quote!(#(#spellings)|* => Some(#number),)
        }
    });
    let to_number: Vec<_> = to_number.collect();
    let mut numbers = Vec::new();
    let to_name = found.values.iter().filter_map(|value| {
        let (number, name) = (value.number, &value.json_name);
        // The first of several names for a number is the one that is written.
        (!numbers.contains(&number)).then(|| {
            numbers.push(number);
            quote!(#number => Some(#name),)
        })
    });
    let to_name: Vec<_> = to_name.collect();
    let canonical = if strict {
        canonical(found)
    } else {
        TokenStream::new()
    };
    quote! {
        impl ::transcode::json::Enum for #path {
            const NAMES: &'static [&'static str] = &[#(#names),*];
            const BY_NAME_ONLY: bool = #strict;

            fn number(name: &str) -> ::core::option::Option<i32> {
                match name {
                    #(#to_number)*
                    _ => None,
                }
            }

            fn name(number: i32) -> ::core::option::Option<&'static str> {
                match number {
                    #(#to_name)*
                    _ => None,
                }
            }

            #canonical
        }
    }
}

/// The names in the proto, of an enum that has others for JSON.
fn canonical(found: &Enum) -> TokenStream {
    let values = || found.values.iter().map(|value| (value.number, &value.name));
    let to_number = values().map(|(number, name)| quote!(#name => Some(#number),));
    let mut numbers = Vec::new();
    let mut is_first = |number| {
        let known = numbers.contains(&number);
        numbers.push(number);
        !known
    };
    let firsts = values().filter(|(number, _)| is_first(*number));
    let to_name = firsts.map(|(number, name)| quote!(#number => Some(#name),));
    quote! {
        fn canonical_number(name: &str) -> Option<i32> {
            match name {
                #(#to_number)*
                _ => None,
            }
        }

        fn canonical_name(number: i32) -> Option<&'static str> {
            match number {
                #(#to_name)*
                _ => None,
            }
        }
    }
}

pub(super) fn message(scope: &Scope<'_>, message: &Message) -> TokenStream {
    let path = scope.message(&crate::ir::qualified(
        &message.package,
        &message.path.join("."),
    ));
    let count = message.fields.len();
    let fields = message.fields.iter().zip(0u16..).map(|(field, index)| {
        let (json_name, name) = (&field.json_name, &field.name);
        let leaf = !matches!(
            (&field.ty, &field.shape),
            (
                Type::Message(_),
                Shape::Optional | Shape::Boxed | Shape::Oneof { .. }
            )
        );
        quote!(::transcode::json::Field::new(#index, #json_name, #name, #leaf))
    });
    let find = message.fields.iter().enumerate().map(|(index, field)| {
        let spellings = spellings(field);
        quote!(#(#spellings)|* => Some(&FIELDS[#index]),)
    });
    let decode = message.fields.iter().zip(0u16..).map(|(field, index)| {
        let decode = decode(scope, message, field);
        quote!(#index => #decode,)
    });
    let bind = message.fields.iter().map(|field| {
        let (spellings, bind) = (spellings(field), bind(scope, message, field));
        quote!(#(#spellings)|* => #bind,)
    });
    let encode = message
        .fields
        .iter()
        .filter(|field| !matches!(field.shape, Shape::Oneof { .. }));
    let encode = encode.map(|field| encode_field(scope, field));
    let oneofs = message
        .oneofs
        .iter()
        .enumerate()
        .map(|(index, _)| encode_oneof(scope, message, index));
    let map = if count == 0 {
        quote!(let map)
    } else {
        quote!(let mut map)
    };
    let find = if count == 0 {
        quote! {
            let _ = name;
            None
        }
    } else {
        quote! {
            static FIELDS: [::transcode::json::Field; #count] = [#(#fields),*];
            match name {
                #(#find)*
                _ => None,
            }
        }
    };
    let binder = if count == 0 {
        quote!(context.unknown(path);)
    } else {
        quote! {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            // Not every kind of field has a use for them.
            let _ = (rest, text);
            match name {
                #(#bind)*
                _ => context.unknown(name),
            }
        }
    };
    quote! {
        impl ::transcode::json::Message for #path {
            fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
                #find
            }

            fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
                &mut self,
                index: u16,
                deserializer: D,
                context: &mut ::transcode::json::Context,
            ) -> ::core::result::Result<(), D::Error> {
                match index {
                    #(#decode)*
                    _ => ::transcode::json::skip(deserializer, context),
                }
            }
        }

        impl ::transcode::json::Binder for #path {
            #[allow(unused_variables)]
            fn bind(&mut self, path: &str, text: &str, context: &mut ::transcode::json::Context) {
                #binder
            }
        }

        impl ::transcode::serde::Serialize for #path {
            fn serialize<S: ::transcode::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                use ::transcode::serde::ser::SerializeMap as _;
                #map = serializer.serialize_map(None)?;
                #(#encode)*
                #(#oneofs)*
                map.end()
            }
        }

        impl<'de> ::transcode::serde::Deserialize<'de> for #path {
            fn deserialize<D: ::transcode::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                ::transcode::json::deserialize(deserializer)
            }
        }
    }
}

/// The names of a field that callers may use.
pub(super) fn spellings(field: &Field) -> Vec<&str> {
    let mut spellings = vec![field.json_name.as_str(), field.name.as_str()];
    spellings.dedup();
    spellings
}

/// Where a oneof is kept, how a member is wrapped, and the members' names for a message.
fn oneof(
    message: &Message,
    field: &Field,
    index: usize,
    boxed: bool,
) -> (TokenStream, TokenStream, String) {
    let oneof = &message.oneofs[index];
    let slot = snake(&oneof.name);
    let (path, variant) = (names::oneof(&message.path, &oneof.name), camel(&field.name));
    let wrap = if boxed {
        quote!(|value| #path::#variant(::std::boxed::Box::new(value)))
    } else {
        quote!(#path::#variant)
    };
    (quote!(self.#slot), wrap, members(message, index).join(", "))
}

/// JSON names of the members of a oneof.
pub(super) fn members(message: &Message, oneof: usize) -> Vec<&str> {
    let members = message
        .fields
        .iter()
        .filter(|field| matches!(field.shape, Shape::Oneof { index, .. } if index == oneof));
    members.map(|field| field.json_name.as_str()).collect()
}

fn decode(scope: &Scope<'_>, message: &Message, field: &Field) -> TokenStream {
    let kind = scope.field_kind(&field.shape, &field.ty);
    let name = snake(&field.name);
    let function = match field.shape {
        Shape::Implicit => quote!(singular),
        Shape::Optional => quote!(optional),
        Shape::Boxed => quote!(boxed),
        Shape::Repeated | Shape::Map(_) => quote!(append),
        Shape::Oneof { index, boxed } => {
            let (slot, wrap, members) = oneof(message, field, index, boxed);
            return quote! {
                ::transcode::json::oneof::<#kind, _, _>(&mut #slot, #wrap, #members, deserializer, context)
            };
        }
    };
    quote!(::transcode::json::#function::<#kind, _>(&mut self.#name, deserializer, context))
}

fn bind(scope: &Scope<'_>, message: &Message, field: &Field) -> TokenStream {
    let (json_name, name) = (&field.json_name, snake(&field.name));
    let kind = scope.value_kind(&field.ty);
    let at = |bind: TokenStream| quote!(context.at(#json_name, |context| #bind));
    if matches!(field.shape, Shape::Map(_))
        || (!field.ty.is_text() && !matches!(field.ty, Type::Message(_)))
    {
        return at(quote!(context.violations.add("Can't be given as text")));
    }
    let is_message = matches!(field.ty, Type::Message(_));
    match field.shape {
        Shape::Repeated | Shape::Oneof { .. } if is_message => {
            at(quote!(context.violations.add("Can't be given as text")))
        }
        Shape::Repeated => at(quote! {
            ::transcode::json::bind_repeated::<#kind>(rest, text, context, |value| self.#name.push(value))
        }),
        Shape::Implicit => at(quote! {
            ::transcode::json::bind_singular::<#kind>(rest, text, context, |value| self.#name = value)
        }),
        Shape::Optional if is_message => at(quote! {
            ::transcode::json::bind_message(self.#name.get_or_insert_default(), rest, text, context)
        }),
        Shape::Boxed if is_message => at(quote! {
            ::transcode::json::bind_message(&mut **self.#name.get_or_insert_default(), rest, text, context)
        }),
        Shape::Optional | Shape::Boxed => at(quote! {
            ::transcode::json::bind_singular::<#kind>(rest, text, context, |value| self.#name = Some(value))
        }),
        Shape::Oneof { index, boxed } => {
            let (slot, wrap, members) = oneof(message, field, index, boxed);
            at(quote! {
                ::transcode::json::bind_oneof::<#kind, _>(&mut #slot, #wrap, #members, rest, text, context)
            })
        }
        Shape::Map(_) => TokenStream::new(),
    }
}

/// Writes a value that is bound as `value`, a reference.
fn entry(scope: &Scope<'_>, field: &Field, value: &TokenStream) -> TokenStream {
    let (kind, json_name) = (scope.field_kind(&field.shape, &field.ty), &field.json_name);
    quote!(map.serialize_entry(#json_name, &::transcode::json::As::<#kind>(#value))?;)
}

fn encode_field(scope: &Scope<'_>, field: &Field) -> TokenStream {
    let name = snake(&field.name);
    match field.shape {
        Shape::Optional | Shape::Boxed => {
            let entry = entry(scope, field, &quote!(value));
            quote! {
                if let Some(value) = &self.#name {
                    #entry
                }
            }
        }
        _ => {
            let entry = entry(scope, field, &quote!(&self.#name));
            if scope.api.omit_defaults {
                let holds = holds_more_than_the_default(field, &quote!(self.#name));
                quote! {
                    if #holds {
                        #entry
                    }
                }
            } else {
                entry
            }
        }
    }
}

/// Whether a field without presence is to be written where defaults are not.
pub(super) fn holds_more_than_the_default(field: &Field, value: &TokenStream) -> TokenStream {
    match (&field.shape, &field.ty) {
        (Shape::Repeated | Shape::Map(_), _)
        | (_, Type::Scalar(Scalar::String | Scalar::Bytes) | Type::Decimal(_)) => {
            quote!(!#value.is_empty())
        }
        (_, Type::Scalar(Scalar::Bool)) => value.clone(),
        // -0.0 is not the default, though it equals it.
        (_, Type::Scalar(Scalar::Float | Scalar::Double)) => quote!(#value.to_bits() != 0),
        _ => quote!(#value != 0),
    }
}

fn encode_oneof(scope: &Scope<'_>, message: &Message, oneof: usize) -> TokenStream {
    let (slot, path) = (
        snake(&message.oneofs[oneof].name),
        names::oneof(&message.path, &message.oneofs[oneof].name),
    );
    let members = message
        .fields
        .iter()
        .filter(|field| matches!(field.shape, Shape::Oneof { index, .. } if index == oneof));
    let arms = members.map(|field| {
        let (variant, entry) = (camel(&field.name), entry(scope, field, &quote!(value)));
        quote!(Some(#path::#variant(value)) => { #entry })
    });
    quote! {
        match &self.#slot {
            #(#arms)*
            None => {}
        }
    }
}
