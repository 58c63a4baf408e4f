//! Which of the files that were read are of the contract, and which only help to say it.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, FileDescriptor, Kind, MessageDescriptor};

use super::types::well_known;
use super::{BUNDLED, HTTP_BODY_FILE, WELL_KNOWN_PACKAGE};

/// The files of a contract.
pub(super) struct Parts {
    /// Those of which code and documents are made.
    pub(super) named: Vec<FileDescriptor>,
    /// Files of `google.protobuf` whose types prost-types has.
    pub(super) well_known: Vec<FileDescriptor>,
}

/// Divides the files. Files that hold options, and those of `google.protobuf`, belong to the contract where a message or a
/// served RPC has one of their types that has no JSON form of its own, such as `google.protobuf.Api`.
pub(super) fn divide(pool: &DescriptorPool, served: &BTreeSet<String>) -> Parts {
    let helps = |file: &FileDescriptor| {
        let bundled = BUNDLED.iter().any(|(name, _)| file.name() == *name);
        bundled && file.name() != HTTP_BODY_FILE || file.package_name() == WELL_KNOWN_PACKAGE
    };
    let (mut rest, mut named): (Vec<_>, Vec<_>) = pool.files().partition(helps);
    let mut seen = 0;
    while let Some(file) = named.get(seen) {
        let mut types = Vec::new();
        for message in file.messages() {
            of_message(&message, &mut types);
        }
        if served.contains(file.name()) {
            for method in file
                .services()
                .flat_map(|s| s.methods().collect::<Vec<_>>())
            {
                types.push(Kind::Message(method.input()));
                types.push(Kind::Message(method.output()));
            }
        }
        for kind in types {
            let (name, file) = match &kind {
                Kind::Message(found) => (found.full_name(), found.parent_file()),
                Kind::Enum(found) => (found.full_name(), found.parent_file()),
                _ => continue,
            };
            if well_known(name).is_none()
                && let Some(at) = rest.iter().position(|other| *other == file)
            {
                named.push(rest.remove(at));
            }
        }
        seen += 1;
    }
    rest.retain(|file| file.package_name() == WELL_KNOWN_PACKAGE);
    Parts {
        named,
        well_known: rest,
    }
}

fn of_message(message: &MessageDescriptor, types: &mut Vec<Kind>) {
    types.extend(message.fields().map(|field| field.kind()));
    for child in message.child_messages() {
        of_message(&child, types);
    }
}
