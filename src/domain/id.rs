//! Identifiers in the TypeID form: a prefix, `_`, and a UUID in 26 characters of Crockford's
//! base32 in lowercase. Ids of UUIDv7 sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// The text of `uuid` under `prefix`, such as `prod_01hm6xkqz0e8s8a3kq5w2v9t4c`.
pub fn encode(prefix: &str, uuid: Uuid) -> String {
    let mut text = String::with_capacity(prefix.len() + 1 + LENGTH);
    text.push_str(prefix);
    text.push('_');
    // All of them are ASCII.
    text.push_str(std::str::from_utf8(&digits(uuid)).unwrap_or_default());
    text
}

/// The 26 characters of an id, which are ASCII.
pub fn digits(uuid: Uuid) -> [u8; LENGTH] {
    // Twelve digits at a time, in what a register holds.
    const TWELVE: u128 = (1 << 60) - 1;
    let mut digits = [0; LENGTH];
    let mut bits = uuid.as_u128();
    for twelve in digits.rchunks_mut(12) {
        let mut low = u64::try_from(bits & TWELVE).unwrap_or_default();
        bits >>= 60;
        for digit in twelve.iter_mut().rev() {
            *digit = ALPHABET[(low & 31) as usize];
            low >>= 5;
        }
    }
    digits
}

/// The UUID of a text that [`encode`] made with the same prefix; `None` for any other text.
pub fn decode(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?.as_bytes();
    // 26 digits hold 130 bits: the first one may not use its upper two.
    if digits.len() != LENGTH || digits[0] > b'7' {
        return None;
    }
    let mut bits = 0;
    let mut wrong = false;
    for twelve in digits.chunks(12) {
        let mut some = 0_u64;
        for digit in twelve {
            let value = VALUES[usize::from(*digit)];
            wrong |= value == NO_DIGIT;
            some = (some << 5) | u64::from(value & 31);
        }
        bits = (bits << (5 * twelve.len())) | u128::from(some);
    }
    (!wrong).then(|| Uuid::from_u128(bits))
}

/// What each byte is worth as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 32 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// The value of a byte that is none.
const NO_DIGIT: u8 = u8::MAX;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $invalid:ident, $message:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text of such an id begins with.
            pub const PREFIX: &str = $prefix;

            /// The id of a UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode(Self::PREFIX, self.0))
            }
        }

        /// The text is no such id.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $invalid;

        impl FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                decode(Self::PREFIX, text).map(Self).ok_or($invalid)
            }
        }
    };
}

identifier!(
    /// Identifier of a product, written `prod_…`.
    ProductId,
    "prod",
    InvalidProductId,
    "Must be a product id: prod_ and 26 characters"
);
identifier!(
    /// Identifier of a user, written `user_…`.
    UserId,
    "user",
    InvalidUserId,
    "Must be a user id: user_ and 26 characters"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_ids() {
        // The examples of the TypeID specification.
        for (uuid, text) in [
            (
                "00000000-0000-0000-0000-000000000000",
                "00000000000000000000000000",
            ),
            (
                "00000000-0000-0000-0000-000000000020",
                "00000000000000000000000010",
            ),
            (
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "7zzzzzzzzzzzzzzzzzzzzzzzzz",
            ),
            (
                "0110c853-1d09-52d8-d73e-1194e95b5f19",
                "0123456789abcdefghjkmnpqrs",
            ),
        ] {
            let uuid = Uuid::parse_str(uuid).expect("a UUID");
            assert_eq!(encode("req", uuid), format!("req_{text}"));
            assert_eq!(decode("req", &format!("req_{text}")), Some(uuid));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "prod_",
            "prod",
            "01hm6xkqz0e8s8a3kq5w2v9t4c",
            "evt_01hm6xkqz0e8s8a3kq5w2v9t4c",
            "prod_01hm6xkqz0e8s8a3kq5w2v9t4",
            "prod_01hm6xkqz0e8s8a3kq5w2v9t4cc",
            "prod_81hm6xkqz0e8s8a3kq5w2v9t4c",
            "prod_01HM6XKQZ0E8S8A3KQ5W2V9T4C",
            "prod_01hm6xkqz0e8s8a3kq5w2v9t4i",
            "prod_01hm6xkqz0e8s8a3kq5w2v9t4u",
            "prod__1hm6xkqz0e8s8a3kq5w2v9t4c",
            " prod_01hm6xkqz0e8s8a3kq5w2v9t4c",
        ] {
            assert_eq!(text.parse::<ProductId>(), Err(InvalidProductId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(bits: u128) {
            let id = ProductId::new(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn text_sorts_like_the_uuid(a: u128, b: u128) {
            let text = |bits| encode("prod", Uuid::from_u128(bits));
            prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "prod_[0-9a-z]{26}") {
            if let Ok(id) = text.parse::<ProductId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
