//! The keys that an issuer of tokens publishes ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), in a file or at a URL.
//!
//! They are looked at again every now and then, and at once when a token names a key that is not among them, though not
//! more often than is fair to the issuer. What it publishes is what is accepted: a key that is gone from a good answer
//! is gone here. Without a good answer what was known stays.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::keys::{KeyError, PublicKey};
use crate::outbound::HttpClient;

/// Longest time an answer of the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time a caller waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the keys are.
#[derive(Debug, Clone)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Uri, Box<HttpClient>),
}

/// How often they are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Shortest time between two looks.
    pub least: Duration,
    /// The usual one.
    pub usual: Duration,
    /// The one after a look that told nothing.
    pub failed: Duration,
}

impl Pace {
    /// That of a source.
    pub const fn of(source: &Source) -> Self {
        match source {
            Source::File(_) => Self {
                least: Duration::from_secs(1),
                usual: Duration::from_secs(2),
                failed: Duration::from_secs(2),
            },
            Source::Url(..) => Self {
                least: Duration::from_secs(10),
                usual: Duration::from_mins(5),
                failed: Duration::from_secs(30),
            },
        }
    }
}

/// The keys of an issuer. Clones are the same.
#[derive(Debug, Clone)]
pub struct Jwks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Source,
    pace: Pace,
    /// None before the first good answer.
    keys: RwLock<Option<Arc<KeySet>>>,
    /// Counts how often a key has gone.
    losses: AtomicU64,
    looks: watch::Sender<Looks>,
    wanted: Notify,
}

/// How many looks are over, and whether another one may begin.
#[derive(Debug, Clone, Copy, Default)]
struct Looks {
    over: u64,
    resting: bool,
}

/// Keys as they were published.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Named>);

#[derive(Debug, PartialEq, Eq)]
struct Named {
    id: Option<String>,
    key: PublicKey,
}

impl KeySet {
    /// Those that may have signed a token that names its key by an id, or names none: then the only one.
    pub fn candidates(&self, id: Option<&str>) -> impl Iterator<Item = &PublicKey> {
        let only = self.0.len() == 1;
        let fits = move |named: &&Named| match id {
            Some(id) => named.id.as_deref() == Some(id),
            None => only,
        };
        self.0.iter().filter(fits).map(|named| &named.key)
    }

    /// Whether a key of an id is among them. Without an id the only one is not enough: it may have been exchanged.
    pub fn is_known(&self, id: Option<&str>) -> bool {
        id.is_some_and(|_| self.candidates(id).next().is_some())
    }

    /// Reads a set. Keys for other purposes, or of other kinds, are left out.
    fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        Ok(Self(set.keys.into_iter().filter_map(usable).collect()))
    }
}

/// A key that signs tokens of this service's kind: RSA, for signatures, with RS256 or without a word on it.
fn usable(value: Value) -> Option<Named> {
    #[derive(Deserialize)]
    struct Key {
        kty: String,
        #[serde(rename = "use")]
        purpose: String,
        alg: Option<String>,
        kid: Option<String>,
        n: String,
        e: String,
    }
    let key: Key = serde_json::from_value(value).ok()?;
    let fits = key.kty == "RSA" && key.purpose == "sig" && key.alg.is_none_or(|alg| alg == "RS256");
    let number = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let (n, e) = (number(&key.n)?, number(&key.e)?);
    match PublicKey::from_numbers(&n, &e) {
        Ok(read) if fits => Some(Named {
            id: key.kid,
            key: read,
        }),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, kid = key.kid, "a published key can't be used");
            None
        }
    }
}

impl Jwks {
    /// The keys of a file, which must be there and have one at least.
    ///
    /// # Errors
    /// When it has none.
    pub fn file(path: PathBuf) -> Result<Self, KeyError> {
        let text = std::fs::read(&path).map_err(|source| KeyError::Io {
            path: path.clone(),
            source,
        })?;
        let keys = KeySet::read(&text)
            .and_then(|keys| match keys.0.len() {
                0 => Err("it has no RSA key for signatures with RS256".to_owned()),
                _ => Ok(keys),
            })
            .map_err(|reason| KeyError::File {
                path: path.clone(),
                source: Box::new(KeyError::Rejected(reason)),
            })?;
        let source = Source::File(path);
        let pace = Pace::of(&source);
        let jwks = Self::new(source, pace);
        jwks.0.set(keys);
        Ok(jwks)
    }

    /// The keys at a URL; there are none until [`run`](Self::run) has looked.
    pub fn url(url: Uri, client: HttpClient) -> Self {
        let source = Source::Url(url, Box::new(client));
        let pace = Pace::of(&source);
        Self::new(source, pace)
    }

    /// Keys that are looked at as often as is said.
    pub fn new(source: Source, pace: Pace) -> Self {
        Self(Arc::new(Shared {
            source,
            pace,
            keys: RwLock::default(),
            losses: AtomicU64::new(0),
            looks: watch::Sender::default(),
            wanted: Notify::new(),
        }))
    }

    /// Looks at the keys, now and then, and when they are wanted.
    pub async fn run(self) {
        let shared = &self.0;
        let mut failing = false;
        loop {
            let looked = shared.look().await;
            match &looked {
                Ok(()) if failing => tracing::info!("keys of tokens: the issuer's are there again"),
                Err(error) if !failing => {
                    tracing::warn!(error, "keys of tokens: the issuer's can't be had");
                }
                _ => {}
            }
            failing = looked.is_err();
            shared.looks.send_modify(|looks| {
                looks.over += 1;
                looks.resting = true;
            });
            sleep(shared.pace.least).await;
            shared.looks.send_modify(|looks| looks.resting = false);
            let pause = if failing {
                shared.pace.failed
            } else {
                shared.pace.usual
            };
            tokio::select! {
                () = sleep(pause.saturating_sub(shared.pace.least)) => {}
                () = shared.wanted.notified() => {}
            }
        }
    }

    /// Has the keys looked at, as a token names one that is not known; tells whether they were. Shortly after a look
    /// they are not.
    pub async fn look_again(&self) -> bool {
        let mut looks = self.0.looks.subscribe();
        let before = *looks.borrow_and_update();
        if before.resting {
            return false;
        }
        self.0.wanted.notify_one();
        let over = looks.wait_for(|looks| looks.over != before.over);
        matches!(timeout(PATIENCE, over).await, Ok(Ok(_)))
    }

    /// The keys now; none before the first good answer.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    /// How often a key has gone: what an earlier key has signed has to be checked anew.
    pub(super) fn losses(&self) -> u64 {
        self.0.losses.load(Ordering::Acquire)
    }
}

impl Shared {
    async fn look(&self) -> Result<(), String> {
        let text: Bytes = match &self.source {
            Source::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| format!("{}: {error}", path.display()))?
                .into(),
            Source::Url(url, client) => {
                let request = Request::get(url).header(http::header::ACCEPT, "application/json");
                let request = request.body(Full::default());
                let request = request.map_err(|error| error.to_string())?;
                let answer = client.send(request, TIMEOUT).await;
                let answer = answer.map_err(|error| format!("{url}: {error}"))?;
                if answer.status() != StatusCode::OK {
                    return Err(format!("{url}: {}", answer.status()));
                }
                answer.into_body()
            }
        };
        self.set(KeySet::read(&text).map_err(|error| format!("no set of keys: {error}"))?);
        Ok(())
    }

    fn set(&self, keys: KeySet) {
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.as_deref().map_or(&[][..], |known| &known.0);
        let gone = before.iter().filter(|key| !keys.0.contains(key)).count();
        if known.is_some() && gone == 0 && before.len() == keys.0.len() {
            return;
        }
        if keys.0.is_empty() {
            tracing::warn!("keys of tokens: the issuer has none; its tokens are refused");
        } else {
            tracing::info!(
                keys = keys.0.len(),
                gone,
                "keys of tokens: the issuer's are others"
            );
        }
        *known = Some(Arc::new(keys));
        drop(known);
        if gone > 0 {
            // After the keys: who saw the old ones must not remember what they said.
            self.losses.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
