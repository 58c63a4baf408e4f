//! The shop behind a transcoder that has descriptors and no generated mapping: JSON to a dynamic message to bytes to the
//! handler's message, and back.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions, Value};
use transcode_tests::pb::shop::v1::shop_server::Shop;

use super::shop::Shelves;

struct Shared {
    pool: DescriptorPool,
    shop: Shelves,
}

impl Shared {
    fn message(&self, name: &str) -> DynamicMessage {
        DynamicMessage::new(self.pool.get_message_by_name(name).unwrap())
    }

    fn json<M: Message>(&self, name: &str, answer: &M) -> impl IntoResponse + use<M> {
        let mut message = self.message(name);
        message.merge(&answer.encode_to_vec()[..]).unwrap();
        let mut json = Vec::with_capacity(512);
        let options = SerializeOptions::new().skip_default_fields(false);
        message
            .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
            .unwrap();
        ([(header::CONTENT_TYPE, "application/json")], json)
    }
}

fn typed<T: Message + Default>(message: &DynamicMessage) -> tonic::Request<T> {
    tonic::Request::new(T::decode(&message.encode_to_vec()[..]).unwrap())
}

async fn get_item(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> impl IntoResponse {
    let mut message = shared.message("shop.v1.GetItemRequest");
    message.set_field_by_name("id", Value::String(id));
    let answer = shared.shop.get_item(typed(&message)).await.unwrap();
    shared.json("shop.v1.Item", answer.get_ref())
}

async fn list_items(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> impl IntoResponse {
    let mut message = shared.message("shop.v1.ListItemsRequest");
    let query = query.unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = match name {
            "category" => Value::String(value.to_owned()),
            _ => Value::I32(value.parse().unwrap()),
        };
        message.set_field_by_name(name, value);
    }
    let answer = shared.shop.list_items(typed(&message)).await.unwrap();
    shared.json("shop.v1.ListItemsResponse", answer.get_ref())
}

async fn create_item(State(shared): State<Arc<Shared>>, body: Bytes) -> impl IntoResponse {
    let descriptor = shared.pool.get_message_by_name("shop.v1.Item").unwrap();
    let mut json = serde_json::Deserializer::from_slice(&body);
    let message = DynamicMessage::deserialize(descriptor, &mut json).unwrap();
    let answer = shared.shop.create_item(typed(&message)).await.unwrap();
    shared.json("shop.v1.Item", answer.get_ref())
}

pub(super) fn router() -> Router {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
    let shared = Arc::new(Shared {
        pool: DescriptorPool::decode(&descriptors[..]).unwrap(),
        shop: Shelves,
    });
    Router::new()
        .route("/v1/items/{id}", get(get_item))
        .route("/v1/items", get(list_items).post(create_item))
        .with_state(shared)
}
