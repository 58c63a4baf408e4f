//! Roles: names for what somebody may do.

use std::collections::BTreeMap;

use crate::domain::error::{Error, Result};

/// Which scopes each role grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Vec<String>>);

/// A role grants what nothing asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the role {role} has the scope {scope}, which nothing asks for")]
pub struct UnknownScope {
    /// The role.
    pub role: String,
    /// Its scope.
    pub scope: String,
}

/// Who gives a role.
#[derive(Clone, Copy, Debug)]
pub enum Granter<'a> {
    /// Who has the database may give all.
    Operator,
    /// A caller with these scopes.
    Caller(&'a [String]),
}

impl Roles {
    /// Roles that grant scopes, each of which something asks for.
    ///
    /// # Errors
    /// The first scope that is none of `known`.
    pub fn new(
        roles: BTreeMap<String, Vec<String>>,
        known: &[&str],
    ) -> std::result::Result<Self, UnknownScope> {
        for (role, scopes) in &roles {
            if let Some(scope) = scopes.iter().find(|scope| !known.contains(&scope.as_str())) {
                return Err(UnknownScope {
                    role: role.clone(),
                    scope: scope.clone(),
                });
            }
        }
        Ok(Self(roles))
    }

    /// Adds what some roles grant, each scope once. A role of another service's making grants nothing here.
    pub fn add_scopes(&self, roles: &[String], scopes: &mut Vec<String>) {
        let granted = roles.iter().filter_map(|role| self.0.get(role)).flatten();
        for scope in granted {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
    }

    /// Whether somebody may give roles: nobody can give more than they have.
    pub fn check_grant(&self, granter: Granter<'_>, roles: &[String]) -> Result<()> {
        for role in roles {
            let Some(scopes) = self.0.get(role) else {
                let names: Vec<_> = self.0.keys().map(String::as_str).collect();
                let message = format!("There is no such role; there are {}", names.join(", "));
                return Err(Error::invalid("roles", message));
            };
            let missing = match granter {
                Granter::Operator => None,
                Granter::Caller(held) => scopes.iter().find(|scope| !held.contains(scope)),
            };
            if let Some(missing) = missing {
                return Err(Error::Forbidden(format!(
                    "Insufficient permissions: the scope {missing} is required to give the role {role}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn roles() -> Roles {
        let roles = [
            ("reader", &["a:read"][..]),
            ("writer", &["a:read", "a:write"]),
        ];
        let roles = roles.map(|(role, scopes)| (role.to_owned(), texts(scopes)));
        Roles::new(roles.into(), &["a:read", "a:write"]).expect("roles")
    }

    #[test]
    fn roles_add_scopes_once_and_others_none() {
        let mut scopes = texts(&["a:read", "b:read"]);
        roles().add_scopes(&texts(&["reader", "writer", "offline_access"]), &mut scopes);
        assert_eq!(scopes, texts(&["a:read", "b:read", "a:write"]));
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        let held = texts(&["a:read", "identity:write"]);
        let check = |granter, role: &str| roles().check_grant(granter, &texts(&[role]));
        assert!(check(Granter::Caller(&held), "reader").is_ok());
        assert!(check(Granter::Operator, "writer").is_ok());
        let error = check(Granter::Caller(&held), "writer").expect_err("refused");
        assert_eq!(
            error.to_string(),
            "Insufficient permissions: the scope a:write is required to give the role writer"
        );
        let error = check(Granter::Operator, "nope").expect_err("refused");
        assert!(matches!(error, Error::InvalidParameters(violations)
            if violations[0].message == "There is no such role; there are reader, writer"));
    }

    #[test]
    fn a_scope_that_nothing_asks_for_is_found() {
        let roles = [("reader".to_owned(), texts(&["a:read", "a:raed"]))];
        let error = Roles::new(roles.into(), &["a:read"]).expect_err("refused");
        assert_eq!((&*error.role, &*error.scope), ("reader", "a:raed"));
    }
}
