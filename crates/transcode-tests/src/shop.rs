//! A shop, whose answers have a usual size.

use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use crate::pb::shop::v1::shop_server::Shop;
use crate::pb::shop::v1::{GetItemRequest, Item, ListItemsRequest, ListItemsResponse, Money};

/// What it sells.
pub struct Shelves;

/// An item of a usual size.
pub fn item(id: &str) -> Item {
    Item {
        id: id.to_owned(),
        sku: "LAPTOP-001".to_owned(),
        name: "Gaming Laptop of a usual name".to_owned(),
        description: "What is to be said of it: it is as good as the one before. It is as \"good\" as the one before."
            .to_owned(),
        category: "electronics".to_owned(),
        brand: "TechBrand".to_owned(),
        tags: ["new", "sale", "winter"].map(str::to_owned).to_vec(),
        price: Some(Money {
            amount: 1299.99,
            currency: "USD".to_owned(),
        }),
        stock: 50,
        active: true,
        created_at: Some(Timestamp {
            seconds: 1_705_314_600,
            nanos: 123_000_000,
        }),
    }
}

/// A page of items.
pub fn items() -> Vec<Item> {
    (0..20).map(|n| item(&format!("item_{n:026}"))).collect()
}

#[tonic::async_trait]
impl Shop for Shelves {
    async fn get_item(&self, request: Request<GetItemRequest>) -> Result<Response<Item>, Status> {
        Ok(Response::new(item(&request.into_inner().id)))
    }

    async fn list_items(
        &self,
        _: Request<ListItemsRequest>,
    ) -> Result<Response<ListItemsResponse>, Status> {
        Ok(Response::new(ListItemsResponse {
            items: items(),
            total: 20,
        }))
    }

    async fn create_item(&self, request: Request<Item>) -> Result<Response<Item>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
