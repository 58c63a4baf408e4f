//! What a `google.protobuf.Any` of a package can hold: the messages of the contract and the well-known types.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::names::{self, Scope};
use crate::ir::{Message, Type, WellKnown, qualified};

/// The type that says what an Any can hold, in the module of each package that has one.
pub(super) fn types() -> Ident {
    names::ident("__AnyTypes")
}

/// That type, where a message of the package has an Any.
pub(super) fn table(scope: &Scope<'_>) -> TokenStream {
    let has_any = |message: &&Message| {
        let mut types = message.fields.iter().map(|field| &field.ty);
        message.package == scope.package && types.any(|ty| *ty == Type::WellKnown(WellKnown::Any))
    };
    let is_any = |name: &String| {
        scope.api.messages[name].well_known == Some(Type::WellKnown(WellKnown::Any))
    };
    let mut services = scope.api.services.iter();
    let called = services.any(|service| {
        let mut methods = service.methods.iter();
        service.package == scope.package
            && methods.any(|method| is_any(&method.input) || is_any(&method.output))
    });
    if !called && scope.api.messages.values().find(has_any).is_none() {
        return TokenStream::new();
    }
    let messages = scope.api.messages.values();
    let own = messages.filter(|message| message.well_known.is_none());
    let known = own.map(|message| {
        let name = qualified(&message.package, &message.path.join("."));
        let path = scope.message(&name);
        quote!(#name => Some(const { &::transcode::json::AnyType::message::<#path>() }),)
    });
    let types = types();
    quote! {
        #[doc(hidden)]
        pub struct #types;

        impl ::transcode::json::AnyTypes for #types {
            fn find(full_name: &str) -> ::core::option::Option<&'static ::transcode::json::AnyType> {
                match full_name {
                    #(#known)*
                    _ => ::transcode::json::kind::well_known::<Self>(full_name),
                }
            }
        }
    }
}
