//! How a REST request becomes a call: what is read of it, and what is made of the answer.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::super::names::{Scope, snake};
use super::answer::{etag, links, location};
use super::decode::decode;
use super::{binary, run};
use crate::ir::{Binding, Body, Message, Method, Shape, Type, WellKnown};

/// The arm that answers requests of one binding.
pub(super) fn call(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    index: usize,
) -> TokenStream {
    let (input, output) = (
        &scope.api.messages[&method.input],
        &scope.api.messages[&method.output],
    );
    let (input_path, output_path) = (scope.message(&method.input), scope.message(&method.output));
    let function = snake(&method.name);
    let decode = decode(scope, method, binding, input);
    let decode_binary = binary::decode(scope, method, binding, input);
    let given = binary::given(scope, method, binding, input);
    let mask = if scope.api.takes_bytes(&method.input, binding) {
        quote!(None)
    } else {
        update_mask(binding, input)
    };
    let encode = encode(scope, method, binding, output);
    let last_event_id = last_event_id(method, input);
    let resource = format_ident!("{}_resource", snake(&method.name));
    let if_match = input.field(&method.options.if_match).map_or_else(
        || quote!(None),
        |field| {
            let slot = snake(&field.name);
            quote!(Some(|request, tags| request.#slot = tags))
        },
    );
    let (request, run) = (input, run(method));
    let input = quote! {
        ::transcode::rest::Input {
            decode: #decode,
            decode_binary: #decode_binary,
            given: #given,
            mask: #mask,
            last_event_id: #last_event_id,
            resource: #resource,
            if_match: #if_match,
        }
    };
    let binary = binary::encode(scope, method, binding, output);
    // What streams may go on when its request was answered, over a WebSocket.
    let owned = quote! {
        let service = self.service.clone();
        let policy = self.policy.clone();
    };
    let handler = quote!(move |request| async move { service.#function(request).await });
    if method.streaming {
        let id = sse_id(method, output);
        return quote! {
            #index => {
                const STREAMING: ::transcode::rest::Streaming<#input_path, #output_path> = ::transcode::rest::Streaming {
                    input: #input,
                    encode: #encode,
                    binary: #binary,
                    id: #id,
                };
                #owned
                ::std::boxed::Box::pin(call.#run(policy, &STREAMING, #handler))
            }
        };
    }
    let whole = binding.response_body.is_none()
        && method.location.is_empty()
        && !scope.api.answers_bytes(&method.output, binding);
    let location = location(scope, method, output);
    let links = links(scope, method, binding, request, output);
    let etag = etag(scope, method, output);
    let call = if method.client_streaming {
        quote! {
            #owned
            ::std::boxed::Box::pin(call.#run(policy, &UNARY, #handler))
        }
    } else {
        quote! {
            ::std::boxed::Box::pin(call.#run(&*self.policy, &UNARY, |request| self.service.#function(request)))
        }
    };
    quote! {
        #index => {
            const UNARY: ::transcode::rest::Unary<#input_path, #output_path> = ::transcode::rest::Unary {
                input: #input,
                encode: #encode,
                binary: #binary,
                whole: #whole,
                location: #location,
                links: #links,
                etag: #etag,
            };
            #call
        }
    }
}

/// How the body of an answer, or of one of its messages, is made.
fn encode(scope: &Scope<'_>, method: &Method, binding: &Binding, output: &Message) -> TokenStream {
    let field = binding.response_body.as_deref();
    let field = field.and_then(|name| output.field(name));
    if scope.api.answers_bytes(&method.output, binding) {
        let body = field.map_or_else(
            || quote!(::core::mem::take(answer)),
            |field| {
                let slot = snake(&field.name);
                quote!(answer.#slot.take().unwrap_or_default())
            },
        );
        return quote! {
            ::transcode::rest::Encode::Raw(|answer| {
                let body = #body;
                ::transcode::rest::RawBody { content_type: body.content_type, data: body.data.into() }
            })
        };
    }
    let value = field.map_or_else(
        || {
            let kind = output.well_known.as_ref().map(|ty| scope.value_kind(ty));
            kind.map_or_else(
                || quote!(answer),
                |kind| quote!(&::transcode::json::As::<#kind>(answer)),
            )
        },
        |field| {
            let (kind, slot) = (
                scope.field_kind(&field.shape, &field.ty),
                snake(&field.name),
            );
            match field.shape {
                Shape::Optional | Shape::Boxed => {
                    quote!(&answer.#slot.as_ref().map(::transcode::json::As::<#kind>))
                }
                _ => quote!(&::transcode::json::As::<#kind>(&answer.#slot)),
            }
        },
    );
    quote!(::transcode::rest::Encode::Json(|answer, json| ::transcode::serde_json::to_writer(json, #value)))
}

/// Puts the Last-Event-ID into the field that takes it.
fn last_event_id(method: &Method, input: &Message) -> TokenStream {
    let Some(field) = input.field(&method.options.last_event_id) else {
        return quote!(None);
    };
    let slot = snake(&field.name);
    if field.shape == Shape::Optional {
        quote!(Some(|request, id| request.#slot = Some(id)))
    } else {
        quote!(Some(|request, id| request.#slot = id))
    }
}

/// Takes the id from a message of the answer.
fn sse_id(method: &Method, output: &Message) -> TokenStream {
    let Some(field) = output.field(&method.options.sse_id) else {
        return quote!(None);
    };
    let slot = snake(&field.name);
    if field.shape == Shape::Optional {
        quote!(Some(|message| message.#slot.as_deref().unwrap_or_default()))
    } else {
        quote!(Some(|message| &message.#slot))
    }
}

/// A PATCH whose request has a mask that the caller may leave to the body.
fn update_mask(binding: &Binding, input: &Message) -> TokenStream {
    let mask = input
        .field("update_mask")
        .filter(|field| field.ty == Type::WellKnown(WellKnown::FieldMask));
    let (Body::Field(_), "PATCH", Some(mask)) = (&binding.body, binding.method.as_str(), mask)
    else {
        return quote!(None);
    };
    let slot = snake(&mask.name);
    quote!(Some(|request| &mut request.#slot))
}
