//! The shop by hand: axum, and structures with serde's derive.

use axum::extract::{Path, Query};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::shop;
use transcode_tests::pb::shop::v1 as pb;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Item {
    id: String,
    sku: String,
    name: String,
    description: String,
    category: String,
    brand: String,
    tags: Vec<String>,
    price: Option<Money>,
    stock: i32,
    active: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    created_at: Option<time::OffsetDateTime>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Money {
    amount: f64,
    currency: String,
}

#[derive(Serialize)]
struct Items {
    items: Vec<Item>,
    total: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[expect(dead_code, reason = "the shop shows all there is")]
    page: Option<i32>,
    #[expect(dead_code, reason = "the shop shows all there is")]
    limit: Option<i32>,
    #[expect(dead_code, reason = "the shop shows all there is")]
    category: Option<String>,
}

/// What a shop without a contract has as its item: the same values, made at the same cost.
fn item(item: pb::Item) -> Item {
    Item {
        id: item.id,
        sku: item.sku,
        name: item.name,
        description: item.description,
        category: item.category,
        brand: item.brand,
        tags: item.tags,
        price: item.price.map(|price| Money {
            amount: price.amount,
            currency: price.currency,
        }),
        stock: item.stock,
        active: item.active,
        created_at: item.created_at.map(|at| {
            let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
            time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap()
        }),
    }
}

async fn get_item(Path(id): Path<String>) -> Json<Item> {
    Json(item(shop::item(&id)))
}

async fn list_items(Query(_): Query<List>) -> Json<Items> {
    let items = shop::items().into_iter().map(item).collect();
    Json(Items { items, total: 20 })
}

async fn create_item(Json(item): Json<Item>) -> Json<Item> {
    Json(item)
}

pub(super) fn router() -> Router {
    Router::new()
        .route("/v1/items/{id}", get(get_item))
        .route("/v1/items", get(list_items).post(create_item))
}
