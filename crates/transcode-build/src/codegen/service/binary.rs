//! Bodies in protobuf's binary form: how they are read and written, and what of the path they may hold as well.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::json::holds_more_than_the_default;
use super::super::names::{Scope, camel, snake};
use super::decode::store;
use crate::ir::{Api, Binding, Body, Message, Method, Shape, Type};

/// Whether a request is made of a body, or its messages of those of a WebSocket, and these are messages themselves.
fn is_read(api: &Api, method: &Method, binding: &Binding) -> bool {
    binding.body != Body::None && !api.takes_bytes(&method.input, binding)
}

/// Reads the body, where it is a message.
pub(super) fn decode(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    input: &Message,
) -> TokenStream {
    if !is_read(scope.api, method, binding) {
        return quote!(None);
    }
    let input_path = scope.message(&method.input);
    match &binding.body {
        Body::Whole => quote!(Some(|bytes| ::transcode::prost::Message::decode(bytes))),
        Body::Field(name) => {
            let field = input.field(name).filter(|field| field.is_one_message());
            let Some(field) = field else {
                return quote!(None);
            };
            let store = store(scope, input, field);
            quote! {
                Some(|bytes| {
                    let mut request = <#input_path as ::core::default::Default>::default();
                    let body = Some(::transcode::prost::Message::decode(bytes)?);
                    #store
                    Ok(request)
                })
            }
        }
        Body::None => quote!(None),
    }
}

/// Writes the body of an answer, where it is a message.
pub(super) fn encode(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    output: &Message,
) -> TokenStream {
    if scope.api.answers_bytes(&method.output, binding) {
        return quote!(None);
    }
    let Some(name) = &binding.response_body else {
        return quote!(Some(::transcode::prost::Message::encode_to_vec));
    };
    let field = output.field(name).filter(|field| field.is_one_message());
    match field.map(|field| (&field.shape, snake(&field.name))) {
        Some((Shape::Optional, slot)) => quote! {
            Some(|answer| {
                let body = answer.#slot.as_ref();
                body.map(::transcode::prost::Message::encode_to_vec).unwrap_or_default()
            })
        },
        Some((Shape::Boxed, slot)) => quote! {
            Some(|answer| {
                let body = answer.#slot.as_deref();
                body.map(::transcode::prost::Message::encode_to_vec).unwrap_or_default()
            })
        },
        _ => quote!(None),
    }
}

/// Tells of a variable of the path whether its field has a value.
pub(super) fn given(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    input: &Message,
) -> TokenStream {
    let variables = &binding.template.variables;
    if !is_read(scope.api, method, binding) || variables.is_empty() {
        return quote!(|_, _| false);
    }
    let arms = variables.iter().enumerate().map(|(index, variable)| {
        let holds = holds(scope, input, &quote!(request), &variable.field);
        quote!(#index => #holds,)
    });
    quote! {
        |request, variable| match variable {
            #(#arms)*
            _ => false,
        }
    }
}

/// An expression for whether a field below `value` is more than its default.
fn holds(
    scope: &Scope<'_>,
    message: &Message,
    value: &TokenStream,
    path: &[String],
) -> TokenStream {
    let Some((name, rest)) = path.split_first() else {
        return quote!(true);
    };
    let Some(field) = message.field(name) else {
        return quote!(false);
    };
    let slot = snake(name);
    match (&field.ty, &field.shape) {
        // Binding does not go into the members of a oneof.
        (Type::Message(_), Shape::Oneof { .. }) => quote!(false),
        (Type::Message(inner), _) => {
            let holds = holds(scope, &scope.api.messages[inner], &quote!(value), rest);
            quote!(#value.#slot.as_ref().is_some_and(|value| #holds))
        }
        (_, Shape::Oneof { index, .. }) => {
            let oneof = &message.oneofs[*index];
            let (slot, path, variant) = (
                snake(&oneof.name),
                scope.oneof(message, &oneof.name),
                camel(&field.name),
            );
            quote!(::core::matches!(&#value.#slot, Some(#path::#variant(_))))
        }
        (_, Shape::Optional | Shape::Boxed) => quote!(#value.#slot.is_some()),
        _ => holds_more_than_the_default(field, &quote!(#value.#slot)),
    }
}
