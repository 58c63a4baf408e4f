//! What has changed reaches the index, whatever happens meanwhile.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;

/// As many products without events, as an import by hand makes them.
async fn import(searched: &Searched, from: usize, to: usize) {
    searched
        .execute(&format!(
            "INSERT INTO products (id, sku, name)
             SELECT format('01942ec3-c5b1-7a8e-9f3c-%s', lpad(n::text, 12, '0'))::uuid, 'S' || n, 'Imported'
               FROM generate_series({from}, {to}) AS n"
        ))
        .await;
}

async fn count(searched: &Searched, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&searched.pool)
        .await
        .unwrap()
}

/// Where the row of a document stands, which another version of it changes.
async fn place(searched: &Searched) -> String {
    sqlx::query_scalar("SELECT ctid::text FROM product_search")
        .fetch_one(&searched.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn changes_reach_the_index() {
    let searched = open().await;
    searched.settle().await;
    let product = searched
        .create(NewProduct {
            category: Some(Category::parse("old").unwrap()),
            ..new("P", "First")
        })
        .await;
    assert!(searched.find("first").await.is_empty(), "not yet");
    assert_eq!(searched.index.advance().await.unwrap(), IndexMove::Done);
    assert_eq!(searched.find("first").await, ["P"]);

    let patch = ProductPatch {
        name: Some(ProductName::parse("Second").unwrap()),
        category: Some(Some(Category::parse("new").unwrap())),
        ..Default::default()
    };
    searched
        .catalog
        .update(cause(), product.id, patch)
        .await
        .unwrap();
    searched.settle().await;
    assert!(searched.find("first").await.is_empty());
    assert_eq!(searched.find("second").await, ["P"]);
    assert_eq!(searched.page("second", 1, Some("old"), None).await.1, 0);
    assert_eq!(searched.page("second", 1, Some("new"), None).await.1, 1);

    // What no word changes by leaves the document as it is.
    let stays = place(&searched).await;
    let patch = ProductPatch {
        status: Some(ProductStatus::Inactive),
        ..Default::default()
    };
    searched
        .catalog
        .update(cause(), product.id, patch)
        .await
        .unwrap();
    searched.settle().await;
    assert_eq!(place(&searched).await, stays);

    searched.catalog.delete(cause(), product.id).await.unwrap();
    // Not shown any more, although the index does not know yet.
    assert_eq!(searched.page("second", 1, None, None).await, (vec![], 1));
    searched.settle().await;
    assert_eq!(searched.page("second", 1, None, None).await, (vec![], 0));
    assert_eq!(
        count(&searched, "SELECT count(*) FROM product_search").await,
        0
    );
}

#[tokio::test]
async fn a_change_that_commits_late_is_not_missed() {
    let searched = open().await;
    searched.create(new("EARLY", "Thing")).await;
    searched.settle().await;
    let mut late = searched.pool.begin().await.unwrap();
    sqlx::query(
        "WITH product AS (INSERT INTO products (sku, name) VALUES ('LATE', 'Thing') RETURNING id)
         INSERT INTO outbox (id, topic, event_type, payload, product_id, product_version, listed_before, listed_after, created_at)
         SELECT gen_random_uuid(), 't', 't', '{}', id, 1, false, true, now() FROM product",
    )
    .execute(&mut *late)
    .await
    .unwrap();
    // It has its number by now, and others go past it; also while it is on the way.
    for number in 0..7 {
        searched.create(new(&format!("P{number}"), "Thing")).await;
    }
    let slow = searched.index.clone().with_batch(2);
    let more = IndexMove::More { changes: true };
    assert_eq!(slow.advance().await.unwrap(), more);
    assert_eq!(slow.advance().await.unwrap(), more);
    late.commit().await.unwrap();
    while slow.advance().await.unwrap() != IndexMove::Done {}
    assert_eq!(searched.find("late").await, ["LATE"]);
    searched.assert_complete().await;
}

#[tokio::test]
async fn an_interrupted_first_indexing_goes_on() {
    let searched = open().await;
    import(&searched, 1, 25).await;
    let part = || searched.index.clone().with_batch(10);
    let unread = IndexMove::More { changes: false };
    assert_eq!(part().advance().await.unwrap(), unread);
    assert_eq!(searched.find("s16").await, ["S16"], "the newest first");
    assert!(searched.find("s15").await.is_empty());
    // A move that dies half-way leaves nothing.
    let mut dies = searched.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM product_search_position FOR UPDATE")
        .execute(&mut *dies)
        .await
        .unwrap();
    assert_eq!(part().advance().await.unwrap(), IndexMove::NotOurs);
    sqlx::query("UPDATE product_search_position SET unread_below = NULL")
        .execute(&mut *dies)
        .await
        .unwrap();
    drop(dies);
    // Meanwhile products come, change and go on both sides of where it stands.
    let id = |number: u128| {
        let first = 0x0194_2ec3_c5b1_7a8e_9f3c_0000_0000_0000_u128;
        // Twelve decimal digits, read as hexadecimal ones.
        let digits = u128::from_str_radix(&number.to_string(), 16).unwrap();
        ProductId::new(uuid::Uuid::from_u128(first + digits))
    };
    for (changed, deleted) in [(3, 4), (20, 21)] {
        let patch = ProductPatch {
            name: Some(ProductName::parse("Changed").unwrap()),
            ..Default::default()
        };
        searched
            .catalog
            .update(cause(), id(changed), patch)
            .await
            .unwrap();
        searched.catalog.delete(cause(), id(deleted)).await.unwrap();
    }
    searched.create(new("NEW", "Thing")).await;
    while part().advance().await.unwrap() != IndexMove::Done {}
    searched.assert_complete().await;
    assert_eq!(searched.find("changed").await, ["S20", "S3"]);
    assert_eq!(searched.page("imported", 1, None, None).await.1, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_share_the_work() {
    let searched = Arc::new(open().await);
    import(&searched, 1, 300).await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let searched = searched.clone();
        writers.spawn(async move {
            for number in 0..30 {
                let sku = format!("W{writer}-{number}");
                let product = searched.create(new(&sku, "Thing")).await;
                let patch = ProductPatch {
                    name: Some(ProductName::parse(format!("Renamed {number}")).unwrap()),
                    ..Default::default()
                };
                if number % 3 > 0 {
                    let changed = searched.catalog.update(cause(), product.id, patch);
                    changed.await.unwrap();
                }
                if number % 3 > 1 {
                    searched.catalog.delete(cause(), product.id).await.unwrap();
                }
            }
        });
    }
    let mut indexers = JoinSet::new();
    for batch in [3, 7, 20] {
        let index = searched.index.clone().with_batch(batch);
        indexers.spawn(async move {
            // Until the task is ended.
            loop {
                index.advance().await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    indexers.shutdown().await;
    // The last transaction of one that was ended is rolled back a moment later.
    while searched.index.advance().await.unwrap() != IndexMove::Done {
        tokio::task::yield_now().await;
    }
    searched.assert_complete().await;
    assert_eq!(searched.page("renamed", 1, None, None).await.1, 40);
}

#[tokio::test]
async fn events_that_were_removed_unread_have_all_indexed_anew() {
    let searched = open().await;
    searched.create(new("A", "Thing")).await;
    // Until the transactions are over that other tests had under way at the time: they might have left events too.
    let passed = "SELECT count(*) FROM product_search_position
                   WHERE pg_snapshot_xmin(after) > (SELECT max(xid) FROM outbox)";
    while count(&searched, passed).await == 0 {
        searched.settle().await;
    }
    let anew = "SELECT count(*) FROM product_search_position WHERE unread_below IS NOT NULL";
    // Those that were read may go.
    assert_eq!(searched.prune().await, 1);
    assert_eq!(searched.index.advance().await.unwrap(), IndexMove::Done);
    assert_eq!(count(&searched, anew).await, 0);
    // While nothing was indexed, one went that was not.
    searched.create(new("B", "Thing")).await;
    assert_eq!(searched.prune().await, 1);
    searched.create(new("C", "Thing")).await;
    let part = searched.index.clone().with_batch(2);
    let unread = IndexMove::More { changes: false };
    assert_eq!(part.advance().await.unwrap(), unread);
    assert_eq!(count(&searched, anew).await, 1);
    searched.settle().await;
    searched.assert_complete().await;
    assert_eq!(searched.find("thing").await, ["C", "B", "A"]);
}

#[tokio::test]
async fn a_restored_database_is_indexed_anew() {
    let searched = open().await;
    searched.create(new("A", "Thing")).await;
    searched.settle().await;
    // What a dump of a database with many more transactions behind it looks like in this one.
    searched
        .execute(
            "UPDATE product_search_position SET
                 after = (SELECT format('%s:%s:', x, x)::pg_snapshot
                            FROM (SELECT pg_snapshot_xmax(after)::text::bigint + 1000000000 AS x) AS t)",
        )
        .await;
    searched.create(new("B", "Thing")).await;
    assert_eq!(searched.index.advance().await.unwrap(), IndexMove::NotOurs);
    let outbox = PgOutbox::new(searched.pool.clone());
    drop(outbox.claim().await.unwrap().unwrap());
    while searched.index.advance().await.unwrap() != IndexMove::Done {
        tokio::task::yield_now().await;
    }
    searched.assert_complete().await;
    assert_eq!(searched.find("thing").await, ["B", "A"]);
}

#[tokio::test]
async fn reindexing_takes_in_what_was_written_by_hand() {
    let searched = open().await;
    let product = searched.create(new("P", "Thing")).await;
    searched.settle().await;
    import(&searched, 1, 3).await;
    searched
        .execute("UPDATE products SET deleted_at = now() WHERE sku IN ('P', 'S2')")
        .await;
    searched.settle().await;
    assert!(searched.find("imported").await.is_empty());
    searched.index.reindex().await.unwrap();
    searched.assert_complete().await;
    assert_eq!(searched.find("imported").await, ["S3", "S1"]);
    // And what is gone altogether goes by itself.
    searched
        .execute("DELETE FROM products WHERE sku = 'S3'")
        .await;
    searched.assert_complete().await;
    assert_eq!(product.sku.as_str(), "P");
}
