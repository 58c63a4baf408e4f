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
    if scope.api.messages.values().find(has_any).is_none() {
        return TokenStream::new();
    }
    let known = scope.api.messages.values().map(|message| {
        let name = qualified(&message.package, &message.path.join("."));
        let path = scope.message(&name);
        quote!(#name => Some(const { &::transcode::json::AnyType::message::<#path>() }),)
    });
    let types = types();
    quote! {
        #[doc(hidden)]
        pub struct #types;

        impl ::transcode::json::AnyTypes for #types {
            fn find(full_name: &str) -> Option<&'static ::transcode::json::AnyType> {
                match full_name {
                    #(#known)*
                    _ => ::transcode::json::kind::well_known::<Self>(full_name),
                }
            }
        }
    }
}
