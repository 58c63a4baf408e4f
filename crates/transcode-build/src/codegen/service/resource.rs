//! Which thing a request is about, for whoever keeps a record of calls.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::super::names::{Scope, camel, snake};
use crate::ir::{Message, Method, Scalar, Shape, Type};

/// Takes from a request what the path of a REST call names, unless it is a secret.
pub(super) fn resource(scope: &Scope<'_>, method: &Method) -> TokenStream {
    let function = format_ident!("{}_resource", snake(&method.name));
    let (input, path) = (
        &scope.api.messages[&method.input],
        scope.message(&method.input),
    );
    let mut fields: Vec<&[String]> = Vec::new();
    for binding in &method.bindings {
        let variables = &binding.template.variables;
        // What is inside another thing is named by the last variable.
        let named = variables.last().map(|variable| variable.field.as_slice());
        fields.extend(named.filter(|field| !fields.contains(field)));
    }
    let attempts = fields.into_iter().filter_map(|field| {
        let value = string_field(scope, input, field)?;
        Some(quote! {
            if let Some(resource) = #value && !resource.is_empty() {
                return Some(resource);
            }
        })
    });
    let attempts: Vec<_> = attempts.collect();
    let request = if attempts.is_empty() {
        quote!(_)
    } else {
        quote!(request)
    };
    quote! {
        fn #function(#request: &#path) -> ::core::option::Option<&::core::primitive::str> {
            #(#attempts)*
            None
        }
    }
}

/// An expression for a string field of `request`: an option of it. None for what is no string, or a secret.
fn string_field(scope: &Scope<'_>, input: &Message, path: &[String]) -> Option<TokenStream> {
    let mut expression = quote!(Some(request));
    let mut message = input;
    for (index, name) in path.iter().enumerate() {
        let field = message.field(name)?;
        let slot = snake(name);
        let last = index + 1 == path.len();
        if field.secret || last && field.ty != Type::Scalar(Scalar::String) {
            return None;
        }
        expression = match field.shape {
            Shape::Implicit if last => quote!(#expression.map(|message| message.#slot.as_str())),
            Shape::Optional if last => {
                quote!(#expression.and_then(|message| message.#slot.as_deref()))
            }
            Shape::Optional => quote!(#expression.and_then(|message| message.#slot.as_ref())),
            Shape::Boxed => quote!(#expression.and_then(|message| message.#slot.as_deref())),
            Shape::Oneof {
                index,
                boxed: false,
            } => {
                let oneof = &message.oneofs[index];
                let (oneof_slot, path, variant) = (
                    snake(&oneof.name),
                    scope.oneof(message, &oneof.name),
                    camel(&field.name),
                );
                quote! {
                    #expression.and_then(|message| match &message.#oneof_slot {
                        Some(#path::#variant(value)) => Some(value),
                        _ => None,
                    })
                }
            }
            _ => return None,
        };
        if let (Shape::Oneof { .. }, true) = (&field.shape, last) {
            expression = quote!(#expression.map(::std::string::String::as_str));
        }
        if let Type::Message(inner) = &field.ty {
            message = &scope.api.messages[inner];
        }
    }
    Some(expression)
}
