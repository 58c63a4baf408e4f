//! Whose budget a request draws from.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use quick_cache::Equivalent;

/// A caller: who is known by a token, anybody else by the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// The subject of a token.
    Subject(&'a str),
    /// An address, of which [`Caller::address`] takes what one caller has to itself.
    Address(IpAddr),
}

impl Caller<'_> {
    /// The caller of an address: in IPv6 its first 64 bits, as who has one of them has all.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                Ipv6Addr::from(prefix).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    /// The caller as a part of a key in Redis. The kinds have no text in common.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Subject(subject) => Cow::Owned(format!("user:{subject}")),
            Self::Address(address) => Cow::Owned(format!("address:{address}")),
        }
    }
}

/// Which of the budgets of a caller, by number, to find what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a>(pub u8, pub Caller<'a>);

/// A [`Key`] to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedKey(u8, OwnedCaller);

#[derive(Clone, Debug, PartialEq, Eq)]
enum OwnedCaller {
    Subject(Box<str>),
    Address(IpAddr),
}

impl OwnedKey {
    fn borrow(&self) -> Key<'_> {
        Key(
            self.0,
            match &self.1 {
                OwnedCaller::Subject(subject) => Caller::Subject(subject),
                OwnedCaller::Address(address) => Caller::Address(*address),
            },
        )
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(Key(budget, caller): Key<'_>) -> Self {
        Self(
            budget,
            match caller {
                Caller::Subject(subject) => OwnedCaller::Subject(subject.into()),
                Caller::Address(address) => OwnedCaller::Address(address),
            },
        )
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.0);
        match self.1 {
            Caller::Subject(subject) => subject.hash(state),
            Caller::Address(address) => address.hash(state),
        }
    }
}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrow().hash(state);
    }
}

impl Equivalent<OwnedKey> for Key<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        let Key(budget, caller) = key.borrow();
        self.0 == budget && self.1 == caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_caller_are_one() {
        let caller = |text: &str| Caller::address(text.parse().unwrap()).text().into_owned();
        assert_eq!(caller("192.0.2.7"), "address:192.0.2.7");
        assert_eq!(caller("::ffff:192.0.2.7"), "address:192.0.2.7");
        assert_eq!(caller("2001:db8:1:2:3:4:5:6"), "address:2001:db8:1:2::");
        assert_eq!(caller("2001:db8:1:2::1"), caller("2001:db8:1:2:ffff::"));
        assert_ne!(caller("2001:db8:1:2::"), caller("2001:db8:1:3::"));
    }
}
