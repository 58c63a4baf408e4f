//! `/.well-known/jwks.json`: the keys with which others check the tokens of this service.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

use crate::auth::PrivateKey;

/// For how long others may keep the keys: as long a new key has to be known before it signs.
const CACHEABLE: &str = "public, max-age=300";

/// The route of the public half of a key.
///
/// # Errors
/// When the key can't be written as JSON.
pub fn keys_router(key: &PrivateKey) -> serde_json::Result<Router> {
    let keys = serde_json::to_string(&key.public_set())?;
    let answer = move || {
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, CACHEABLE),
        ];
        std::future::ready((headers, keys.clone()))
    };
    Ok(Router::new().route("/.well-known/jwks.json", get(answer)))
}
