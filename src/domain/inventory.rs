//! What is in stock, as the warehouses say: hearing of it, and telling it.

use time::{Duration, OffsetDateTime};

use super::error::{Error, Result};
use super::id::ProductId;
use super::ports::{Environment, InventoryStore};
use super::value::{Sku, Warehouse};

/// How much of a product there is, in all warehouses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Availability {
    /// Pieces that are there.
    pub quantity: i64,
    /// How many of them are reserved.
    pub reserved: i64,
    /// How many can be sold; below 0 when more are reserved than are there.
    pub available: i64,
}

/// How much of a product there is in one warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarehouseStock {
    /// Code of the warehouse.
    pub warehouse: Warehouse,
    /// Pieces that are there.
    pub quantity: i32,
    /// How many of them are reserved.
    pub reserved: i32,
    /// How many can be sold.
    pub available: i32,
    /// When it was so.
    pub updated_at: OffsetDateTime,
}

/// What is known of the stock of a product, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductStock {
    /// The warehouses that have told, by their code.
    pub warehouses: Vec<WarehouseStock>,
    /// All of them together; absent until one has told.
    pub totals: Option<Availability>,
}

/// What tells events apart, and which of two is the newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who sent the event: its id is unique there only.
    pub source: String,
    /// Identifier of the event.
    pub id: String,
    /// When what it tells was so. Of two at the same time, the one with the greater id counts as the newer.
    pub time: OffsetDateTime,
}

/// What a warehouse tells of its stock of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockUpdate {
    /// The event that tells.
    pub origin: Origin,
    /// Which product.
    pub product: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How much there is since.
    pub stock: WarehouseStock,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what is known now.
    Applied,
    /// Its event was handled before.
    Repeated,
    /// What is known is newer.
    Outdated,
    /// The product was deleted: its stock is of no interest, and what a warehouse still tells of it is no fault.
    Deleted,
}

/// What the store says of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The product is there, or was.
    Heard(Outcome),
    /// No product has this id.
    UnknownProduct,
    /// The product has another SKU.
    OtherSku,
}

/// How far the clock of a sender may be ahead. An update from the future would stay the newest until then.
const MOST_AHEAD: Duration = Duration::hours(1);

/// The inventory, over a store and an environment.
#[derive(Clone, Debug)]
pub struct Inventory<S, E> {
    store: S,
    environment: E,
}

impl<S: InventoryStore, E: Environment> Inventory<S, E> {
    /// An inventory that is kept in `store`.
    pub const fn new(store: S, environment: E) -> Self {
        Self { store, environment }
    }

    /// The stock of a product.
    pub async fn of(&self, product: ProductId) -> Result<ProductStock> {
        let stock = self.store.stock(product).await?;
        stock.ok_or_else(|| Error::product_not_found(product.to_string()))
    }

    /// Takes what a warehouse tells. Coming again, or after a newer one, it changes nothing.
    pub async fn apply(&self, update: &StockUpdate) -> Result<Outcome> {
        let now = self.environment.now();
        if update.origin.time > now + MOST_AHEAD {
            return Err(Error::invalid("timestamp", "Must not be in the future"));
        }
        let id = self.environment.new_uuid();
        match self.store.apply(update, now, id).await? {
            Verdict::Heard(outcome) => Ok(outcome),
            Verdict::UnknownProduct => Err(Error::product_not_found(update.product.to_string())),
            Verdict::OtherSku => Err(Error::invalid("data.sku", "Must be the SKU of the product")),
        }
    }
}
