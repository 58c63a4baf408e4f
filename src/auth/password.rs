//! bcrypt, a few at a time.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::issuer::random_text;
use crate::domain::error::{Error, Result};
use crate::domain::identity::password::LONGEST;
use crate::domain::identity::{PasswordHash, PasswordHasher};

/// Salt and hash of nobody's password, in the form of bcrypt.
const NOBODY: &str = "abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01232";

/// Hashes passwords with bcrypt, beside the threads that answer requests and with half of the processors at most:
/// signing in can't keep others from being answered. What is more waits, until its request takes too long.
#[derive(Clone, Debug)]
pub struct Bcrypt {
    cost: u32,
    turns: Arc<Semaphore>,
    nobody: PasswordHash,
}

impl Bcrypt {
    /// `cost` is the binary logarithm of the rounds, 4 to 31.
    pub fn new(cost: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            cost,
            turns: Arc::new(Semaphore::new(processors.div_ceil(2))),
            nobody: PasswordHash::new(format!("$2b${cost:02}${NOBODY}")),
        }
    }

    /// A password that nobody can guess.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<String> {
        random_text::<18>()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
    ) -> Result<T> {
        let internal = |error: &dyn ToString| Error::Internal(error.to_string().into());
        let turns = self.turns.clone();
        let turn = turns.acquire_owned().await.map_err(|e| internal(&e))?;
        let work = tokio::task::spawn_blocking(move || {
            // Kept to the end, also when the request that asked is gone.
            let _turn = turn;
            work()
        });
        work.await
            .map_err(|error| internal(&error))?
            .map_err(|error| internal(&error))
    }
}

impl PasswordHasher for Bcrypt {
    async fn hash(&self, password: &str) -> Result<PasswordHash> {
        let (cost, password) = (self.cost, password.to_owned());
        let hash = self.run(move || bcrypt::hash(password, cost)).await?;
        Ok(PasswordHash::new(hash))
    }

    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool> {
        // Of a longer one bcrypt would compare the beginning.
        let known = hash.is_some() && password.len() <= LONGEST;
        let (password, hash) = (password.to_owned(), hash.unwrap_or(&self.nobody).clone());
        let right = self
            .run(move || bcrypt::verify(password, hash.expose()))
            .await?;
        Ok(known && right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again() {
        let bcrypt = Bcrypt::new(4);
        let longest = "é".repeat(36);
        for password in ["correct horse battery staple", &longest] {
            let hash = bcrypt.hash(password).await.unwrap();
            assert!(hash.expose().starts_with("$2b$04$"));
            assert!(bcrypt.verify(password, Some(&hash)).await.unwrap());
            let other = format!("{}x", &password[..password.len() - 2]);
            assert!(!bcrypt.verify(&other, Some(&hash)).await.unwrap());
            assert!(!bcrypt.verify(password, None).await.unwrap());
            let longer = format!("{password}x");
            assert!(!bcrypt.verify(&longer, Some(&hash)).await.unwrap());
        }
        let damaged = PasswordHash::new("$2b$04$".to_owned());
        let error = bcrypt.verify("x", Some(&damaged)).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
    }

    #[tokio::test]
    async fn nobodys_hash_is_one() {
        // Else it would be refused before any work is done.
        let nobody = Bcrypt::new(5).nobody;
        let parts: bcrypt::HashParts = nobody.expose().parse().unwrap();
        assert_eq!(parts.get_cost(), 5);
    }

    #[test]
    fn generated_passwords_keep_the_rules() {
        let email = crate::domain::identity::Email::parse("ada@example.com").unwrap();
        let password = Bcrypt::generate().unwrap();
        crate::domain::identity::check_password(&password, &email).unwrap();
        assert_ne!(password, Bcrypt::generate().unwrap());
    }
}
