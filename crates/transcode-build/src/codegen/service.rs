//! Services: the specs of RPCs, their HTTP bindings, and the stack that all protocols call.

mod answer;
mod binary;
mod call;
mod decode;
mod resource;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::names::{Scope, camel, shouty, snake};
use crate::ir::{Binding, Body, Method, Service};
use crate::template::Segment;
use call::call;
use resource::resource;

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
    let (client_streaming, streaming) = (method.client_streaming, method.streaming);
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
    let most = options.max_request_bytes;
    let most = most.and_then(|most| u64::try_from(most).ok()).map_or_else(
        || quote!(None),
        |most| {
            let most = Literal::u64_unsuffixed(most);
            quote!(Some(#most))
        },
    );
    let docs = format!("`{full}/{name}`.");
    quote! {
        #[doc = #docs]
        pub static #constant: ::transcode::MethodSpec = ::transcode::MethodSpec {
            service: #full,
            name: #name,
            path: #path,
            client_streaming: #client_streaming,
            server_streaming: #streaming,
            scopes: &[#(#scopes),*],
            public: #public,
            rate_class: ::transcode::RateClass::#rate_class,
            audit: #audit,
            idempotency: ::transcode::Idempotency::#idempotency,
            idempotency_key: #idempotency_key,
            max_request_bytes: #most,
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

fn stack(
    scope: &Scope<'_>,
    service: &Service,
    module: &Ident,
    bindings: &[TokenStream],
    calls: &[TokenStream],
) -> TokenStream {
    let (service_trait, server) = (
        camel(&service.name),
        format_ident!("{}_server", service_module(&service.name)),
    );
    let stack = format_ident!("{}Stack", camel(&service.name));
    let docs = format!(
        "{} behind a policy, for gRPC, Connect and REST alike.",
        service.name
    );
    let count = bindings.len();
    let import = (count > 0).then(|| quote!(use #module::*;));
    let rpcs = service.methods.iter().map(|method| {
        let (function, spec) = (snake(&method.name), shouty(&method.name));
        let resource = format_ident!("{}_resource", function);
        let (input, output) = (scope.message(&method.input), scope.message(&method.output));
        let (stream, answer) = if method.streaming {
            // As tonic names it: after the RPC as it is written in the contract.
            let name = format_ident!("{}Stream", method.name);
            (
                quote!(type #name = ::transcode::policy::BoxStream<#output>;),
                quote!(Self::#name),
            )
        } else {
            (TokenStream::new(), output)
        };
        let (request, policy) = if method.client_streaming {
            (
                quote!(::transcode::tonic::Streaming<#input>),
                quote!(&self.policy),
            )
        } else {
            (input, quote!(&*self.policy))
        };
        let run = run(method);
        quote! {
            #stream

            async fn #function(
                &self,
                request: ::transcode::tonic::Request<#request>,
            ) -> ::std::result::Result<::transcode::tonic::Response<#answer>, ::transcode::tonic::Status> {
                ::transcode::policy::#run(#policy, &#module::#spec, #resource, request, |request| {
                    self.service.#function(request)
                })
                .await
            }
        }
    });
    let connects = service.methods.iter().enumerate().map(|(index, method)| {
        let (function, run) = (snake(&method.name), run(method));
        let resource = format_ident!("{}_resource", function);
        let (read, write) = connect_json(scope, method);
        quote! {
            #index => ::std::boxed::Box::pin(call.#run(&self.policy, &::transcode::connect::Json { read: #read, write: #write }, #resource, |request| {
                self.service.#function(request)
            })),
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
                #import
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

            fn methods(&self) -> &'static [&'static ::transcode::MethodSpec] {
                #module::METHODS
            }

            fn connect(
                &self,
                method: usize,
                call: ::transcode::connect::Call,
            ) -> ::transcode::rest::BoxFuture<'_, ::transcode::http::Response<::transcode::rest::Body>> {
                match method {
                    #(#connects)*
                    _ => ::std::boxed::Box::pin(::core::future::ready(call.not_found())),
                }
            }
        }
    }
}

/// What makes a call, by gRPC and by REST.
fn run(method: &Method) -> Ident {
    format_ident!(
        "{}",
        match (method.client_streaming, method.streaming) {
            (false, false) => "unary",
            (false, true) => "server_streaming",
            (true, false) => "client_streaming",
            (true, true) => "bidi_streaming",
        }
    )
}

/// The stem of tonic's module for a service.
fn service_module(name: &str) -> String {
    use heck::ToSnakeCase as _;
    name.to_snake_case()
}

/// How Connect reads the messages of a request from JSON, and how it writes those of an answer.
fn connect_json(scope: &Scope<'_>, method: &Method) -> (TokenStream, TokenStream) {
    let kind = |message: &str| {
        let ty = scope.api.messages[message].well_known.as_ref()?;
        Some(scope.value_kind(ty))
    };
    let read = kind(&method.input).map_or_else(
        || quote!(::transcode::json::from_slice),
        |kind| quote!(::transcode::json::value_from_slice::<#kind>),
    );
    let value = kind(&method.output).map_or_else(
        || quote!(answer),
        |kind| quote!(&::transcode::json::As::<#kind>(answer)),
    );
    let write = quote!(|answer, json| ::transcode::json::write_canonical(#value, json));
    (read, write)
}
