//! Products are found by their words.

mod index;
mod service;

use std::time::Duration;

use catalog_service::domain::*;
use catalog_service::store::search_index::IndexMove;
use catalog_service::store::{Bell, PgCounts, PgOutbox, PgProducts, PgSearchIndex};
use catalog_service::system::SystemEnvironment;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::store::cause;
use crate::support::postgres::{Database, migrated};

/// A catalog whose index is moved on when a test says so.
struct Searched {
    _database: Database,
    pool: PgPool,
    products: PgProducts,
    catalog: Catalog<PgProducts, SystemEnvironment>,
    index: PgSearchIndex,
}

async fn open() -> Searched {
    let (database, pool) = migrated().await;
    let products = PgProducts::new(pool.clone(), Bell::default());
    Searched {
        _database: database,
        catalog: Catalog::new(products.clone(), SystemEnvironment),
        products,
        index: PgSearchIndex::new(pool.clone()),
        pool,
    }
}

fn new(sku: &str, name: &str) -> NewProduct {
    NewProduct {
        sku: Sku::parse(sku).unwrap(),
        name: ProductName::parse(name).unwrap(),
        description: None,
        category: None,
        brand: None,
        attributes: None,
        price: None,
        warehouse: None,
        status: ProductStatus::Active,
    }
}

fn attributes(value: &Value) -> Option<Attributes> {
    Some(Attributes::parse(value.as_object().unwrap().clone()).unwrap())
}

fn query(
    text: &str,
    page: Option<i32>,
    category: Option<&str>,
    warehouse: Option<&str>,
) -> Result<SearchQuery> {
    SearchQuery::parse(
        ListQuery::MAX_LIMIT,
        text,
        page,
        Some(10),
        category,
        warehouse,
    )
}

impl Searched {
    async fn create(&self, new: NewProduct) -> Product {
        self.catalog.create(cause(), new).await.unwrap()
    }

    /// Takes in all there is.
    async fn settle(&self) {
        while self.index.advance().await.unwrap() != IndexMove::Done {}
    }

    async fn page(
        &self,
        text: &str,
        page: i32,
        category: Option<&str>,
        warehouse: Option<&str>,
    ) -> (Vec<String>, i64) {
        let query = query(text, Some(page), category, warehouse).unwrap();
        let page = self.products.search(&query).await.unwrap();
        assert_eq!(page.next, None);
        let skus = page.items.into_iter().map(|item| item.sku.into_string());
        (skus.collect(), page.total)
    }

    /// The SKUs of the products that are found.
    async fn find(&self, text: &str) -> Vec<String> {
        let (skus, total) = self.page(text, 1, None, None).await;
        assert_eq!(i64::try_from(skus.len()).unwrap(), total.min(10), "{text}");
        skus
    }

    /// Panics unless the index holds what the products say, no more and no less.
    async fn assert_complete(&self) {
        let wrong: i64 = sqlx::query_scalar(
            "SELECT count(*)
               FROM (SELECT id, search_document(products) AS document FROM products WHERE deleted_at IS NULL) AS product
               FULL JOIN product_search AS search ON search.product_id = product.id
              WHERE search.document IS DISTINCT FROM product.document",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(wrong, 0, "documents that are missing, wrong or left over");
    }

    /// Publishes all events, and removes them.
    async fn prune(&self) -> u64 {
        let outbox = PgOutbox::new(self.pool.clone());
        let mut turn = outbox.claim().await.unwrap().unwrap();
        let batch = turn.read(1000).await.unwrap();
        turn.commit(&batch.end()).await.unwrap();
        PgCounts::new(self.pool.clone()).advance().await.unwrap();
        outbox.prune(Duration::ZERO, 1000).await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_best_match_comes_first() {
    let searched = open().await;
    searched
        .create(NewProduct {
            attributes: attributes(&json!({"goes with": "any laptop"})),
            ..new("BAG", "Bag")
        })
        .await;
    searched
        .create(NewProduct {
            description: Some(Description::parse("A stand for a laptop").unwrap()),
            ..new("STAND", "Stand")
        })
        .await;
    searched
        .create(NewProduct {
            category: Some(Category::parse("laptop").unwrap()),
            ..new("SLEEVE", "Sleeve")
        })
        .await;
    searched.create(new("OLD", "Laptop")).await;
    searched.create(new("NEW", "Laptop")).await;
    searched.create(new("DESK", "Laptops to the desk")).await;
    searched.settle().await;
    let best = ["NEW", "OLD", "DESK", "SLEEVE", "STAND", "BAG"];
    assert_eq!(searched.find("laptop").await, best);
    // What is not finished yet finds the same, where no word is better than another.
    let begun = searched.find("lap").await;
    assert_eq!(begun[..3], ["DESK", "NEW", "OLD"]);
    assert_eq!(begun.len(), 6);
}

#[tokio::test]
async fn words_are_found_wherever_they_stand() {
    let searched = open().await;
    let laptop = NewProduct {
        description: Some(Description::parse("Fast: it's over 9000! see a/b").unwrap()),
        category: Some(Category::parse("electronics").unwrap()),
        brand: Some(Brand::parse("Überfirma").unwrap()),
        attributes: attributes(&json!({
            "color": "Silver", "weight": 2718, "deep": [[{"hidden": ["512GB SSD", null]}]],
        })),
        warehouse: Some(Warehouse::parse("WH001").unwrap()),
        ..new("LAPTOP-001", "Gaming Ноутбук ÄÖ 電腦")
    };
    searched.create(laptop).await;
    searched.settle().await;
    for found in [
        "laptop",
        "001",
        "laptop-001",
        "LAPTOP_001",
        "gaming lap",
        "001 fast",
        "ноут",
        "НОУТБУК",
        "äö",
        "überFIRMA",
        "ÜBER",
        "電",
        "silver",
        "512gb",
        "ssd 512gb",
        "it's over",
        "9000",
        "electronics",
        "  <b>gaming</b>  ",
        "gaming ½ 🙂",
    ] {
        assert_eq!(searched.find(found).await, ["LAPTOP-001"], "{found}");
    }
    for missed in [
        "gam laptop",
        "aptop",
        "laptop 002",
        "color",
        "2718",
        "hidden",
        // Where it is, is a filter.
        "wh001",
        // Which no parser takes for a word.
        "½",
    ] {
        assert!(searched.find(missed).await.is_empty(), "{missed}");
    }
}

#[tokio::test]
async fn filters_are_exact_whatever_they_say() {
    let searched = open().await;
    let categories = [r"it's", r"a\b", "A", "a", "x | y:* & 'z", "=a"];
    for (number, category) in categories.iter().enumerate() {
        searched
            .create(NewProduct {
                category: Some(Category::parse(*category).unwrap()),
                warehouse: Some(Warehouse::parse(format!("W'{}", number % 2)).unwrap()),
                ..new(&format!("P{number}"), "Thing")
            })
            .await;
    }
    searched.create(new("NONE", "Thing")).await;
    searched.settle().await;
    for (number, category) in categories.iter().enumerate() {
        let sku = format!("P{number}");
        let found = searched.page("thing", 1, Some(category), None).await;
        assert_eq!(found, (vec![sku.clone()], 1), "{category}");
        let there = format!("W'{}", number % 2);
        let found = searched
            .page("thing", 1, Some(category), Some(&there))
            .await;
        assert_eq!(found, (vec![sku], 1), "{category}");
        let elsewhere = format!("W'{}", 1 - number % 2);
        let found = searched
            .page("thing", 1, Some(category), Some(&elsewhere))
            .await;
        assert_eq!(found, (vec![], 0), "{category}");
    }
    let found = searched.page("thing", 1, None, Some("W'0")).await;
    assert_eq!(found.0, ["P4", "P2", "P0"]);
    assert_eq!(searched.page("other", 1, Some("a"), None).await.1, 0);
    assert_eq!(searched.find("thing").await.len(), 7);
}

#[tokio::test]
async fn pages_end_with_the_thousandth_match() {
    let searched = open().await;
    searched
        .execute(
            "INSERT INTO products (id, sku, name, description)
             SELECT format('01942ec3-c5b1-7a8e-9f3c-%s', lpad(n::text, 12, '0'))::uuid, 'S' || n, 'Thing',
                    CASE WHEN n <= 25 THEN 'rare' END
               FROM generate_series(1, 1100) AS n",
        )
        .await;
    searched.settle().await;
    let skus = |from: i32, to: i32| (to..=from).rev().map(|n| format!("S{n}")).collect();
    assert_eq!(
        searched.page("rare", 1, None, None).await,
        (skus(25, 16), 25)
    );
    assert_eq!(searched.page("rare", 3, None, None).await, (skus(5, 1), 25));
    assert_eq!(searched.page("rare", 4, None, None).await, (vec![], 25));
    assert_eq!(
        searched.page("thing", 100, None, None).await,
        (skus(110, 101), 1000)
    );
    assert_eq!(
        searched.page("thing", 101, None, None).await,
        (vec![], 1000)
    );
    let page = searched.page("thing", i32::MAX, None, None).await;
    assert_eq!(page, (vec![], 1000));
}

#[tokio::test]
async fn nothing_that_is_typed_is_an_operator() {
    let searched = open().await;
    searched.create(new("P", "Thing")).await;
    searched.settle().await;
    let text = prop_oneof![
        "\\PC{0,40}",
        "[ '\\\\&|!:*()<>\"a1-]{1,30}",
        "[a-z0-9.@/:?&=_<>-]{1,60}",
        any::<String>(),
    ];
    let filter = prop_oneof![
        Just(None),
        "[ '\\\\&|!:*()<>a]{1,20}".prop_map(Some),
        "\\PC{1,20}".prop_map(Some)
    ];
    let mut runner = TestRunner::default();
    let mut searches = 0;
    for _ in 0..500 {
        let (text, category, warehouse) = (&text, &filter, &filter)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        match query(&text, None, category.as_deref(), warehouse.as_deref()) {
            Ok(query) => {
                searches += 1;
                let found = searched.products.search(&query).await;
                assert!(found.is_ok(), "{query:?}: {found:?}");
            }
            Err(error) => assert!(matches!(error, Error::InvalidParameters(_)), "{text:?}"),
        }
    }
    assert!(searches > 200, "{searches}");
}
