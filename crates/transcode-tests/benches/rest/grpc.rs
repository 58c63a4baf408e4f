//! The shop by gRPC: what tonic does with a request that has come, and with its answer.

use std::hint::black_box;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tower::ServiceExt as _;
use transcode_tests::pb::shop::v1::shop_server::ShopServer;
use transcode_tests::pb::shop::v1::{GetItemRequest, ListItemsRequest, ShopStack};

use super::Call;
use super::shop::{Open, Shelves, item, stack};

pub(super) struct Shop {
    server: ShopServer<ShopStack<Shelves, Open>>,
    frames: [Bytes; 3],
}

/// A message as it is in the body of a call.
fn frame(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.encoded_len().try_into().unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

impl Shop {
    pub(super) fn new() -> Self {
        let id = "item_01hm6xkqz0e8s8a3kq5w2v9t4c";
        let list = ListItemsRequest {
            page: 1,
            limit: 20,
            category: "electronics".to_owned(),
        };
        let frames = [
            frame(&GetItemRequest { id: id.to_owned() }),
            frame(&list),
            frame(&item(id)),
        ];
        Self {
            server: ShopServer::new(stack()),
            frames,
        }
    }

    pub(super) async fn call(&self, call: Call) {
        let (path, frame) = match call {
            Call::Get => ("/shop.v1.Shop/GetItem", &self.frames[0]),
            Call::List => ("/shop.v1.Shop/ListItems", &self.frames[1]),
            Call::Create => ("/shop.v1.Shop/CreateItem", &self.frames[2]),
        };
        let request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(frame.clone()))
            .unwrap();
        let answer = self.server.clone().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap();
        let status = body
            .trailers()
            .and_then(|trailers| trailers.get("grpc-status"));
        assert_eq!(status.unwrap(), "0");
        black_box(body.to_bytes());
    }
}
