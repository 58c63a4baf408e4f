//! Values a user is made of. None shows itself: they say who somebody is, and a log keeps what it is told.

use std::fmt;

/// What is asked of a refused value.
type Message = String;

macro_rules! personal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

personal!(
    /// E-mail address, in small letters: those that differ in case only are one.
    Email
);
personal!(
    /// First or last name: 1 to 100 characters.
    PersonName
);
personal!(
    /// Phone number in international form: `+` and 7 to 15 digits.
    Phone
);
personal!(
    /// Token that is exchanged for new tokens, once.
    RefreshToken
);

impl Email {
    /// Takes the address when it keeps the rules of the contract, otherwise says what is asked of it.
    pub fn parse(text: &str) -> Result<Self, Message> {
        let fits = text.len() <= 254
            && text
                .rsplit_once('@')
                .is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
        if fits {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("Must be an e-mail address such as ada@example.com".to_owned())
        }
    }

    /// What stands before the `@`.
    pub(super) fn local(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

fn is_local(local: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    (1..=64).contains(&local.len()) && local.bytes().all(fits)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

impl PersonName {
    /// Takes the name when it keeps the rules, otherwise says what is asked of it.
    pub fn parse(text: impl Into<String>) -> Result<Self, Message> {
        let text = text.into();
        if !(1..=100).contains(&text.chars().count()) {
            return Err("Must be 1 to 100 characters long".to_owned());
        }
        if text.contains('\0') {
            return Err("Must not contain a null character".to_owned());
        }
        Ok(Self(text))
    }
}

impl Phone {
    /// Takes the number when it keeps the rules, otherwise says what is asked of it.
    pub fn parse(text: impl Into<String>) -> Result<Self, Message> {
        let text = text.into();
        let fits = text.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if fits {
            Ok(Self(text))
        } else {
            Err("Must be a phone number such as +442071234567".to_owned())
        }
    }
}

impl RefreshToken {
    /// A text that is, or claims to be, a token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, kept) in [
            ("ada@example.com", "ada@example.com"),
            ("Ada.L+x@EXAMPLE.co.uk", "ada.l+x@example.co.uk"),
        ] {
            let email = Email::parse(text).expect("an address");
            assert_eq!(email.as_str(), kept);
            assert_eq!(format!("{email:?}"), "Email");
        }
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a b@example.com",
            "ada@@example.com",
            "ada@-a.com",
            "ada@a-.com",
            "ada@a..com",
            "ädä@example.com",
            &format!("{}@example.com", "a".repeat(65)),
            &format!("a@{}.com", "a".repeat(64)),
            &format!("a@{}com", "a.".repeat(130)),
        ] {
            assert!(Email::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_phones() {
        assert!(PersonName::parse("Zoë").is_ok());
        for name in ["", "a\0", &"a".repeat(101)] {
            assert!(PersonName::parse(name).is_err(), "{name}");
        }
        assert!(Phone::parse("+442071234567").is_ok());
        for phone in ["", "442071234567", "+0442071234", "+123456", "+44 20 712"] {
            assert!(Phone::parse(phone).is_err(), "{phone}");
        }
    }
}
