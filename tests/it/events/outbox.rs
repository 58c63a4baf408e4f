//! Events beside their changes, and how they are read.

use catalog_service::domain::*;
use catalog_service::store::counts::Move;
use catalog_service::store::outbox::{Position, TooOld};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::time::Duration;

use super::{cause, new, open};

async fn payloads(events: &super::Events) -> Vec<Value> {
    sqlx::query_scalar("SELECT payload FROM outbox ORDER BY xid, seq")
        .fetch_all(&events.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn events_are_as_the_contract_says() {
    let events = open().await;
    let product = events
        .catalog
        .create(cause(), new("LAPTOP-001"))
        .await
        .unwrap();
    let patch = ProductPatch {
        name: Some(ProductName::parse("Gaming Laptop Pro").unwrap()),
        price: Some(Some(Money {
            amount: Amount::parse("1299.99").unwrap(),
            currency: Currency::parse("USD").unwrap(),
        })),
        category: Some(None),
        status: Some(ProductStatus::Active),
        ..Default::default()
    };
    let changed = events
        .catalog
        .update(cause(), product.id, patch)
        .await
        .unwrap();
    events.catalog.delete(cause(), product.id).await.unwrap();
    let found = payloads(&events).await;
    let metadata = json!({"correlationId": "corr_789", "causationId": "cause_101"});
    let time = |time: time::OffsetDateTime| {
        // Three, six or nine digits, as protobuf's JSON has it.
        let (micros, millis) = (time.microsecond(), time.millisecond());
        let whole = time.replace_nanosecond(0).unwrap();
        let whole = whole.format(&time::format_description::well_known::Rfc3339);
        let fraction = match micros % 1000 {
            0 => format!("{millis:03}"),
            _ => format!("{micros:06}"),
        };
        whole.unwrap().replace('Z', &format!(".{fraction}Z"))
    };
    let id = |event: &Value| {
        let id = event["eventId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("evt_") && id.len() == 30, "{id}");
        id
    };
    assert_eq!(
        found[0],
        json!({
            "eventId": id(&found[0]),
            "eventType": "ProductCreated",
            "version": "1.0",
            "timestamp": time(product.created_at),
            "source": "catalog-service",
            "data": {
                "productId": product.id.to_string(),
                "sku": "LAPTOP-001",
                "name": product.name.as_str(),
                "category": "electronics",
                "warehouse": "WH001",
                "createdBy": "user_456",
                "productVersion": 1,
            },
            "metadata": metadata,
        })
    );
    assert_eq!(
        found[1],
        json!({
            "eventId": id(&found[1]),
            "eventType": "ProductUpdated",
            "version": "1.0",
            "timestamp": time(changed.updated_at),
            "source": "catalog-service",
            "data": {
                "productId": product.id.to_string(),
                "sku": "LAPTOP-001",
                "changes": {
                    "name": {"old": product.name.as_str(), "new": "Gaming Laptop Pro"},
                    "category": {"old": "electronics"},
                    "price": {"old": 999_999_999_999_999.999_9, "new": 1299.99},
                    "status": {"old": "inactive", "new": "active"},
                },
                "updatedBy": "user_456",
                "productVersion": 2,
            },
            "metadata": metadata,
        })
    );
    assert_eq!(found[2]["eventType"], "ProductDeleted");
    assert_eq!(
        found[2]["data"],
        json!({
            "productId": product.id.to_string(),
            "sku": "LAPTOP-001",
            "deletedBy": "user_456",
            "productVersion": 3,
        })
    );
    // The exact amount stands in the text, also where a double could not hold it.
    let text: String =
        sqlx::query_scalar("SELECT payload::text FROM outbox ORDER BY xid, seq OFFSET 1 LIMIT 1")
            .fetch_one(&events.pool)
            .await
            .unwrap();
    assert!(
        text.contains(r#""price":{"old":999999999999999.9999,"new":1299.99}"#),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_changed_makes_no_event() {
    let events = open().await;
    let id = events.create("A").await;
    events.catalog.create(cause(), new("A")).await.unwrap_err();
    events
        .catalog
        .update(cause(), id, ProductPatch::default())
        .await
        .unwrap();
    events.catalog.delete(cause(), id).await.unwrap();
    events.catalog.delete(cause(), id).await.unwrap_err();
    assert_eq!(payloads(&events).await.len(), 2);
}

/// Copies an event, in a transaction that is still open.
async fn late(events: &super::Events, name: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut transaction = events.pool.begin().await.unwrap();
    let columns =
        "topic, product_id, product_version, listed_before, listed_after, payload, created_at";
    let sql = format!(
        "INSERT INTO outbox (id, event_type, {columns})
         SELECT gen_random_uuid(), '{name}', {columns} FROM outbox LIMIT 1"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_missed() {
    let events = open().await;
    let start = events.outbox.end().await.unwrap();
    events.create("A").await;
    let (first, second) = (late(&events, "first").await, late(&events, "second").await);
    events.create("B").await;
    let types = |batch: &catalog_service::store::outbox::Batch| -> Vec<String> {
        batch
            .events
            .iter()
            .map(|event| event.message.as_ref().unwrap().event_type.clone())
            .collect()
    };
    // Also when the reader goes by single events, and starts again from the text of its position each time.
    let mut position = start;
    let mut seen = Vec::new();
    for commit in [None, Some(second), Some(first)] {
        if let Some(transaction) = commit {
            transaction.commit().await.unwrap();
        }
        loop {
            let batch = events.outbox.read(&position, 1).await.unwrap();
            position = batch.end().to_string().parse::<Position>().unwrap();
            seen.extend(types(&batch));
            if !batch.more {
                break;
            }
        }
    }
    assert_eq!(
        seen,
        ["ProductCreated", "ProductCreated", "second", "first"]
    );
    assert!(
        events
            .outbox
            .read(&position, 10)
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

#[tokio::test]
async fn old_events_are_removed_when_they_are_published() {
    let events = open().await;
    let start = events.outbox.end().await.unwrap();
    events.create("A").await;
    events.create("B").await;
    assert_eq!(
        events.outbox.prune(Duration::ZERO, 100).await.unwrap(),
        0,
        "not published yet"
    );
    let mut turn = events.outbox.claim().await.unwrap().unwrap();
    let batch = turn.read(10).await.unwrap();
    assert_eq!(batch.events.len(), 2);
    turn.commit(&batch.end()).await.unwrap();
    assert_eq!(
        events
            .outbox
            .prune(Duration::from_hours(1), 100)
            .await
            .unwrap(),
        0,
        "not old yet"
    );
    assert_eq!(events.outbox.check(&start).await.unwrap(), Ok(()));
    assert_eq!(
        events.outbox.prune(Duration::ZERO, 100).await.unwrap(),
        0,
        "not counted yet"
    );
    events.counts.advance().await.unwrap();
    assert_eq!(events.outbox.prune(Duration::ZERO, 100).await.unwrap(), 2);
    assert_eq!(events.outbox.check(&start).await.unwrap(), Err(TooOld));
    // One that begins now misses nothing, unless transactions of other databases end just between.
    let mut checked = Err(TooOld);
    for _ in 0..20 {
        let end = events.outbox.end().await.unwrap();
        checked = checked.or(events.outbox.check(&end).await.unwrap());
    }
    assert_eq!(checked, Ok(()));
}

#[tokio::test]
async fn positions_are_read_as_they_are_written() {
    let events = open().await;
    let end = events.outbox.end().await.unwrap();
    assert_eq!(end.to_string().parse::<Position>().unwrap(), end);
    for text in ["10:20:11,15", "10:10:", "5:9:5/7:12:7,9/8/3"] {
        assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "x",
        "10",
        "10:20",
        "0:1:",
        "20:10:",
        "10:20:9",
        "10:20:20",
        "10:20:15,11",
        "10:20:11,11",
        "10:20:,",
        "10:20:x",
        "-1:5:",
        "10:20:11:",
        "10:20:/10:20:",
        "10:20:/10:20:/1",
        "10:20:/10:20:/1/-1",
        "10:20:/10:20:/1/1/1",
        "10:99999999999999999999:",
        "10:18446744073709551615:",
        "'; DROP TABLE outbox; --",
    ] {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_restored_database_publishes_what_was_not() {
    let events = open().await;
    events.create("A").await;
    let mut turn = events.outbox.claim().await.unwrap().unwrap();
    let batch = turn.read(10).await.unwrap();
    turn.commit(&batch.end()).await.unwrap();
    let old = events.create("B").await;
    // What a dump of a database with many more transactions behind it looks like in this one.
    for sql in [
        "UPDATE outbox_relay SET published_at = now() - interval '1 hour', pruned = '7',
             after = (SELECT format('%s:%s:', x, x)::pg_snapshot FROM (SELECT pg_snapshot_xmax(after)::text::bigint + 1000000000 AS x) AS t),
             upto = (SELECT format('%s:%s:', x, x)::pg_snapshot FROM (SELECT pg_snapshot_xmax(after)::text::bigint + 1000000000 AS x) AS t)",
        "UPDATE product_counts_position SET
             after = (SELECT format('%s:%s:', x, x)::pg_snapshot FROM (SELECT pg_snapshot_xmax(after)::text::bigint + 1000000000 AS x) AS t)",
        "UPDATE outbox SET xid = (xid::text::bigint + 1000000000)::text::xid8, created_at = created_at - interval '2 hours'
          WHERE seq = (SELECT min(seq) FROM outbox)",
        "UPDATE outbox SET xid = (xid::text::bigint + 1000001000)::text::xid8 WHERE seq = (SELECT max(seq) FROM outbox)",
    ] {
        sqlx::query(sql).execute(&events.pool).await.unwrap();
    }
    let new = events.create("C").await;
    let mut turn = events.outbox.claim().await.unwrap().unwrap();
    let batch = turn.read(10).await.unwrap();
    let found: Vec<_> = batch.events.iter().map(|event| event.product_id).collect();
    assert_eq!(found, [old, new]);
    turn.commit(&batch.end()).await.unwrap();
    let mut turn = events.outbox.claim().await.unwrap().unwrap();
    assert!(turn.read(10).await.unwrap().events.is_empty());
    // The counts are of this database too, also after they were moved on.
    for expected in [3, 4] {
        let query = ListQuery::parse(ListQuery::MAX_LIMIT, None, None, None, None, None).unwrap();
        assert_eq!(events.catalog.list(&query).await.unwrap().total, expected);
        assert_eq!(events.counts.advance().await.unwrap(), Move::Done);
        assert_eq!(events.catalog.list(&query).await.unwrap().total, expected);
        events.create(&format!("D{expected}")).await;
    }
}
