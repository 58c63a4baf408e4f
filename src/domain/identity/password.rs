//! What a password has to be, and what is kept of it.

use std::collections::HashSet;
use std::fmt;

use super::value::Email;

/// Shortest password, in characters.
const SHORTEST: usize = 12;

/// Longest password, in bytes: bcrypt looks at no more.
pub const LONGEST: usize = 72;

/// How many characters of a password have to be different.
const DIFFERENT: usize = 5;

/// Whether a text may be the password of a user. A refusal says what is asked of it.
pub fn check_password(password: &str, email: &Email) -> Result<(), String> {
    if password.chars().count() < SHORTEST {
        return Err(format!("Must be at least {SHORTEST} characters long"));
    }
    if password.len() > LONGEST {
        return Err(format!("Must be at most {LONGEST} bytes long"));
    }
    if password.contains('\0') {
        return Err("Must not contain a null character".to_owned());
    }
    if password.chars().collect::<HashSet<_>>().len() < DIFFERENT {
        return Err(format!(
            "Must have {DIFFERENT} different characters at least"
        ));
    }
    // As long a part as that makes most of a password.
    let lower = password.to_lowercase();
    if lower.contains(email.as_str()) || (email.local().len() > 5 && lower.contains(email.local()))
    {
        return Err("Must not contain the e-mail address".to_owned());
    }
    Ok(())
}

/// What is kept of a password, in the form of bcrypt: `$2b$`, its cost, its salt and the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps the text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for those who store and compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let email = Email::parse("Lovelace@example.com").expect("an address");
        for good in [
            "correct horse battery staple",
            "abcde abcde a",
            "пароль-пароль",
            &"abcdefgh".repeat(9),
        ] {
            assert_eq!(check_password(good, &email), Ok(()), "{good}");
        }
        for (bad, message) in [
            ("short pass", "Must be at least 12 characters long"),
            (&*"abcdefghi".repeat(9), "Must be at most 72 bytes long"),
            (&*"пароль".repeat(7), "Must be at most 72 bytes long"),
            ("abcdefghijk\0m", "Must not contain a null character"),
            (
                "abcdabcdabcdabcd",
                "Must have 5 different characters at least",
            ),
            ("LOVELACE-12345", "Must not contain the e-mail address"),
            (
                "lovelace@example.com",
                "Must not contain the e-mail address",
            ),
        ] {
            assert_eq!(
                check_password(bad, &email),
                Err(message.to_owned()),
                "{bad}"
            );
        }
        let short = Email::parse("ada@example.com").expect("an address");
        assert_eq!(check_password("armada of ships", &short), Ok(()));
    }

    #[test]
    fn hashes_are_not_shown() {
        let hash = PasswordHash::new("$2b$12$secret".to_owned());
        assert!(!format!("{hash:?}").contains("secret"));
    }
}
