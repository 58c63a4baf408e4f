//! Names as prost and tonic make them.

use heck::{ToShoutySnakeCase as _, ToSnakeCase as _, ToUpperCamelCase as _};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::ir::{Api, Message, Scalar, Type, WellKnown};

/// The package whose module code is made for.
pub(super) struct Scope<'a> {
    pub(super) api: &'a Api,
    pub(super) package: &'a str,
}

impl Scope<'_> {
    /// Path of a message from the module of the package.
    pub(super) fn message(&self, full_name: &str) -> TokenStream {
        let message = &self.api.messages[full_name];
        match &message.well_known {
            Some(ty) => well_known(ty),
            None => self.path(&message.package, &message.path),
        }
    }

    /// Path of an enum from the module of the package.
    pub(super) fn enumeration(&self, full_name: &str) -> TokenStream {
        let found = &self.api.enums[full_name];
        self.path(&found.package, &found.path)
    }

    /// Path of the enum of a oneof from the module of the package.
    pub(super) fn oneof(&self, message: &Message, name: &str) -> TokenStream {
        let mut path = message.path.clone();
        path.push(name.to_owned());
        self.path(&message.package, &path)
    }

    fn path(&self, package: &str, path: &[String]) -> TokenStream {
        let mut modules: Vec<Ident> = Vec::new();
        if package != self.package {
            let up = self.package.split('.').filter(|part| !part.is_empty());
            modules.extend(up.map(|_| ident("super")));
            modules.extend(
                package
                    .split('.')
                    .filter(|part| !part.is_empty())
                    .map(snake),
            );
        }
        let Some((name, around)) = path.split_last() else {
            return TokenStream::new();
        };
        modules.extend(around.iter().map(|outer| snake(outer)));
        let name = camel(name);
        quote!(#(#modules::)* #name)
    }
}

/// The type of a well-known message in Rust, as prost has it.
fn well_known(ty: &Type) -> TokenStream {
    let name = match ty {
        Type::WellKnown(WellKnown::Empty) => return quote!(()),
        Type::WellKnown(WellKnown::Timestamp) => "Timestamp",
        Type::WellKnown(WellKnown::Duration) => "Duration",
        Type::WellKnown(WellKnown::FieldMask) => "FieldMask",
        Type::WellKnown(WellKnown::Struct) => "Struct",
        Type::WellKnown(WellKnown::Value) => "Value",
        Type::WellKnown(WellKnown::ListValue) => "ListValue",
        Type::WellKnown(WellKnown::Any) => "Any",
        Type::Wrapper(Scalar::String) => return quote!(::std::string::String),
        Type::Wrapper(Scalar::Bytes) => return quote!(::std::vec::Vec<u8>),
        Type::Wrapper(scalar) => {
            let name = ident(match scalar {
                Scalar::Double => "f64",
                Scalar::Float => "f32",
                Scalar::Int32 => "i32",
                Scalar::Int64 => "i64",
                Scalar::UInt32 => "u32",
                Scalar::UInt64 => "u64",
                _ => "bool",
            });
            return quote!(::core::primitive::#name);
        }
        // No message is any of these.
        Type::WellKnown(WellKnown::NullValue)
        | Type::Scalar(_)
        | Type::Decimal(_)
        | Type::Enum(_)
        | Type::Message(_) => return TokenStream::new(),
    };
    let name = ident(name);
    quote!(::transcode::prost_types::#name)
}

/// Path of a oneof's enum from the module of its package.
pub(super) fn oneof(message: &[String], name: &str) -> TokenStream {
    let modules = message.iter().map(|outer| snake(outer));
    let name = camel(name);
    quote!(#(#modules::)* #name)
}

/// An identifier, escaped where it is a keyword.
pub(super) fn ident(name: &str) -> Ident {
    match name {
        "super" => Ident::new(name, Span::call_site()),
        "self" | "Self" | "extern" | "crate" | "_" => {
            Ident::new(&format!("{name}_"), Span::call_site())
        }
        _ if syn::parse_str::<Ident>(name).is_ok() => Ident::new(name, Span::call_site()),
        _ => Ident::new_raw(name, Span::call_site()),
    }
}

/// A module, a field or a function.
pub(super) fn snake(name: &str) -> Ident {
    match name.to_snake_case().as_str() {
        "super" => Ident::new("super_", Span::call_site()),
        name => ident(name),
    }
}

/// A type or a variant.
pub(super) fn camel(name: &str) -> Ident {
    ident(&name.to_upper_camel_case())
}

/// A static.
pub(super) fn shouty(name: &str) -> Ident {
    ident(&name.to_shouty_snake_case())
}
