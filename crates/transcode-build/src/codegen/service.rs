//! Services: the specs of RPCs, their HTTP bindings, and the stack that both protocols call.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::names::{self, Scope, camel, shouty, snake};
use crate::ir::{
    Binding, Body, LocationPart, Message, Method, Scalar, Service, Shape, Type, WellKnown,
};
use crate::template::Segment;

pub(super) fn service(scope: &Scope<'_>, service: &Service) -> TokenStream {
    let module = snake(&service.name);
    let specs = service
        .methods
        .iter()
        .map(|method| spec(scope, service, method));
    let names: Vec<_> = service
        .methods
        .iter()
        .map(|method| shouty(&method.name))
        .collect();
    let mut bindings = Vec::new();
    let mut calls = Vec::new();
    for method in &service.methods {
        for binding in &method.bindings {
            let index = bindings.len();
            calls.push(call(scope, method, binding, index));
            bindings.push(self::binding(method, binding, scope));
        }
    }
    let specs_doc = format!("What the contract says about the RPCs of {}.", service.name);
    let stack = stack(scope, service, &module, &bindings, &calls);
    quote! {
        #[doc = #specs_doc]
        pub mod #module {
            #(#specs)*

            /// All of them.
            pub static METHODS: &[&::transcode::MethodSpec] = &[#(&#names),*];
        }

        #stack
    }
}

fn spec(scope: &Scope<'_>, service: &Service, method: &Method) -> TokenStream {
    let (full, name) = (service.full_name(), &method.name);
    let constant = shouty(name);
    let path = format!("/{full}/{name}");
    let options = &method.options;
    let scopes = &options.scopes;
    let streaming = method.streaming;
    let (public, audit, idempotency_key) = (options.public, options.audit, options.idempotency_key);
    let rate_class = match options.rate_class {
        1 => quote!(Read),
        2 => quote!(Write),
        _ => quote!(Default),
    };
    let idempotency = match method.idempotency {
        1 => quote!(NoSideEffects),
        2 => quote!(Idempotent),
        _ => quote!(Unknown),
    };
    let status = u16::try_from(options.success_status)
        .unwrap_or(200)
        .max(200);
    let cache = if options.cache_control.is_empty() {
        "no-store"
    } else {
        &options.cache_control
    };
    let envelope = if service.options.envelope {
        let version = &service.options.version;
        quote!(Some(#version))
    } else {
        quote!(None)
    };
    let reasons = scope
        .api
        .enums
        .values()
        .find(|found| found.names_errors())
        .map_or_else(
            || quote!(&::transcode::ReasonTable::CANONICAL),
            |found| {
                // The specs stand in a module of their own, one below that of the package.
                let up = scope
                    .package
                    .split('.')
                    .filter(|part| !part.is_empty() && found.package != scope.package);
                let up = up.map(|_| quote!(super::));
                let down = found
                    .package
                    .split('.')
                    .filter(|part| !part.is_empty() && found.package != scope.package)
                    .map(snake);
                quote!(&super::#(#up)*#(#down::)*REASONS)
            },
        );
    let docs = format!("`{full}/{name}`.");
    quote! {
        #[doc = #docs]
        pub static #constant: ::transcode::MethodSpec = ::transcode::MethodSpec {
            service: #full,
            name: #name,
            path: #path,
            server_streaming: #streaming,
            scopes: &[#(#scopes),*],
            public: #public,
            rate_class: ::transcode::RateClass::#rate_class,
            audit: #audit,
            idempotency: ::transcode::Idempotency::#idempotency,
            idempotency_key: #idempotency_key,
            success_status: #status,
            cache_control: #cache,
            envelope: #envelope,
            reasons: #reasons,
        };
    }
}

fn binding(method: &Method, binding: &Binding, scope: &Scope<'_>) -> TokenStream {
    let (http_method, text) = (&binding.method, &binding.template.text);
    let segments = binding
        .template
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(word) => quote!(::transcode::Segment::Literal(#word)),
            Segment::Single => quote!(::transcode::Segment::Single),
            Segment::Multi => quote!(::transcode::Segment::Multi),
        });
    let verb = if let Some(verb) = &binding.template.verb {
        quote!(Some(#verb))
    } else {
        quote!(None)
    };
    let variables = binding.template.variables.iter().map(|variable| {
        let (field, start, end) = (variable.field.join("."), variable.start, variable.end);
        quote!(::transcode::Variable { field: #field, start: #start, end: #end })
    });
    let body = match &binding.body {
        Body::None => quote!(::transcode::Body::None),
        Body::Whole => quote!(::transcode::Body::Whole),
        Body::Field(name) => {
            let json_name = scope.api.messages[&method.input]
                .field(name)
                .map_or(name, |field| &field.json_name);
            quote!(::transcode::Body::Field { json_name: #json_name, proto_name: #name })
        }
    };
    let spec = shouty(&method.name);
    quote! {
        ::transcode::Binding {
            method: #http_method,
            template: #text,
            segments: &[#(#segments),*],
            verb: #verb,
            variables: &[#(#variables),*],
            body: #body,
            spec: &#spec,
        }
    }
}

/// The arm that answers requests of one binding.
fn call(scope: &Scope<'_>, method: &Method, binding: &Binding, index: usize) -> TokenStream {
    let (input, output) = (
        &scope.api.messages[&method.input],
        &scope.api.messages[&method.output],
    );
    let (input_path, output_path) = (scope.message(&method.input), scope.message(&method.output));
    let function = snake(&method.name);
    let decode = match &binding.body {
        Body::None => quote!(|_, _| Ok(::core::default::Default::default())),
        Body::Whole => quote!(::transcode::json::from_slice),
        Body::Field(name) => decode_field(scope, input, &input_path, name),
    };
    let mask = update_mask(binding, input);
    let encode = match binding
        .response_body
        .as_deref()
        .and_then(|name| output.field(name))
    {
        None => quote!(|answer, json| ::transcode::serde_json::to_writer(json, answer)),
        Some(field) => {
            let (kind, slot) = (
                scope.field_kind(&field.shape, &field.ty),
                snake(&field.name),
            );
            let value = match field.shape {
                Shape::Optional | Shape::Boxed => {
                    quote!(answer.#slot.as_ref().map(::transcode::json::As::<#kind>))
                }
                _ => quote!(::transcode::json::As::<#kind>(&answer.#slot)),
            };
            quote!(|answer, json| ::transcode::serde_json::to_writer(json, &#value))
        }
    };
    let last_event_id = last_event_id(method, input);
    let resource = format_ident!("{}_resource", snake(&method.name));
    let if_match = input.field(&method.options.if_match).map_or_else(
        || quote!(None),
        |field| {
            let slot = snake(&field.name);
            quote!(Some(|request, tags| request.#slot = tags))
        },
    );
    let request = input;
    let input = quote! {
        ::transcode::rest::Input {
            decode: #decode,
            mask: #mask,
            last_event_id: #last_event_id,
            resource: #resource,
            if_match: #if_match,
        }
    };
    if method.streaming {
        let id = sse_id(method, output);
        return quote! {
            #index => {
                const STREAMING: ::transcode::rest::Streaming<#input_path, #output_path> = ::transcode::rest::Streaming {
                    input: #input,
                    encode: #encode,
                    id: #id,
                };
                ::std::boxed::Box::pin(call.server_streaming(&*self.policy, &STREAMING, |request| {
                    self.service.#function(request)
                }))
            }
        };
    }
    let whole = binding.response_body.is_none() && method.location.is_empty();
    let location = location(scope, method, output);
    let links = links(scope, method, binding, request, output);
    let etag = etag(scope, method, output);
    quote! {
        #index => {
            const UNARY: ::transcode::rest::Unary<#input_path, #output_path> = ::transcode::rest::Unary {
                input: #input,
                encode: #encode,
                whole: #whole,
                location: #location,
                links: #links,
                etag: #etag,
            };
            ::std::boxed::Box::pin(call.unary(&*self.policy, &UNARY, |request| self.service.#function(request)))
        }
    }
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

fn decode_field(
    scope: &Scope<'_>,
    input: &Message,
    input_path: &TokenStream,
    name: &str,
) -> TokenStream {
    let Some(field) = input.field(name) else {
        return TokenStream::new();
    };
    let (kind, slot, json_name) = (
        scope.field_kind(&field.shape, &field.ty),
        snake(&field.name),
        &field.json_name,
    );
    let store = match field.shape {
        Shape::Optional => quote!(request.#slot = body;),
        Shape::Boxed => quote!(request.#slot = body.map(::std::boxed::Box::new);),
        Shape::Oneof { index, boxed } => {
            let oneof = &input.oneofs[index];
            let (oneof_slot, path, variant) = (
                snake(&oneof.name),
                names::oneof(&input.path, &oneof.name),
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
    };
    quote! {
        |json, context| {
            let mut request = <#input_path as ::core::default::Default>::default();
            let body = ::transcode::json::field_from_slice::<#kind>(json, (#json_name, #name), context)?;
            #store
            Ok(request)
        }
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
    quote! {
        Some(|request, paths| {
            request.#slot.get_or_insert_with(|| ::transcode::prost_types::FieldMask { paths });
        })
    }
}

fn location(scope: &Scope<'_>, method: &Method, output: &Message) -> TokenStream {
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

/// Takes from a request what the path of a REST call names, unless it is a secret.
fn resource(scope: &Scope<'_>, method: &Method) -> TokenStream {
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
                    names::oneof(&message.path, &oneof.name),
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

/// Takes the entity tag from an answer.
fn etag(scope: &Scope<'_>, method: &Method, output: &Message) -> TokenStream {
    if method.etag.is_empty() {
        return quote!(None);
    }
    let tag = location_field(scope, output, &method.etag);
    quote!(Some(|answer| Some((#tag).as_str())))
}

/// How the Link header is made.
fn links(
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

fn stack(
    scope: &Scope<'_>,
    service: &Service,
    module: &proc_macro2::Ident,
    bindings: &[TokenStream],
    calls: &[TokenStream],
) -> TokenStream {
    let (service_trait, server) = (
        camel(&service.name),
        format_ident!("{}_server", service_module(&service.name)),
    );
    let stack = format_ident!("{}Stack", camel(&service.name));
    let docs = format!("{} behind a policy, for gRPC and REST alike.", service.name);
    let count = bindings.len();
    let rpcs = service.methods.iter().map(|method| {
        let (function, spec) = (snake(&method.name), shouty(&method.name));
        let resource = format_ident!("{}_resource", function);
        let (input, output) = (scope.message(&method.input), scope.message(&method.output));
        let (stream, answer, run) = if method.streaming {
            // As tonic names it: after the RPC as it is written in the contract.
            let name = format_ident!("{}Stream", method.name);
            (
                quote!(type #name = ::transcode::policy::BoxStream<#output>;),
                quote!(Self::#name),
                quote!(server_streaming),
            )
        } else {
            (TokenStream::new(), output, quote!(unary))
        };
        quote! {
            #stream

            async fn #function(
                &self,
                request: ::transcode::tonic::Request<#input>,
            ) -> ::std::result::Result<::transcode::tonic::Response<#answer>, ::transcode::tonic::Status> {
                ::transcode::policy::#run(&*self.policy, &#module::#spec, #resource, request, |request| {
                    self.service.#function(request)
                })
                .await
            }
        }
    });
    let resources = service.methods.iter().map(|method| resource(scope, method));
    quote! {
        #(#resources)*

        #[doc = #docs]
        pub struct #stack<S, P> {
            service: ::std::sync::Arc<S>,
            policy: ::std::sync::Arc<P>,
        }

        impl<S, P> #stack<S, P> {
            /// Puts a policy in front of a service.
            pub fn new(service: ::std::sync::Arc<S>, policy: ::std::sync::Arc<P>) -> Self {
                Self { service, policy }
            }
        }

        impl<S, P> ::core::clone::Clone for #stack<S, P> {
            fn clone(&self) -> Self {
                Self::new(self.service.clone(), self.policy.clone())
            }
        }

        #[::transcode::tonic::async_trait]
        impl<S: #server::#service_trait, P: ::transcode::policy::Policy> #server::#service_trait for #stack<S, P> {
            #(#rpcs)*
        }

        impl<S: #server::#service_trait, P: ::transcode::policy::Policy> ::transcode::rest::Service for #stack<S, P> {
            fn bindings(&self) -> &'static [::transcode::Binding] {
                use #module::*;
                static BINDINGS: [::transcode::Binding; #count] = [#(#bindings),*];
                &BINDINGS
            }

            fn call(
                &self,
                binding: usize,
                call: ::transcode::rest::Call,
            ) -> ::transcode::rest::BoxFuture<'_, ::transcode::http::Response<::transcode::rest::Body>> {
                match binding {
                    #(#calls)*
                    _ => ::std::boxed::Box::pin(::core::future::ready(call.not_found())),
                }
            }
        }
    }
}

/// The stem of tonic's module for a service.
fn service_module(name: &str) -> String {
    use heck::ToSnakeCase as _;
    name.to_snake_case()
}
