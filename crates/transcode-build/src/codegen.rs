//! Rust code from the intermediate representation.

mod any;
mod event;
mod json;
mod names;
mod service;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

use crate::error::Error;
use crate::ir::{Api, Enum, Scalar, Shape, Type, WellKnown};
use names::Scope;

/// The code that belongs beside prost's and tonic's in the module of a package.
///
/// # Errors
/// When the code made does not parse.
pub(crate) fn package(api: &Api, package: &str) -> Result<String, Error> {
    let scope = Scope { api, package };
    // Each part by itself: of a large contract all of it as tokens, and again as a tree, would take a gigabyte.
    let mut text = String::new();
    let mut add = |code: TokenStream| {
        text.push_str(&prettyplease::unparse(&syn::parse2(code)?));
        Ok::<(), Error>(())
    };
    for found in api.enums.values().filter(|found| found.package == package) {
        add(json::enumeration(&scope, found))?;
        if found.names_errors() {
            add(reasons(package, found))?;
        }
    }
    for message in api
        .messages
        .values()
        .filter(|message| message.package == package && message.well_known.is_none())
    {
        add(json::message(&scope, message))?;
        add(validate::message(&scope, message))?;
    }
    add(any::table(&scope))?;
    add(event::events(&scope))?;
    for service in api
        .services
        .iter()
        .filter(|service| service.package == package)
    {
        add(service::service(&scope, service))?;
    }
    Ok(text)
}

/// The specs of the RPCs of all services, for the module around those of the packages.
///
/// # Errors
/// When the code made does not parse.
pub(crate) fn all_methods(api: &Api) -> Result<String, Error> {
    let services = api.services.iter().map(|service| {
        let package = service.package.split('.').filter(|part| !part.is_empty());
        let package = package.map(names::snake);
        let module = names::snake(&service.name);
        quote!(#(#package::)* #module::METHODS)
    });
    let code = quote! {
        /// What the contract says about the RPCs of each service.
        pub static METHODS: &[&[&::transcode::MethodSpec]] = &[#(#services),*];
    };
    Ok(prettyplease::unparse(&syn::parse2(code)?))
}

/// An expression: the names and the contents of some texts.
///
/// # Errors
/// When the code made does not parse.
pub(crate) fn texts(texts: &[(String, String)]) -> Result<String, Error> {
    let entries = texts.iter().map(|(name, text)| quote!((#name, #text)));
    let code = quote!(&[#(#entries),*]);
    syn::parse2::<syn::Expr>(code.clone())?;
    Ok(code.to_string())
}

/// The names of errors by gRPC code.
fn reasons(package: &str, found: &Enum) -> TokenStream {
    let names = (0..=16).map(|code| {
        let value = found
            .values
            .iter()
            .find(|value| value.options.grpc_codes.contains(&code));
        value.map_or("OK", |value| value.json_name.as_str())
    });
    quote! {
        /// The names of errors, by the number of the gRPC code.
        pub static REASONS: ::transcode::ReasonTable =
            ::transcode::ReasonTable { domain: #package, names: [#(#names),*] };
    }
}

impl Scope<'_> {
    /// The kind of a value.
    fn value_kind(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Scalar(scalar) | Type::Wrapper(scalar) => scalar_kind(*scalar),
            Type::Decimal(decimal) => {
                let places = u32::try_from(decimal.fraction_digits).unwrap_or_default();
                quote!(::transcode::json::kind::Decimal<#places>)
            }
            Type::Enum(name) => {
                let path = self.enumeration(name);
                quote!(::transcode::json::kind::Enum<#path>)
            }
            Type::Message(name) => {
                let path = self.message(name);
                quote!(::transcode::json::kind::Message<#path>)
            }
            Type::WellKnown(kind) => {
                let name = names::ident(match kind {
                    WellKnown::Timestamp => "Timestamp",
                    WellKnown::Duration => "Duration",
                    WellKnown::FieldMask => "FieldMask",
                    WellKnown::Struct => "Struct",
                    WellKnown::Value => "Value",
                    WellKnown::ListValue => "ListValue",
                    WellKnown::NullValue => "NullValue",
                    WellKnown::Empty => "Empty",
                    WellKnown::Any => {
                        let types = any::types();
                        return quote!(::transcode::json::kind::Any<#types>);
                    }
                });
                quote!(::transcode::json::kind::#name)
            }
        }
    }

    /// The kind of a field.
    fn field_kind(&self, shape: &Shape, ty: &Type) -> TokenStream {
        let value = self.value_kind(ty);
        match shape {
            Shape::Repeated => quote!(::transcode::json::kind::Repeated<#value>),
            Shape::Map(key) => {
                let key = scalar_kind(*key);
                quote!(::transcode::json::kind::Map<#key, #value>)
            }
            _ => value,
        }
    }
}

fn scalar_kind(scalar: Scalar) -> TokenStream {
    match scalar {
        Scalar::Double => quote!(::transcode::json::kind::Double),
        Scalar::Float => quote!(::transcode::json::kind::Float),
        Scalar::Int32 => quote!(::transcode::json::kind::Int32),
        Scalar::Int64 => quote!(::transcode::json::kind::Int64),
        Scalar::UInt32 => quote!(::transcode::json::kind::UInt32),
        Scalar::UInt64 => quote!(::transcode::json::kind::UInt64),
        Scalar::Bool => quote!(::transcode::json::kind::Bool),
        Scalar::String => quote!(::transcode::json::kind::Str),
        Scalar::Bytes => quote!(::transcode::json::kind::Bytes<::std::vec::Vec<u8>>),
    }
}

/// The module of a part of a package's name.
pub(crate) fn module_name(part: &str) -> String {
    names::snake(part).to_string()
}

/// The file that prost writes for a package.
pub(crate) fn file_name(package: &str) -> String {
    let parts: Vec<_> = package.split('.').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return "_.rs".to_owned();
    }
    let parts = parts.into_iter().map(module_name).collect::<Vec<_>>();
    format!("{}.rs", parts.join("."))
}

/// What has a JSON form of its own in `google.protobuf`, and its type in Rust.
pub(crate) fn well_known() -> impl Iterator<Item = (&'static str, String)> {
    const OF_PROST_TYPES: [&str; 8] = [
        "Any",
        "Duration",
        "FieldMask",
        "ListValue",
        "NullValue",
        "Struct",
        "Timestamp",
        "Value",
    ];
    const OTHERS: [(&str, &str); 10] = [
        ("BoolValue", "::core::primitive::bool"),
        ("BytesValue", "::prost::alloc::vec::Vec<u8>"),
        ("DoubleValue", "::core::primitive::f64"),
        ("Empty", "()"),
        ("FloatValue", "::core::primitive::f32"),
        ("Int32Value", "::core::primitive::i32"),
        ("Int64Value", "::core::primitive::i64"),
        ("StringValue", "::prost::alloc::string::String"),
        ("UInt32Value", "::core::primitive::u32"),
        ("UInt64Value", "::core::primitive::u64"),
    ];
    let own = OF_PROST_TYPES.map(|name| (name, format!("::prost_types::{name}")));
    own.into_iter()
        .chain(OTHERS.map(|(name, path)| (name, path.to_owned())))
}
