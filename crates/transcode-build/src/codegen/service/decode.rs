//! What a body is to a request: JSON, bytes as they are, or a form.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::json::members;
use super::super::names::{Scope, camel, snake};
use crate::ir::{Binding, Body, Field, HTTP_BODY, Message, Method, Shape, Type};

/// What a body is to a request.
pub(super) fn decode(
    scope: &Scope<'_>,
    method: &Method,
    binding: &Binding,
    input: &Message,
) -> TokenStream {
    let input_path = scope.message(&method.input);
    let bytes = scope.api.takes_bytes(&method.input, binding);
    let body = bytes.then(|| http_body(scope));
    let field = match &binding.body {
        Body::None => return quote!(::transcode::rest::Decode::Nothing),
        Body::Whole => None,
        Body::Field(name) => input.field(name),
    };
    let new = quote!(<#input_path as ::core::default::Default>::default());
    match (body, field) {
        (Some(body), None) => quote!(::transcode::rest::Decode::Raw(|body| #body)),
        (Some(body), Some(field)) => {
            let store = store(scope, input, field);
            quote! {
                ::transcode::rest::Decode::Raw(|body| {
                    let mut request = #new;
                    let body = Some(#body);
                    #store
                    request
                })
            }
        }
        (None, None) => {
            if let Some(ty) = &input.well_known {
                let kind = scope.value_kind(ty);
                return quote!(::transcode::rest::Decode::Json(
                    ::transcode::json::value_from_slice::<#kind>
                ));
            }
            let files = scope.api.files(method, binding);
            if files.is_empty() {
                return quote!(::transcode::rest::Decode::Json(
                    ::transcode::json::from_slice
                ));
            }
            let files = self::files(scope, input, &files);
            quote!(::transcode::rest::Decode::Form(::transcode::json::from_slice, #files))
        }
        (None, Some(field)) => {
            let (kind, name, json_name) = (
                scope.field_kind(&field.shape, &field.ty),
                &field.name,
                &field.json_name,
            );
            let store = store(scope, input, field);
            quote! {
                ::transcode::rest::Decode::Json(|json, context| {
                    let mut request = #new;
                    let body = ::transcode::json::field_from_slice::<#kind>(json, (#json_name, #name), context)?;
                    #store
                    Ok(request)
                })
            }
        }
    }
}

/// Puts `body`, which may be nothing, into a field of `request`.
pub(super) fn store(scope: &Scope<'_>, input: &Message, field: &Field) -> TokenStream {
    let slot = snake(&field.name);
    match field.shape {
        Shape::Optional => quote!(request.#slot = body;),
        Shape::Boxed => quote!(request.#slot = body.map(::std::boxed::Box::new);),
        Shape::Oneof { index, boxed } => {
            let oneof = &input.oneofs[index];
            let (oneof_slot, path, variant) = (
                snake(&oneof.name),
                scope.oneof(input, &oneof.name),
                camel(&field.name),
            );
            let value = if boxed {
                quote!(::std::boxed::Box::new(body))
            } else {
                quote!(body)
            };
            quote!(request.#oneof_slot = body.map(|body| #path::#variant(#value));)
        }
        _ => quote! {
            if let Some(body) = body {
                request.#slot = body;
            }
        },
    }
}

/// The message of a body as it is.
fn http_body(scope: &Scope<'_>) -> TokenStream {
    let path = scope.message(HTTP_BODY);
    quote! {
        #path {
            content_type: body.content_type,
            data: body.data.into(),
            ..::core::default::Default::default()
        }
    }
}

/// The fields of a form that are files, each with the messages that it is inside of.
fn files(scope: &Scope<'_>, input: &Message, files: &[Vec<&Field>]) -> TokenStream {
    let names = files.iter().map(|path| {
        let spellings = path.iter().map(|field| {
            let (json_name, name) = (&field.json_name, &field.name);
            quote!([#json_name, #name])
        });
        quote!(&[#(#spellings),*])
    });
    let put = files.iter().enumerate().map(|(place, path)| {
        let (mut owner, mut expression) = (input, quote!(request));
        let Some((last, around)) = path.split_last() else {
            return TokenStream::new();
        };
        for field in around {
            let slot = snake(&field.name);
            expression = quote!(#expression.#slot.get_or_insert_default());
            if let Type::Message(inner) = &field.ty {
                owner = &scope.api.messages[inner];
            }
        }
        let slot = snake(&last.name);
        let put = match last.shape {
            Shape::Repeated => quote! {
                #expression.#slot.push(body);
                None
            },
            Shape::Oneof { index, .. } => {
                let oneof = &owner.oneofs[index];
                let (slot, variant) = (snake(&oneof.name), camel(&last.name));
                let path = scope.oneof(owner, &oneof.name);
                let clash = format!(
                    "Only one of {} may be given",
                    members(owner, index).join(", ")
                );
                quote!(#expression.#slot.replace(#path::#variant(body)).map(|_| #clash))
            }
            _ => quote!(#expression.#slot.replace(body).map(|_| "Given more than once")),
        };
        quote!(#place => { #put })
    });
    let body = http_body(scope);
    quote! {
        ::transcode::rest::Files {
            names: &[#(#names),*],
            put: |request, place, body| {
                let body = #body;
                match place {
                    #(#put)*
                    _ => None,
                }
            },
        }
    }
}
