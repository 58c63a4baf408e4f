//! The service is killed at any moment, and callers try again with the keys they had.

use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Open, PRODUCTS, product};
use crate::support::service::authorized;

const CALLERS: usize = 12;
const KEYS: usize = 40;
const KILLS: usize = 6;

/// Status, id of the product, and whether it was told before; nothing when there was no whole answer.
async fn create(url: &str, token: &str, sku: &str) -> Option<(u16, Value, bool)> {
    let client: Client<HttpConnector, Full<bytes::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = authorized(Method::POST, &format!("{url}{PRODUCTS}"), token)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", format!("key of {sku}").replace(' ', "-"))
        .body(Full::from(product(sku).to_string()))
        .unwrap();
    let (parts, body) = client.request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let body: Value = serde_json::from_slice(&body).ok()?;
    let replayed = parts.headers.contains_key("idempotency-replayed");
    Some((
        parts.status.as_u16(),
        body["data"]["product"]["id"].clone(),
        replayed,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_makes_one_product_however_often_the_service_dies() {
    let mut open = Open::start(&[]).await;
    let url = Arc::new(RwLock::new(open.service.http.clone()));
    let (done, lost, replays) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (url, token) = (url.clone(), open.token.clone());
            let (done, lost, replays) = (done.clone(), lost.clone(), replays.clone());
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in 0..KEYS {
                    let sku = format!("SKU-{caller}-{number}");
                    let id = loop {
                        let at = url.read().unwrap().clone();
                        match create(&at, &token, &sku).await {
                            Some((201, id, replayed)) => {
                                replays.fetch_add(usize::from(replayed), Ordering::Relaxed);
                                break id;
                            }
                            // A product that is there already would be one that nobody was told of.
                            Some((status, ..)) => assert_eq!(status, 503, "{sku}"),
                            None => {
                                lost.fetch_add(1, Ordering::Relaxed);
                                tokio::time::sleep(Duration::from_millis(20)).await;
                            }
                        }
                    };
                    done.fetch_add(1, Ordering::Relaxed);
                    ids.push((sku, id));
                }
                ids
            })
        })
        .collect();
    for kill in 1..=KILLS {
        // In the middle of what is under way, after some more are done.
        while done.load(Ordering::Relaxed) < kill * CALLERS * KEYS / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        open.service.kill();
        open.service = open.service.restart(&[]);
        open.service.ready().await;
        url.write().unwrap().clone_from(&open.service.http);
    }
    let mut told = Vec::new();
    for caller in callers {
        told.extend(caller.await.unwrap());
    }
    println!(
        "{} products, {} calls lost, {} answers given again",
        told.len(),
        lost.load(Ordering::Relaxed),
        replays.load(Ordering::Relaxed)
    );
    assert!(
        lost.load(Ordering::Relaxed) > 0,
        "nothing was killed on its way"
    );
    for (sku, id) in &told {
        let found = open
            .service
            .get(&format!("{PRODUCTS}/sku/{sku}"), &open.token)
            .await;
        assert_eq!(found.body()["data"]["product"]["id"], *id, "{sku}");
    }
    let total = i64::try_from(CALLERS * KEYS).unwrap();
    assert_eq!(open.count("SELECT count(*) FROM products").await, total);
    assert_eq!(open.count("SELECT count(*) FROM outbox").await, total);
}
