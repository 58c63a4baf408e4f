//! Stock from Redis Streams: nothing is lost or blocked by what dies, is away or is bad.

use std::sync::Arc;
use std::time::Duration;

use catalog_service::events::subscriber::Subscriber;
use catalog_service::events::subscriber::redis_streams::{Consumer, Settings};
use catalog_service::lifecycle::{Readiness, State};
use catalog_service::system::SystemEnvironment;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::task::JoinHandle;

use super::{Warehouses, event, open, totals};
use crate::support::redis::{Cluster, Server, client, eventually, installed};
use crate::support::service::Service;

const STREAM: &str = "inventory.stock.updated";
const DEAD: &str = "inventory.stock.updated.dead";
const GROUP: &str = "catalog-service";

/// A running consumer.
struct Running {
    readiness: Readiness,
    task: JoinHandle<()>,
}

impl Running {
    fn start(warehouses: &Warehouses, addr: &str) -> Self {
        let readiness = Readiness::default();
        readiness.set(State::Ready);
        let settings = Settings {
            block: Duration::from_millis(50),
            claim_after: Duration::from_millis(400),
            max_attempts: 3,
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(100),
            ..Settings::new(STREAM, DEAD, GROUP)
        };
        let subscriber = Subscriber::new(warehouses.inventory.clone());
        let consumer = Consumer::new(subscriber, &client(addr), &SystemEnvironment, settings);
        let task = tokio::spawn(consumer.run(readiness.subscribe()));
        Self { readiness, task }
    }

    async fn stop(self) {
        self.readiness.set(State::Stopping);
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        ended.expect("it ends").unwrap();
    }
}

/// Adds an entry as Dapr's component does.
async fn add(server: &Server, event: &Value) {
    let data = event.to_string();
    server
        .ask::<String>(&[
            "XADD",
            STREAM,
            "*",
            "data",
            &data,
            "metadata",
            "{\"a\":\"b\"}",
        ])
        .await;
}

async fn pending(server: &Server) -> i64 {
    let summary: Vec<::redis::Value> = server.ask(&["XPENDING", STREAM, GROUP]).await;
    match summary[0] {
        ::redis::Value::Int(count) => count,
        ref other => panic!("{other:?}"),
    }
}

type Fields = Vec<(String, String)>;

async fn dead(server: &Server) -> Vec<(String, Fields)> {
    server.ask(&["XRANGE", DEAD, "-", "+"]).await
}

async fn known(
    open: &Warehouses,
    id: catalog_service::domain::ProductId,
    quantity: i64,
    warehouses: i64,
) {
    eventually("it is known", async || {
        open.product(id).await.availability == totals(quantity, warehouses)
    })
    .await;
}

#[tokio::test]
async fn what_is_added_is_applied_and_acknowledged() {
    if !installed() {
        return;
    }
    let (open, server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    let text = id.to_string();
    // Before anybody listens, and twice.
    for _ in 0..2 {
        add(&server, &event(&text, "A", "W1", 2, 10)).await;
    }
    let consumers = [
        Running::start(&open, &server.addr()),
        Running::start(&open, &server.addr()),
    ];
    known(&open, id, 10, 1).await;
    add(&server, &event(&text, "A", "W1", 1, 99)).await;
    add(&server, &event(&text, "A", "W2", 3, 5)).await;
    known(&open, id, 15, 2).await;
    // An event without an envelope or a time of its own: the entry has one.
    let mut alone = event(&text, "A", "W3", 1, 1)["data"].clone();
    alone["newField"] = json!(1);
    add(&server, &alone).await;
    known(&open, id, 16, 3).await;
    eventually("all is acknowledged", async || pending(&server).await == 0).await;
    assert_eq!(server.ask::<i64>(&["EXISTS", DEAD]).await, 0);
    for consumer in consumers {
        consumer.stop().await;
    }
    let members: Vec<::redis::Value> = server.ask(&["XINFO", "CONSUMERS", STREAM, GROUP]).await;
    assert!(members.is_empty(), "{members:?}");
}

#[tokio::test]
async fn bad_entries_are_dead_at_once_with_their_reason() {
    if !installed() {
        return;
    }
    let (open, server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    let text = id.to_string();
    let consumer = Running::start(&open, &server.addr());
    let mut bad = event(&text, "A", "W1", 1, 1);
    bad["data"]["data"]["reserved"] = json!(-5);
    add(&server, &bad).await;
    server
        .ask::<String>(&["XADD", STREAM, "*", "other", "x"])
        .await;
    server
        .ask::<String>(&["XADD", STREAM, "*", "data", "no JSON"])
        .await;
    add(
        &server,
        &event("prod_01hm6xkqz0e8s8a3kq5w2v9t4c", "A", "W1", 1, 1),
    )
    .await;
    add(&server, &event(&text, "A", "W1", 2, 7)).await;
    known(&open, id, 7, 1).await;
    eventually("all is acknowledged", async || pending(&server).await == 0).await;
    let mut dead = dead(&server).await;
    assert_eq!(dead.len(), 4);
    let field = |fields: &Fields, name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    dead.sort_by_key(|(_, fields)| field(fields, "entry"));
    let reasons: Vec<_> = dead
        .iter()
        .map(|(_, fields)| field(fields, "reason"))
        .collect();
    assert!(reasons[0].starts_with("data.reserved: "), "{reasons:?}");
    assert_eq!(reasons[1], "The entry has no field `data`");
    assert!(
        reasons[2].starts_with("The event is not JSON"),
        "{reasons:?}"
    );
    assert!(reasons[3].starts_with("Product not found"), "{reasons:?}");
    assert_eq!(field(&dead[0].1, "data"), bad.to_string(), "as it came");
    assert_eq!(field(&dead[0].1, "metadata"), r#"{"a":"b"}"#);
    assert_eq!(field(&dead[0].1, "attempts"), "1");
    consumer.stop().await;
}

#[tokio::test]
async fn what_a_dead_consumer_left_another_one_claims() {
    if !installed() {
        return;
    }
    let (open, server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    add(&server, &event(&id.to_string(), "A", "W1", 1, 8)).await;
    server
        .ask::<()>(&["XGROUP", "CREATE", STREAM, GROUP, "0"])
        .await;
    // It took the entry and died.
    let read = ["XREADGROUP", "GROUP", GROUP, "dead", "STREAMS", STREAM, ">"];
    server.ask::<::redis::Value>(&read).await;
    assert_eq!(pending(&server).await, 1);
    let consumer = Running::start(&open, &server.addr());
    known(&open, id, 8, 1).await;
    eventually("it is acknowledged", async || pending(&server).await == 0).await;

    // One that ends whoever takes it is not taken for ever.
    add(&server, &event(&id.to_string(), "A", "W1", 2, 9)).await;
    known(&open, id, 9, 1).await;
    consumer.stop().await;
    add(&server, &event(&id.to_string(), "A", "W1", 3, 10)).await;
    let taken: Vec<(String, Vec<(String, Fields)>)> = server.ask(&read).await;
    let entry = &taken[0].1[0].0;
    let claim = [
        "XCLAIM",
        STREAM,
        GROUP,
        "dead",
        "0",
        entry,
        "RETRYCOUNT",
        "10",
    ];
    server.ask::<::redis::Value>(&claim).await;
    let consumer = Running::start(&open, &server.addr());
    eventually("it is dead", async || dead(&server).await.len() == 1).await;
    let (_, fields) = dead(&server).await.remove(0);
    assert!(
        fields
            .iter()
            .any(|(name, value)| name == "reason" && value.contains("never done")),
        "{fields:?}"
    );
    assert_eq!(open.product(id).await.availability, totals(9, 1));
    consumer.stop().await;
}

#[tokio::test]
async fn a_redis_that_loses_everything_is_survived() {
    if !installed() {
        return;
    }
    let (open, mut server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    let text = id.to_string();
    let consumer = Running::start(&open, &server.addr());
    add(&server, &event(&text, "A", "W1", 1, 1)).await;
    known(&open, id, 1, 1).await;
    server.ask::<()>(&["FLUSHALL"]).await;
    add(&server, &event(&text, "A", "W1", 2, 2)).await;
    known(&open, id, 2, 1).await;
    server.start_again();
    add(&server, &event(&text, "A", "W1", 3, 3)).await;
    known(&open, id, 3, 1).await;
    server.pause();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume();
    add(&server, &event(&text, "A", "W1", 4, 4)).await;
    known(&open, id, 4, 1).await;
    consumer.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    if !installed() {
        return;
    }
    let (open, server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    let text = id.to_string();
    let consumers = [
        Running::start(&open, &server.addr()),
        Running::start(&open, &server.addr()),
    ];
    add(&server, &event(&text, "A", "W1", 1, 1)).await;
    known(&open, id, 1, 1).await;
    open.database.shut().await;
    for second in 2..6 {
        add(&server, &event(&text, "A", "W1", second, second)).await;
    }
    eventually("some are in hand", async || pending(&server).await > 0).await;
    // Longer than entries wait to be claimed, and than any number of attempts.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(pending(&server).await > 0);
    open.database.open().await;
    known(&open, id, 5, 1).await;
    eventually("all is acknowledged", async || pending(&server).await == 0).await;
    assert_eq!(
        server.ask::<i64>(&["EXISTS", DEAD]).await,
        0,
        "no event is to blame"
    );
    for consumer in consumers {
        consumer.stop().await;
    }
}

#[tokio::test]
async fn a_fault_is_tried_some_times_and_blocks_no_other() {
    if !installed() {
        return;
    }
    let (open, server) = (open().await, Server::start(&[]));
    let id = open.create("A").await;
    let text = id.to_string();
    // A table that refuses one warehouse stands for a fault of the service.
    let refuse = "ALTER TABLE inventory ADD CONSTRAINT fault CHECK (warehouse_id <> 'W2')";
    sqlx::raw_sql(AssertSqlSafe(refuse))
        .execute(&open.pool)
        .await
        .unwrap();
    let consumer = Running::start(&open, &server.addr());
    add(&server, &event(&text, "A", "W2", 1, 1)).await;
    add(&server, &event(&text, "A", "W1", 1, 3)).await;
    known(&open, id, 3, 1).await;
    eventually("it is dead", async || dead(&server).await.len() == 1).await;
    let (_, fields) = dead(&server).await.remove(0);
    assert!(
        fields.contains(&("attempts".to_owned(), "3".to_owned())),
        "{fields:?}"
    );
    assert!(
        fields
            .iter()
            .any(|(name, value)| name == "reason" && value.contains("fault")),
        "{fields:?}"
    );
    eventually("all is acknowledged", async || pending(&server).await == 0).await;
    consumer.stop().await;
}

#[tokio::test]
async fn a_cluster_will_do() {
    if !installed() {
        return;
    }
    let (open, cluster) = (open().await, Cluster::start().await);
    let id = open.create("A").await;
    let consumer = Running::start(&open, &cluster.addr());
    let redis = client(&cluster.addr());
    for event in [
        json!({"specversion": "1.0"}),
        event(&id.to_string(), "A", "W1", 1, 4),
    ] {
        let mut command = ::redis::cmd("XADD");
        command
            .arg(STREAM)
            .arg("*")
            .arg("data")
            .arg(event.to_string());
        redis.command(STREAM, &command).await.unwrap();
    }
    known(&open, id, 4, 1).await;
    // The dead letter stream may be on another node.
    eventually("the other is dead", async || {
        let mut command = ::redis::cmd("XLEN");
        command.arg(DEAD);
        redis.command(DEAD, &command).await.unwrap() == ::redis::Value::Int(1)
    })
    .await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_of_the_service_shows_what_one_heard() {
    if !installed() {
        return;
    }
    let server = Arc::new(Server::start(&[]));
    let addr = server.addr();
    let variables = [("AUTO_MIGRATE", "true"), ("REDIS_ADDR", addr.as_str())];
    let service = Service::start_with(&variables).await;
    service.ready().await;
    let replica = service.replica(&variables);
    replica.ready().await;
    let token = service.token("catalog:read catalog:write");
    let body = json!({"sku": "A", "name": "x"});
    let created = service
        .json(http::Method::POST, "/v1/catalog/products", &token, &body)
        .await;
    let product = created.body()["data"]["product"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/catalog/products/{product}");
    for second in 1..4 {
        add(&server, &event(&product, "A", "W1", second, second * 10)).await;
        for instance in [&service, &replica] {
            eventually("it is shown", async || {
                let answer = instance.get(&path, &token).await;
                answer.body()["data"]["product"]["availability"]["quantity"] == second * 10
            })
            .await;
        }
    }
}
