//! The rules of the catalog: what a product is, which values it takes, what can be done with it.
//!
//! Knows neither how it is called (gRPC, REST) nor where products are kept: those sides meet it
//! at [`Catalog`] and at the traits of [`ports`].

pub mod audit;
pub mod catalog;
pub mod error;
pub mod etag;
pub mod event;
pub mod id;
pub mod identity;
pub mod inventory;
pub mod list;
pub mod ports;
pub mod product;
pub mod receipt;
pub mod search;
pub mod shared;
pub mod value;

pub use catalog::{Catalog, ProductKey};
pub use error::{Error, FieldViolation, Result};
pub use etag::{Etag, Precondition};
pub use event::{Cause, Change, Event};
pub use id::{ProductId, UserId};
pub use identity::{Identity, Roles};
pub use inventory::{Availability, Inventory, StockUpdate};
pub use list::{ListQuery, Page};
pub use ports::{Environment, InventoryStore, ProductSearch, ProductStore, Recorded, Written};
pub use product::{NewProduct, Product, ProductPatch, ProductStatus, ProductSummary};
pub use receipt::{CallId, Receipt};
pub use search::SearchQuery;
pub use shared::Shared;
pub use value::{
    Amount, Attributes, Brand, Category, Currency, Description, Money, ProductName, SearchText,
    Sku, Warehouse,
};
