//! What an answer says of itself beside its body: where it is, its entity tag, the pages beside it.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::names::{Scope, snake};
use crate::ir::{Binding, LocationPart, Message, Method, Shape, Type};

pub(super) fn location(scope: &Scope<'_>, method: &Method, output: &Message) -> TokenStream {
    if method.location.is_empty() {
        return quote!(None);
    }
    let parts = method.location.iter().map(|part| match part {
        LocationPart::Literal(text) => quote!(location.push_str(#text);),
        LocationPart::Field(path) => {
            let value = location_field(scope, output, path);
            quote!(location.push_str(&::transcode::rest::escape_segment(#value));)
        }
    });
    quote! {
        Some(|answer| {
            let mut location = ::std::string::String::new();
            #(#parts)*
            Some(location)
        })
    }
}

/// Takes the entity tag from an answer.
pub(super) fn etag(scope: &Scope<'_>, method: &Method, output: &Message) -> TokenStream {
    if method.etag.is_empty() {
        return quote!(None);
    }
    let tag = location_field(scope, output, &method.etag);
    quote!(Some(|answer| Some((#tag).as_str())))
}

/// How the Link header is made.
pub(super) fn links(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    input: &Message,
    output: &Message,
) -> TokenStream {
    if !method.links.are_in(binding) {
        return quote!(None);
    }
    let parameter = |name: &str| {
        let json_name = input.field(name).map_or(name, |field| &field.json_name);
        quote!([#json_name, #name])
    };
    let pages = method.links.pages.as_ref().map_or_else(
        || quote!(None),
        |(name, count)| {
            let (parameter, count) = (parameter(name), location_field(scope, output, count));
            quote! {
                Some(::transcode::rest::Pages {
                    parameter: #parameter,
                    count: |answer| Some(::core::primitive::i64::from(*#count)),
                })
            }
        },
    );
    let tokens = method.links.tokens.as_ref().map_or_else(
        || quote!(None),
        |(name, next)| {
            let (parameter, next) = (parameter(name), location_field(scope, output, next));
            quote! {
                Some(::transcode::rest::Tokens {
                    parameter: #parameter,
                    next: |answer| Some((#next).as_str()),
                })
            }
        },
    );
    quote!(Some(::transcode::rest::Links { pages: #pages, tokens: #tokens }))
}

/// An expression for a field of an answer; it leaves the closure where it, or a message on the way, is not set.
fn location_field(scope: &Scope<'_>, output: &Message, path: &[String]) -> TokenStream {
    let mut expression = quote!(answer);
    let mut message = output;
    for name in path {
        let Some(field) = message.field(name) else {
            break;
        };
        let slot = snake(name);
        expression = if field.shape == Shape::Implicit {
            quote!(&#expression.#slot)
        } else {
            quote!(#expression.#slot.as_ref()?)
        };
        if let Type::Message(inner) = &field.ty {
            message = &scope.api.messages[inner];
        }
    }
    expression
}
