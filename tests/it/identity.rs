//! Users, how they sign in, and what is stored of them, on a real PostgreSQL.

mod api;
mod encryption;
mod sessions;
mod sign_in;
mod start;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog_service::auth::{Bcrypt, Issuer, PrivateKey, dev_key};
use catalog_service::domain::error::Result;
use catalog_service::domain::identity::*;
use catalog_service::domain::{Environment, UserId};
use catalog_service::pii::{Keyring, PiiKeys};
use catalog_service::store::PgUsers;
use catalog_service::system::SystemEnvironment;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::postgres::{Database, migrated};

const PASSWORD: &str = "correct horse battery staple";
const REFRESH_TTL: Duration = Duration::from_hours(24);

/// A time that moves when the test says so.
#[derive(Clone)]
struct Clock(Arc<Mutex<OffsetDateTime>>);

impl Clock {
    fn advance(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Environment for Clock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }

    fn new_uuid(&self) -> Uuid {
        SystemEnvironment.new_uuid()
    }
}

/// bcrypt, and how often it was asked.
#[derive(Clone)]
struct Counted(Bcrypt, Arc<AtomicU32>);

impl PasswordHasher for Counted {
    async fn hash(&self, password: &str) -> Result<PasswordHash> {
        self.0.hash(password).await
    }

    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.verify(password, hash).await
    }
}

/// Users in a database of the test's own.
struct Users {
    database: Database,
    pool: PgPool,
    clock: Clock,
    verified: Arc<AtomicU32>,
    key: PrivateKey,
}

type TestIdentity = Identity<PgUsers, Counted, Issuer, Clock>;

impl Users {
    async fn open() -> Self {
        let (database, pool) = migrated().await;
        let data = tempfile::tempdir().unwrap();
        Self {
            database,
            pool,
            clock: Clock(Arc::new(Mutex::new(SystemEnvironment.now()))),
            verified: Arc::default(),
            key: dev_key(data.path()).unwrap(),
        }
    }

    fn store(&self, keys: &str) -> PgUsers {
        PgUsers::new(self.pool.clone(), Arc::new(keyring(keys)))
    }

    fn with_keys(&self, keys: &str) -> TestIdentity {
        let issuer = Issuer {
            key: self.key.clone(),
            issuer: "catalog-service".to_owned(),
            audience: "catalog".to_owned(),
            access_ttl: Duration::from_hours(1),
        };
        let viewer = ("viewer".to_owned(), vec!["catalog:read".to_owned()]);
        let roles = Roles::new([viewer].into(), &["catalog:read"]).unwrap();
        Identity::new(
            self.store(keys),
            Counted(Bcrypt::new(4), self.verified.clone()),
            issuer,
            self.clock.clone(),
            Arc::new(roles),
            REFRESH_TTL,
        )
    }

    fn identity(&self) -> TestIdentity {
        self.with_keys(&key("a", 1))
    }

    /// How often a password was compared since the last time.
    fn verified(&self) -> u32 {
        self.verified.swap(0, Ordering::Relaxed)
    }
}

/// A key of one byte, over and over.
fn key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

fn keyring(keys: &str) -> Keyring {
    Keyring::new(&PiiKeys::parse(keys).unwrap()).unwrap()
}

/// Bytes of a text, as PostgreSQL shows them.
fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn new_user(email: &str) -> NewUser {
    NewUser {
        email: Email::parse(email).unwrap(),
        first_name: Some(PersonName::parse("Augusta").unwrap()),
        last_name: Some(PersonName::parse("Lovelace").unwrap()),
        phone: Some(Phone::parse("+442071234567").unwrap()),
        status: UserStatus::Active,
        roles: vec!["viewer".to_owned()],
    }
}

async fn create(identity: &TestIdentity, email: &str) -> User {
    let created = identity.create(Granter::Operator, new_user(email), PASSWORD);
    created.await.expect("created")
}

/// What a refused caller is told.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.expect_err("refused") {
        error @ catalog_service::domain::Error::Unauthenticated { .. } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn lockout(identity: &Users, id: UserId) -> Lockout {
    let store = identity.store(&key("a", 1));
    store.lockout(id).await.unwrap().expect("a user")
}
