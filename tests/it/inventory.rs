//! The inventory on a real PostgreSQL: what warehouses tell, by whatever way, in whatever order.

mod dapr;
mod publisher;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use catalog_service::domain::inventory::{Origin, Outcome, WarehouseStock};
use catalog_service::domain::*;
use catalog_service::store::{Bell, PgInbox, PgInventory, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::store::{cause, new};
use crate::support::postgres::{Database, migrated};

type Stock = Inventory<PgInventory, SystemEnvironment>;

const NOON: OffsetDateTime = datetime!(2025-06-01 12:00 UTC);

/// A catalog with its inventory.
struct Warehouses {
    database: Database,
    pool: PgPool,
    catalog: Catalog<PgProducts, SystemEnvironment>,
    inventory: Stock,
}

async fn open() -> Warehouses {
    let (database, pool) = migrated().await;
    let bell = Bell::default();
    let products = PgProducts::new(pool.clone(), bell.clone());
    Warehouses {
        catalog: Catalog::new(products, SystemEnvironment),
        inventory: Inventory::new(PgInventory::new(pool.clone(), bell), SystemEnvironment),
        database,
        pool,
    }
}

impl Warehouses {
    async fn create(&self, sku: &str) -> ProductId {
        self.catalog.create(cause(), new(sku)).await.unwrap().id
    }

    async fn product(&self, id: ProductId) -> Shared<Product> {
        self.catalog.get(&ProductKey::Id(id)).await.unwrap()
    }
}

/// What a warehouse tells at a second after noon; the event is called like the second.
fn update(
    product: ProductId,
    sku: &str,
    warehouse: &str,
    second: i32,
    quantity: i32,
) -> StockUpdate {
    let time = NOON + Duration::from_secs(second.unsigned_abs().into());
    StockUpdate {
        origin: Origin {
            source: "warehouse".to_owned(),
            id: format!("{sku}-{warehouse}-{second}"),
            time,
        },
        product,
        sku: Sku::parse(sku).unwrap(),
        stock: WarehouseStock {
            warehouse: Warehouse::parse(warehouse).unwrap(),
            quantity,
            reserved: 1,
            available: quantity - 1,
            updated_at: time,
        },
    }
}

/// The same as a CloudEvent.
fn event(product: &str, sku: &str, warehouse: &str, second: i32, quantity: i32) -> Value {
    json!({
        "specversion": "1.0", "id": format!("{sku}-{warehouse}-{second}"), "source": "warehouse",
        "time": format!("2025-06-01T12:{:02}:{:02}Z", second / 60, second % 60),
        "type": "com.dapr.event.sent", "datacontenttype": "application/json",
        "data": {"eventType": "InventoryUpdated", "data": {
            "productId": product, "sku": sku, "warehouse": warehouse,
            "quantity": quantity, "reserved": 1, "available": quantity - 1}},
    })
}

fn totals(quantity: i64, warehouses: i64) -> Option<Availability> {
    Some(Availability {
        quantity,
        reserved: warehouses,
        available: quantity - warehouses,
    })
}

#[tokio::test]
async fn the_newest_stays_whatever_comes_when() {
    let open = open().await;
    let id = open.create("A").await;
    let inventory = &open.inventory;
    assert_eq!(inventory.of(id).await.unwrap().totals, None);

    let newer = update(id, "A", "W1", 10, 45);
    assert_eq!(inventory.apply(&newer).await.unwrap(), Outcome::Applied);
    assert_eq!(inventory.apply(&newer).await.unwrap(), Outcome::Repeated);
    let older = update(id, "A", "W1", 9, 99);
    assert_eq!(inventory.apply(&older).await.unwrap(), Outcome::Outdated);
    assert_eq!(inventory.apply(&older).await.unwrap(), Outcome::Repeated);
    let other = update(id, "A", "W2", 1, 5);
    assert_eq!(inventory.apply(&other).await.unwrap(), Outcome::Applied);
    // At the same time the greater id is the newer; and an id is a sender's own.
    let mut same = update(id, "A", "W1", 10, 46);
    same.origin.id = "A-W1-0".to_owned();
    assert_eq!(inventory.apply(&same).await.unwrap(), Outcome::Outdated);
    same.origin.source = "another".to_owned();
    same.origin.id = "A-W1-10z".to_owned();
    assert_eq!(inventory.apply(&same).await.unwrap(), Outcome::Applied);

    let stock = inventory.of(id).await.unwrap();
    assert_eq!(stock.warehouses, [same.stock.clone(), other.stock.clone()]);
    assert_eq!(stock.totals, totals(51, 2));
    let product = open.product(id).await;
    assert_eq!((product.version, product.revision), (1, 4));
    assert_eq!(product.availability, totals(51, 2));
}

#[tokio::test]
async fn what_is_told_of_no_product_is_refused() {
    let open = open().await;
    let id = open.create("A").await;
    let nobody = ProductId::new(uuid::Uuid::from_u128(7));
    let unknown = open.inventory.apply(&update(nobody, "A", "W1", 1, 1)).await;
    assert!(
        matches!(unknown, Err(Error::NotFound { .. })),
        "{unknown:?}"
    );
    assert!(matches!(
        open.inventory.of(nobody).await,
        Err(Error::NotFound { .. })
    ));
    let other = open.inventory.apply(&update(id, "B", "W1", 1, 1)).await;
    assert!(
        matches!(other, Err(Error::InvalidParameters(_))),
        "{other:?}"
    );
    let mut future = update(id, "A", "W1", 1, 1);
    future.origin.time = datetime!(9000-01-01 0:00 UTC);
    let future = open.inventory.apply(&future).await;
    assert!(
        matches!(future, Err(Error::InvalidParameters(_))),
        "{future:?}"
    );

    // Nothing of it is remembered: once its product is there, an event can be sent again.
    let inbox: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox")
        .fetch_one(&open.pool)
        .await
        .unwrap();
    assert_eq!(inbox, 0);
    let known = update(id, "A", "W1", 1, 1);
    assert_eq!(
        open.inventory.apply(&known).await.unwrap(),
        Outcome::Applied
    );

    open.catalog.delete(cause(), id).await.unwrap();
    let late = update(id, "A", "W1", 2, 1);
    assert_eq!(open.inventory.apply(&late).await.unwrap(), Outcome::Deleted);
    assert!(matches!(
        open.inventory.of(id).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn changes_of_stock_and_product_do_not_disturb_each_other() {
    let open = open().await;
    let id = open.create("A").await;
    open.inventory
        .apply(&update(id, "A", "W1", 1, 10))
        .await
        .unwrap();
    let rename = |name: &str| ProductPatch {
        name: Some(ProductName::parse(name).unwrap()),
        ..Default::default()
    };
    let renamed = open.catalog.update(cause(), id, rename("a")).await.unwrap();
    assert_eq!((renamed.version, renamed.revision), (2, 3));
    assert_eq!(renamed.availability, totals(10, 1));
    assert_eq!(renamed, *open.product(id).await);

    // Both at once: nothing is lost, and the answers tell what was written.
    let (catalog, inventory) = (&open.catalog, &open.inventory);
    let renames = async {
        let mut last = None;
        for n in 0..20 {
            last = Some(
                catalog
                    .update(cause(), id, rename(&format!("b{n}")))
                    .await
                    .unwrap(),
            );
        }
        last.unwrap()
    };
    let tells = async {
        for n in 2..22 {
            inventory.apply(&update(id, "A", "W1", n, n)).await.unwrap();
        }
    };
    let (last, ()) = tokio::join!(renames, tells);
    assert_eq!(last.version, 22);
    let product = open.product(id).await;
    assert_eq!((product.version, product.revision), (22, 43));
    assert_eq!(product.availability, totals(21, 1));

    let notes: Vec<(Option<String>, i32, i32)> = sqlx::query_as(
        "SELECT topic, product_version, product_revision FROM outbox ORDER BY product_revision",
    )
    .fetch_all(&open.pool)
    .await
    .unwrap();
    let revisions: Vec<i32> = notes.iter().map(|(_, _, revision)| *revision).collect();
    assert_eq!(revisions, (1..=43).collect::<Vec<_>>());
    assert_eq!(
        notes.iter().filter(|(topic, ..)| topic.is_none()).count(),
        21
    );
    assert!(notes.is_sorted_by_key(|(_, version, _)| *version));
    // Followers hear of all of it.
    let start = "3:3:".parse().unwrap();
    let batch = PgOutbox::new(open.pool.clone())
        .read(&start, 100)
        .await
        .unwrap();
    assert_eq!(
        batch
            .events
            .iter()
            .filter(|event| event.message.is_none())
            .count(),
        21
    );
    assert!(batch.events.iter().all(|event| event.product_id == id));
}

#[tokio::test(flavor = "multi_thread")]
async fn however_they_are_mixed_the_newest_stays() {
    const LAST: i32 = 60;
    let open = Arc::new(open().await);
    let mut products = Vec::new();
    for sku in ["A", "B"] {
        products.push((open.create(sku).await, sku));
    }
    let tasks: Vec<_> = (0..6)
        .map(|task: i32| {
            let (open, products) = (open.clone(), products.clone());
            tokio::spawn(async move {
                // Each tells everything, in an order of its own: 7 and 61 have no common factor.
                for n in 0..=LAST {
                    let second = (n * 7 + task * 11) % (LAST + 1);
                    for (id, sku) in &products {
                        for (quantity, warehouse) in ["W1", "W2", "W3"].iter().enumerate() {
                            let quantity = i32::try_from(quantity).unwrap() * 1000 + second;
                            open.inventory
                                .apply(&update(*id, sku, warehouse, second, quantity))
                                .await
                                .unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for (id, _) in products {
        let stock = open.inventory.of(id).await.unwrap();
        let quantities: Vec<_> = stock
            .warehouses
            .iter()
            .map(|stock| stock.quantity)
            .collect();
        assert_eq!(quantities, [LAST, 1000 + LAST, 2000 + LAST]);
        assert_eq!(stock.totals, totals(3000 + 3 * i64::from(LAST), 3));
        let product = open.product(id).await;
        assert_eq!(product.availability, stock.totals);
        let notes: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM outbox WHERE topic IS NULL AND product_id = $1",
        )
        .bind(id.uuid())
        .fetch_one(&open.pool)
        .await
        .unwrap();
        assert_eq!(i64::from(product.revision), 1 + notes);
    }
    let inbox: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox")
        .fetch_one(&open.pool)
        .await
        .unwrap();
    assert_eq!(inbox, i64::from(LAST + 1) * 6);
}

#[tokio::test]
async fn old_events_are_forgotten() {
    let open = open().await;
    let id = open.create("A").await;
    for second in 1..4 {
        open.inventory
            .apply(&update(id, "A", "W1", second, second))
            .await
            .unwrap();
    }
    let inbox = PgInbox::new(open.pool.clone());
    inbox
        .refuse(uuid::Uuid::from_u128(1), "topic", b"\xff\0", "bad\0")
        .await
        .unwrap();
    let hour = Duration::from_hours(1);
    assert_eq!(inbox.forget(hour, hour, 10).await.unwrap(), 0);
    assert_eq!(inbox.forget(Duration::ZERO, hour, 2).await.unwrap(), 2);
    assert_eq!(
        inbox
            .forget(Duration::ZERO, Duration::ZERO, 10)
            .await
            .unwrap(),
        2
    );
    // Their times still tell.
    let again = open
        .inventory
        .apply(&update(id, "A", "W1", 3, 77))
        .await
        .unwrap();
    assert_eq!(again, Outcome::Outdated);
    assert_eq!(open.product(id).await.availability, totals(3, 1));
}
