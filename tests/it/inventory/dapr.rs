//! Stock by way of a Dapr sidecar, to the service as its users have it.

use std::time::Duration;

use catalog_service::store::postgres::{PoolSettings, pool};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::event;
use crate::support::service::{Service, authorized};
use crate::support::sidecar::{Delivered, Sidecar, Subscription};

const PRODUCTS: &str = "/v1/catalog/products";

/// A service with a sidecar that shows its token, a subscription, and a product.
struct Setting {
    service: Service,
    sidecar: Sidecar,
    subscription: Subscription,
    token: String,
    product: String,
}

async fn start() -> Setting {
    let sidecar = Sidecar::start().await;
    let port = sidecar.port.to_string();
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        ("DAPR_HTTP_PORT", &port),
        ("APP_API_TOKEN", "s3cret"),
        ("DATABASE_TIMEOUT", "1s"),
    ])
    .await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    let product = create(&service, &token, "LAPTOP-001").await;
    let subscription = sidecar.subscribe(&service.http, Some("s3cret")).await;
    Setting {
        service,
        sidecar,
        subscription,
        token,
        product,
    }
}

async fn create(service: &Service, token: &str, sku: &str) -> String {
    let body = json!({"sku": sku, "name": "Gaming Laptop"});
    let created = service.json(Method::POST, PRODUCTS, token, &body).await;
    assert_eq!(
        created.status(),
        StatusCode::CREATED,
        "{:?}",
        created.body()
    );
    assert_eq!(created.body()["data"]["product"].get("availability"), None);
    created.body()["data"]["product"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

impl Setting {
    async fn inventory(&self) -> Value {
        let path = format!("{PRODUCTS}/{}/inventory", self.product);
        let answer = self.service.get(&path, &self.token).await;
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
        answer.body()["data"].clone()
    }

    async fn quantities(&self) -> Vec<i64> {
        let inventory = self.inventory().await;
        let warehouses = inventory["warehouses"].as_array().unwrap().iter();
        warehouses
            .map(|stock| stock["quantity"].as_i64().unwrap())
            .collect()
    }

    fn event(&self, warehouse: &str, second: i32, quantity: i32) -> Value {
        event(&self.product, "LAPTOP-001", warehouse, second, quantity)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sidecar_is_told_what_to_subscribe_to() {
    let setting = start().await;
    let said = &setting.subscription.said;
    assert_eq!(said["pubsubname"], "pubsub-redis");
    assert_eq!(said["topic"], "inventory.stock.updated");
    assert_eq!(said["deadLetterTopic"], "inventory.stock.updated.dead");
    assert_eq!(said.get("bulkSubscribe"), None, "a sidecar panics at it");

    let event = setting.event("WH001", 1, 45);
    for token in [None, Some(""), Some("s3cre"), Some("s3cret2")] {
        assert_eq!(
            setting.subscription.post_with(token, &event).await,
            401,
            "{token:?}"
        );
        let mut request = authorized(Method::GET, "/dapr/subscribe", "");
        if let Some(token) = token {
            request = request.header("dapr-api-token", token);
        }
        assert_eq!(
            setting.service.send_raw(request, "").await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(setting.quantities().await, [0_i64; 0]);
    let health = setting.service.get("/health", "").await;
    assert_eq!(health.status(), StatusCode::OK, "the probe shows no token");
    assert_eq!(
        setting.subscription.deliver(&event).await,
        Delivered::Success
    );
    assert_eq!(setting.quantities().await, [45]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sidecar_there_are_no_such_routes_and_without_a_token_browsers_stay_out() {
    let service = Service::start().await;
    let answer = service.get("/dapr/subscribe", "").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let route = "/dapr/events/inventory-stock-updated";
    let answer = service.json(Method::POST, route, "", &json!({})).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);

    let sidecar = Sidecar::start().await;
    let service = service.restart(&[("DAPR_HTTP_PORT", &sidecar.port.to_string())]);
    service.ready().await;
    sidecar.subscribe(&service.http, None).await;
    let request = authorized(Method::POST, route, "").header("origin", "http://127.0.0.1:8001");
    assert_eq!(
        service.send_raw(request, "{}").await.status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_any_order_and_bad_ones_are_dead_with_a_reason() {
    let setting = start().await;
    let mut events: Vec<Value> = (1..=40)
        .map(|n| setting.event("WH001", 41 - n, 41 - n))
        .collect();
    events.push(setting.event("WH002", 1, 7));
    events.push(events[0].clone());
    let mut negative = setting.event("WH001", 50, 1);
    negative["data"]["data"]["quantity"] = json!(-1);
    events.push(negative.clone());
    events.push(event(
        "prod_01hm6xkqz0e8s8a3kq5w2v9t4c",
        "LAPTOP-001",
        "WH001",
        50,
        1,
    ));
    let became = setting.subscription.deliver_all(&events).await;
    assert_eq!(became[..42], [Delivered::Success; 42]);
    assert_eq!(became[42..], [Delivered::Dead; 2]);
    assert_eq!(setting.quantities().await, [40, 7]);

    // An event without an envelope, what is no event, and what the service does not get to see.
    let mut alone = setting.event("WH003", 9, 3)["data"].clone();
    alone["eventId"] = json!("evt-1");
    alone["timestamp"] = json!("2025-06-01T12:00:00Z");
    assert_eq!(
        setting.subscription.deliver(&alone).await,
        Delivered::Success
    );
    let mut nonsense = negative.clone();
    nonsense["data"] = json!("{nonsense");
    for nonsense in [&nonsense, &json!("nonsense")] {
        let became = setting.subscription.deliver(nonsense).await;
        assert_eq!(became, Delivered::Dead);
    }
    assert_eq!(setting.quantities().await, [40, 7, 3]);

    let dead = setting.sidecar.script().dead.clone();
    assert_eq!(dead.len(), 4);
    assert!(
        dead.iter()
            .all(|(topic, _)| topic == "inventory.stock.updated.dead")
    );
    assert!(dead.iter().any(|(_, event)| *event == negative));
    let pool = pool(&setting.service.database.url, &PoolSettings::default()).unwrap();
    let mut reasons: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT reason, event FROM inbox_refused")
            .fetch_all(&pool)
            .await
            .unwrap();
    reasons.sort();
    assert_eq!(reasons.len(), 3);
    for (reason, expected) in reasons.iter().zip([
        "Product not found: prod_01hm6",
        "The event is not JSON: ",
        "data.quantity: ",
    ]) {
        assert!(reason.0.starts_with(expected), "{}", reason.0);
    }
    assert_eq!(
        serde_json::from_slice::<Value>(&reasons[2].1).unwrap(),
        negative
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_events_come_again() {
    let setting = start().await;
    let database = setting.service.database.clone();
    database.shut().await;
    let event = setting.event("WH001", 1, 45);
    let (status, answer) = setting.subscription.post(&event).await;
    assert_eq!((status, &answer["status"]), (200, &json!("RETRY")));
    // Not even a bad event is dead while the reason can't be kept.
    let mut bad = event.clone();
    bad["data"]["eventType"] = json!("Other");
    let (_, answer) = setting.subscription.post(&bad).await;
    assert_eq!(answer["status"], "RETRY");
    let events = [event.clone(), setting.event("WH002", 1, 5), bad];
    let (became, ()) = tokio::join!(setting.subscription.deliver_all(&events), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        database.open().await;
    });
    for became in &became[..2] {
        assert!(matches!(became, Delivered::SuccessAfter(_)), "{became:?}");
    }
    assert_eq!(became[2], Delivered::Dead);
    setting.service.ready().await;
    assert_eq!(setting.quantities().await, [45, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_service_fails_at_is_given_up_after_some_attempts() {
    let setting = start().await;
    let pool = pool(&setting.service.database.url, &PoolSettings::default()).unwrap();
    let rename = async |from: &str, to: &str| {
        let statement = format!("ALTER TABLE inventory RENAME COLUMN {from} TO {to}");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&pool)
            .await
            .unwrap();
    };
    rename("reserved", "elsewhere").await;
    let event = setting.event("WH001", 1, 45);
    for _ in 1..12 {
        let (status, answer) = setting.subscription.post(&event).await;
        assert_eq!((status, &answer["status"]), (200, &json!("RETRY")));
    }
    assert_eq!(setting.subscription.deliver(&event).await, Delivered::Dead);
    let reasons: Vec<String> = sqlx::query_scalar("SELECT reason FROM inbox_refused")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(reasons.len(), 1);

    // The same event, sent again, begins anew.
    let (_, answer) = setting.subscription.post(&event).await;
    assert_eq!(answer["status"], "RETRY");
    rename("elsewhere", "reserved").await;
    assert_eq!(
        setting.subscription.deliver(&event).await,
        Delivered::Success
    );
    assert_eq!(setting.quantities().await, [45]);
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_stands_in_products_and_not_in_lists() {
    let setting = start().await;
    let (service, token) = (&setting.service, setting.token.as_str());
    let by_id = format!("{PRODUCTS}/{}", setting.product);
    assert_eq!(
        service.get(&by_id, token).await.body()["data"]["product"].get("availability"),
        None
    );
    assert_eq!(setting.inventory().await, json!({"warehouses": []}));

    let events = [setting.event("WH002", 1, 5), setting.event("WH001", 61, 40)];
    setting.subscription.deliver_all(&events).await;
    let availability = json!({"quantity": 45, "reserved": 2, "available": 43});
    // At once here: what this instance wrote, it does not give from before.
    for path in [&by_id, &format!("{PRODUCTS}/sku/LAPTOP-001")] {
        let begun = std::time::Instant::now();
        loop {
            let answer = service.get(path, token).await;
            if answer.body()["data"]["product"]["availability"] == availability {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{:?}",
                answer.body()
            );
        }
    }
    assert_eq!(
        setting.inventory().await,
        json!({"warehouses": [
            {"warehouse": "WH001", "quantity": 40, "reserved": 1, "available": 39, "updatedAt": "2025-06-01T12:01:01Z"},
            {"warehouse": "WH002", "quantity": 5, "reserved": 1, "available": 4, "updatedAt": "2025-06-01T12:00:01Z"},
        ], "totals": availability})
    );
    let list = service.get(PRODUCTS, token).await;
    assert_eq!(list.body()["data"]["products"][0].get("availability"), None);

    // A change keeps it, and can't make it.
    let changed = service
        .json(Method::PATCH, &by_id, token, &json!({"name": "New"}))
        .await;
    assert_eq!(
        changed.body()["data"]["product"]["availability"],
        availability
    );
    assert_eq!(changed.body()["data"]["product"]["version"], 2);
    let body = json!({"availability": {"quantity": 1}});
    let made = service.json(Method::PATCH, &by_id, token, &body).await;
    assert_eq!(
        setting.inventory().await["totals"],
        availability,
        "{:?}",
        made.body()
    );

    let unknown = format!("{PRODUCTS}/prod_01hm6xkqz0e8s8a3kq5w2v9t4c/inventory");
    let unknown = service.get(&unknown, token).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.body()["error"]["code"], "NOT_FOUND");
    let bad = service.get(&format!("{PRODUCTS}/x/inventory"), token).await;
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    assert!(
        bad.body()["error"]["details"]["productId"].is_string(),
        "{:?}",
        bad.body()
    );
    // A SKU of this name is still found.
    create(service, token, "inventory").await;
    let sku = service
        .get(&format!("{PRODUCTS}/sku/inventory"), token)
        .await;
    assert_eq!(sku.body()["data"]["product"]["sku"], "inventory");
}
