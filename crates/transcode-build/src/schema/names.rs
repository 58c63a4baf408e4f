//! Names of schemas: short, and no two alike.

use std::collections::{HashMap, HashSet};

use crate::ir::Api;

/// What the description has beside the schemas of the contract.
const RESERVED: [&str; 5] = [
    "Error",
    "ErrorEnvelope",
    "JsonValue",
    "Meta",
    "StreamFailure",
];

/// The names of the messages and enums of a contract: their own, with those of the messages around them in front. Where
/// that is not one thing's alone, as with packages for several versions, it is the full name.
pub(super) struct Names<'a> {
    short: HashSet<String>,
    ambiguous: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn new(api: &'a Api) -> Self {
        let messages = api
            .messages
            .iter()
            .filter(|(_, message)| message.well_known.is_none());
        let messages = messages.map(|(name, message)| (name, &message.path));
        let enums = api.enums.iter().map(|(name, found)| (name, &found.path));
        let mut owners: HashMap<String, Vec<&str>> = HashMap::new();
        for (name, path) in messages.chain(enums) {
            owners.entry(path.join("")).or_default().push(name);
        }
        let (alone, shared): (HashMap<_, _>, HashMap<_, _>) = owners
            .into_iter()
            .partition(|(name, owners)| owners.len() == 1 && !RESERVED.contains(&name.as_str()));
        Self {
            short: alone.into_keys().collect(),
            ambiguous: shared.into_values().flatten().collect(),
        }
    }

    /// The name of a message or an enum.
    pub(super) fn of(&self, full_name: &str, path: &[String]) -> String {
        if self.ambiguous.contains(full_name) {
            full_name.to_owned()
        } else {
            path.join("")
        }
    }

    /// A name with something behind it, which must not make it that of something else.
    pub(super) fn with(&self, name: &str, suffix: &str) -> String {
        let long = format!("{name}{suffix}");
        if self.short.contains(&long) || RESERVED.contains(&long.as_str()) {
            format!("{name}.{suffix}")
        } else {
            long
        }
    }
}
