//! The sections on users: their roles, their passwords, and the keys for what is known of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ConfigError;
use super::parse::{Input, Parsed, Refusal, number, optional, readable_file, refusal};
use super::read::section;
use super::secret::MASK;
use super::show::show;
use crate::pii::PiiKeys;

section! {
    /// Passwords of users.
    Passwords {
        /// The binary logarithm of the rounds of bcrypt.
        bcrypt_cost: u32 = 12 => number(4..=16);
    }
}

section! {
    /// What keeps data safe.
    Security {
        /// Personal data.
        pii: Pii;
    }
}

section! {
    /// The keys that personal data is encrypted with.
    Pii {
        /// The keys themselves; the first encrypts, all decrypt.
        keys: Option<PiiKeys> = None => optional(pii_keys);
        /// A file with them.
        keys_path: Option<PathBuf> = None => optional(readable_file);
    }
}

impl Pii {
    /// What no value shows on its own.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.keys.is_some() && self.keys_path.is_some() {
            return Err(ConfigError::Without {
                key: "security.pii.keys",
                value: MASK.to_owned(),
                because: "security.pii.keys_path (PII_KEYS_PATH) is set too, and one of them says all",
            });
        }
        Ok(())
    }
}

show! {
    PiiKeys => |_keys| MASK;
}

fn pii_keys(input: &Input) -> Parsed<PiiKeys> {
    let keys = input.scalar().map(PiiKeys::parse);
    let refused = |why: &str| Refusal {
        allowed: format!(
            "keys such as \"2026-01:<32 bytes in base64>\", the newest first, with commas between ({why})"
        ),
        secret: true,
    };
    match keys {
        Some(Ok(keys)) => Ok(keys),
        Some(Err(error)) => Err(refused(&error.to_string())),
        None => Err(refused("it is no text")),
    }
}

/// Which scopes the roles grant when nothing is said.
pub(super) fn default_roles() -> BTreeMap<String, Vec<String>> {
    let roles: [(&str, &[&str]); 3] = [
        (
            "admin",
            &[
                "catalog:read",
                "catalog:write",
                "identity:read",
                "identity:write",
            ],
        ),
        ("editor", &["catalog:read", "catalog:write"]),
        ("viewer", &["catalog:read"]),
    ];
    roles
        .into_iter()
        .map(|(role, scopes)| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned());
            (role.to_owned(), scopes.collect())
        })
        .collect()
}

/// Names of roles, each with a list of scopes.
pub(super) fn roles(input: &Input) -> Parsed<BTreeMap<String, Vec<String>>> {
    let is_name = |name: &str| {
        (1..=50).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let is_scope =
        |scope: &String| !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic());
    let fit = |(role, scopes): &(String, Vec<String>)| is_name(role) && scopes.iter().all(is_scope);
    match input {
        Input::Lists(roles) if roles.iter().all(fit) => Ok(roles.iter().cloned().collect()),
        _ => Err(refusal(
            r#"names of roles, each with a list of scopes, such as {viewer: ["catalog:read"]}"#,
        )),
    }
}
