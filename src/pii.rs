//! Personal data at rest: AES-256-GCM for what is stored, and a blind index for what has to be found again.
//!
//! Knows no database and no configuration. The keys are in memory only; nothing here shows them. `docs/adrs` tells
//! why it is so.

mod dev_key;
mod keys;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::{hmac, rand};
use uuid::Uuid;

pub use dev_key::{DevKeysError, dev_keys};
pub use keys::{BadKeys, PiiKeys};

/// The form of a stored value: this byte, the length of the key's id, the id, the nonce, the ciphertext with its tag.
const VERSION: u8 = 1;

/// What the keys that are used are derived for. Their names are part of what is stored.
const ENCRYPT: &[u8] = b"catalog-service pii v1 aes-256-gcm";
const INDEX: &[u8] = b"catalog-service pii v1 blind index";

/// Where a value stands. It is authenticated with the value, which so is good in its place only.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row, by its id.
    pub row: Uuid,
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        // Names have no null character: no two places make the same text.
        [
            self.table.as_bytes(),
            b"\0",
            self.column.as_bytes(),
            b"\0",
            self.row.as_bytes(),
        ]
        .concat()
    }
}

/// Why a stored value can't be read, or one can't be stored. Says nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PiiError {
    /// None of the keys has encrypted it.
    #[error("the key {0:?} is not among the keys for personal data")]
    UnknownKey(String),
    /// It is not of the form of stored values.
    #[error("not an encrypted value")]
    Malformed,
    /// It was changed, or belongs to another place, or the key has another value than it had.
    #[error("the value does not belong here, or was encrypted with another key of the same id")]
    Refused,
    /// The cryptographic library failed.
    #[error("cryptographic operation failed")]
    Crypto,
}

/// The keys, ready for use. Cheap to clone when it is behind an `Arc`.
pub struct Keyring {
    /// The first encrypts, all decrypt.
    keys: Vec<Key>,
}

struct Key {
    id: String,
    encrypting: LessSafeKey,
    indexing: hmac::Key,
}

impl Keyring {
    /// Derives what is used from the configured keys.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(keys: &PiiKeys) -> Result<Self, PiiError> {
        let derive = |(id, secret): (&str, &[u8])| {
            let master = Prk::new_less_safe(HKDF_SHA256, secret);
            let encrypting = master
                .expand(&[ENCRYPT], &AES_256_GCM)
                .map(UnboundKey::from);
            let indexing = master
                .expand(&[INDEX], hmac::HMAC_SHA256)
                .map(hmac::Key::from);
            Ok(Key {
                id: id.to_owned(),
                encrypting: LessSafeKey::new(encrypting.map_err(|_| PiiError::Crypto)?),
                indexing: indexing.map_err(|_| PiiError::Crypto)?,
            })
        };
        let keys = keys.iter().map(derive).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Encrypts a value for its place, with the first key.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn encrypt(&self, place: &Place, value: &str) -> Result<Vec<u8>, PiiError> {
        let key = self.keys.first().ok_or(PiiError::Crypto)?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| PiiError::Crypto)?;
        let mut sealed = value.as_bytes().to_vec();
        let aad = Aad::from(place.associated_data());
        key.encrypting
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| PiiError::Crypto)?;
        let length = u8::try_from(key.id.len()).map_err(|_| PiiError::Crypto)?;
        Ok([&[VERSION, length], key.id.as_bytes(), &nonce, &sealed].concat())
    }

    /// Decrypts the value of a place.
    ///
    /// # Errors
    /// When it was not encrypted for this place with one of the keys.
    pub fn decrypt(&self, place: &Place, stored: &[u8]) -> Result<String, PiiError> {
        let (id, rest) = split(stored).ok_or(PiiError::Malformed)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(PiiError::Malformed)?;
        let found = self.keys.iter().find(|key| key.id.as_bytes() == id);
        let key =
            found.ok_or_else(|| PiiError::UnknownKey(String::from_utf8_lossy(id).into_owned()))?;
        let mut opened = sealed.to_vec();
        let aad = Aad::from(place.associated_data());
        let value = key
            .encrypting
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut opened)
            .map_err(|_| PiiError::Refused)?;
        let value = std::str::from_utf8(value).map_err(|_| PiiError::Malformed)?;
        Ok(value.to_owned())
    }

    /// What a value is stored under to be found again: it can't be turned back, and says which values are equal.
    pub fn index(&self, value: &str) -> Vec<u8> {
        // There always is a first key.
        self.indexes(value).swap_remove(0)
    }

    /// What a value may be stored under: by the first key, or by one that was it before.
    pub fn indexes(&self, value: &str) -> Vec<Vec<u8>> {
        self.keys
            .iter()
            .map(|key| {
                hmac::sign(&key.indexing, value.as_bytes())
                    .as_ref()
                    .to_vec()
            })
            .collect()
    }

    /// What the stored values of the first key begin with. All others are to be encrypted anew.
    pub fn current_prefix(&self) -> Vec<u8> {
        let id = self.keys.first().map_or("", |key| &key.id);
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        [&[VERSION, length], id.as_bytes()].concat()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}

/// The id of the key of a stored value, and what follows it.
fn split(stored: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[version, length], rest) = stored.split_first_chunk()?;
    (version == VERSION).then_some(())?;
    rest.split_at_checked(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: Place = Place {
        table: "users",
        column: "email",
        row: Uuid::from_u128(7),
    };

    fn keyring(keys: &str) -> Keyring {
        Keyring::new(&PiiKeys::parse(keys).unwrap()).unwrap()
    }

    fn key(id: &str, byte: u8) -> String {
        use base64::Engine as _;
        let secret = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        format!("{id}:{secret}")
    }

    #[test]
    fn a_value_is_good_in_its_place_only() {
        let ring = keyring(&key("a", 1));
        let stored = ring.encrypt(&EMAIL, "ada@example.com").unwrap();
        assert_eq!(ring.decrypt(&EMAIL, &stored).unwrap(), "ada@example.com");
        assert!(!stored.windows(3).any(|part| part == b"ada"));
        assert_ne!(stored, ring.encrypt(&EMAIL, "ada@example.com").unwrap());
        let others = [
            Place {
                table: "user",
                ..EMAIL
            },
            Place {
                column: "phone",
                ..EMAIL
            },
            Place {
                row: Uuid::from_u128(8),
                ..EMAIL
            },
        ];
        for place in others {
            assert_eq!(ring.decrypt(&place, &stored), Err(PiiError::Refused));
        }
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert!(ring.decrypt(&EMAIL, &changed).is_err(), "byte {at}");
        }
        for end in 0..stored.len() {
            assert!(ring.decrypt(&EMAIL, &stored[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, new) = (key("2025", 1), key("2026", 2));
        let before = keyring(&old);
        let during = keyring(&format!("{new},{old}"));
        let after = keyring(&new);
        let stored = before.encrypt(&EMAIL, "x").unwrap();
        assert_eq!(during.decrypt(&EMAIL, &stored).unwrap(), "x");
        let unknown = PiiError::UnknownKey("2025".to_owned());
        assert_eq!(after.decrypt(&EMAIL, &stored), Err(unknown));
        let anew = during.encrypt(&EMAIL, "x").unwrap();
        assert!(anew.starts_with(&during.current_prefix()));
        assert!(!stored.starts_with(&during.current_prefix()));
        assert_eq!(after.decrypt(&EMAIL, &anew).unwrap(), "x");
        let other = keyring(&key("2025", 3));
        assert_eq!(other.decrypt(&EMAIL, &stored), Err(PiiError::Refused));
    }

    #[test]
    fn equal_values_have_equal_indexes_by_the_same_key() {
        let (old, new) = (key("2025", 1), key("2026", 2));
        let (before, during) = (keyring(&old), keyring(&format!("{new},{old}")));
        assert_eq!(before.index("x"), before.index("x"));
        assert_ne!(before.index("x"), before.index("y"));
        assert_eq!(during.indexes("x"), [during.index("x"), before.index("x")]);
        assert_ne!(during.index("x"), before.index("x"));
        assert_eq!(before.index("x").len(), 32);
    }

    #[test]
    fn keys_are_not_shown() {
        let ring = keyring(&key("2025", 1));
        assert_eq!(format!("{ring:?}"), r#"["2025"]"#);
    }
}
