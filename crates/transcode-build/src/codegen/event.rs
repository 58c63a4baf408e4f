//! The events of a package.

use proc_macro2::TokenStream;
use quote::quote;

use super::names::Scope;
use crate::ir::{Direction, Event, Message};

/// The specs of events, and the list of them; nothing for a package without any.
pub(super) fn events(scope: &Scope<'_>) -> TokenStream {
    let events = scope.api.events().into_iter();
    let (mut code, mut paths) = (TokenStream::new(), Vec::new());
    for (full_name, message, event) in
        events.filter(|(_, message, _)| message.package == scope.package)
    {
        let path = scope.message(full_name);
        let spec = spec(full_name, message, event);
        code.extend(quote! {
            impl ::transcode::Event for #path {
                const SPEC: ::transcode::EventSpec = #spec;
            }
        });
        paths.push(path);
    }
    if !paths.is_empty() {
        code.extend(quote! {
            /// The events of the package: the published ones first, each by name.
            pub static EVENTS: &[::transcode::EventSpec] =
                &[#(<#paths as ::transcode::Event>::SPEC),*];
        });
    }
    code
}

fn spec(full_name: &str, message: &Message, event: &Event) -> TokenStream {
    let event_type = message.event_type();
    let (version, topic) = (&event.version, &event.topic);
    let direction = match event.direction {
        Direction::Published => quote!(Published),
        Direction::Subscribed => quote!(Subscribed),
    };
    let dead_letter_topic = event
        .dead_letter_topic
        .as_ref()
        .map_or_else(|| quote!(None), |topic| quote!(Some(#topic)));
    quote! {
        ::transcode::EventSpec {
            message: #full_name,
            event_type: #event_type,
            version: #version,
            topic: #topic,
            direction: ::transcode::Direction::#direction,
            dead_letter_topic: #dead_letter_topic,
        }
    }
}
