//! Totals and pages of lists while products come, move and go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use catalog_service::domain::*;
use catalog_service::store::counts::Move;
use catalog_service::store::postgres::{PoolSettings, pool};
use catalog_service::store::{Bell, PgCounts, PgOutbox, PgProducts};
use catalog_service::system::SystemEnvironment;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Products, cause, new, open};
use crate::support::program;

const CATEGORIES: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
const WAREHOUSES: [Option<&str>; 3] = [None, Some("W1"), Some("W2")];

/// One change of a product, which its number says of those that are there.
#[derive(Clone, Debug)]
enum Step {
    Create(usize, usize),
    Move(usize, usize, usize),
    Delete(usize),
    Advance,
    Prune,
    Recount,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_usize..4, 0_usize..3).prop_map(|(c, w)| Step::Create(c, w)),
        4 => (0_usize..99, 0_usize..4, 0_usize..3).prop_map(|(n, c, w)| Step::Move(n, c, w)),
        2 => (0_usize..99).prop_map(Step::Delete),
        3 => Just(Step::Advance),
        1 => Just(Step::Prune),
        1 => Just(Step::Recount),
    ]
}

/// Changes products as some steps say.
struct Writer {
    name: String,
    catalog: Arc<Products>,
    pool: PgPool,
    products: Vec<(ProductId, usize, usize)>,
    made: usize,
}

impl Writer {
    async fn take(&mut self, step: Step) {
        let category = |n: usize| CATEGORIES[n].map(|text| Category::parse(text).unwrap());
        let warehouse = |n: usize| WAREHOUSES[n].map(|text| Warehouse::parse(text).unwrap());
        match step {
            Step::Create(c, w) => {
                self.made += 1;
                let new = NewProduct {
                    category: category(c),
                    warehouse: warehouse(w),
                    ..new(&format!("{}-{}", self.name, self.made))
                };
                let product = self.catalog.create(cause(), new).await.unwrap();
                self.products.push((product.id, c, w));
            }
            Step::Move(n, c, w) if !self.products.is_empty() => {
                let n = n % self.products.len();
                let patch = ProductPatch {
                    category: Some(category(c)),
                    warehouse: Some(warehouse(w)),
                    ..Default::default()
                };
                let id = self.products[n].0;
                self.catalog.update(cause(), id, patch).await.unwrap();
                self.products[n] = (id, c, w);
            }
            Step::Delete(n) if !self.products.is_empty() => {
                let (id, ..) = self.products.swap_remove(n % self.products.len());
                self.catalog.delete(cause(), id).await.unwrap();
            }
            Step::Move(..) | Step::Delete(_) => {}
            Step::Advance => {
                PgCounts::new(self.pool.clone()).advance().await.unwrap();
            }
            Step::Recount => PgCounts::new(self.pool.clone()).recount().await.unwrap(),
            Step::Prune => {
                let outbox = PgOutbox::new(self.pool.clone());
                if let Some(mut turn) = outbox.claim().await.unwrap() {
                    let batch = turn.read(1000).await.unwrap();
                    turn.commit(&batch.end()).await.unwrap();
                }
                outbox.prune(Duration::ZERO, 1000).await.unwrap();
            }
        }
    }
}

/// Panics unless the total of each filter is how many products it has.
async fn assert_totals(catalog: &Products, products: &[(ProductId, usize, usize)], when: &str) {
    for (c, &category) in CATEGORIES.iter().enumerate() {
        for (w, &warehouse) in WAREHOUSES.iter().enumerate() {
            let there = |&&(_, pc, pw): &&(ProductId, usize, usize)| {
                (c == 0 || pc == c) && (w == 0 || pw == w)
            };
            let query = ListQuery::parse(
                ListQuery::MAX_LIMIT,
                None,
                Some(1),
                category,
                warehouse,
                None,
            )
            .unwrap();
            let total = catalog.list(&query).await.unwrap().total;
            let expected = products.iter().filter(there).count();
            assert_eq!(
                total,
                i64::try_from(expected).unwrap(),
                "{category:?} {warehouse:?} {when}"
            );
        }
    }
}

fn steps(count: usize, runs: usize) -> Vec<Vec<Step>> {
    let mut runner = TestRunner::default();
    let strategy = proptest::collection::vec(step(), count);
    (0..runs)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[tokio::test]
async fn one_writer_always_sees_the_right_totals() {
    let (_database, pool, catalog) = open().await;
    let mut writer = Writer {
        name: "one".to_owned(),
        catalog: Arc::new(catalog),
        pool,
        products: Vec::new(),
        made: 0,
    };
    let mut done = Vec::new();
    for step in steps(80, 1).remove(0) {
        done.push(step.clone());
        writer.take(step).await;
        assert_totals(&writer.catalog, &writer.products, &format!("{done:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_end_with_the_right_totals() {
    let (_database, pool, catalog) = open().await;
    let catalog = Arc::new(catalog);
    let plans = steps(60, 6);
    let printed = format!("{plans:?}");
    let writers: Vec<_> = plans
        .into_iter()
        .enumerate()
        .map(|(n, plan)| {
            let mut writer = Writer {
                name: format!("w{n}"),
                catalog: catalog.clone(),
                pool: pool.clone(),
                products: Vec::new(),
                made: 0,
            };
            tokio::spawn(async move {
                for step in plan {
                    writer.take(step).await;
                }
                writer.products
            })
        })
        .collect();
    let mut products = Vec::new();
    for writer in writers {
        products.extend(writer.await.unwrap());
    }
    assert_totals(&catalog, &products, &printed).await;
    assert_eq!(
        PgCounts::new(pool.clone()).advance().await.unwrap(),
        Move::Done
    );
    assert_totals(&catalog, &products, "after a move").await;
    // Now all is in the counts.
    sqlx::query("DELETE FROM outbox")
        .execute(&pool)
        .await
        .unwrap();
    assert_totals(&catalog, &products, &printed).await;
}

#[tokio::test]
async fn changes_that_are_committed_late_are_counted() {
    let (_database, pool, catalog) = open().await;
    let counts = PgCounts::new(pool.clone());
    let write = |name: &'static str| {
        let pool = pool.clone();
        async move {
            let mut transaction = pool.begin().await.unwrap();
            sqlx::query(
                "WITH product AS (INSERT INTO products (sku, name) VALUES ($1, $1) RETURNING id)
                 INSERT INTO outbox (id, product_id, product_version, listed_before, listed_after, created_at)
                 SELECT gen_random_uuid(), id, 1, false, true, now() FROM product",
            )
            .bind(name)
            .execute(&mut *transaction)
            .await
            .unwrap();
            transaction
        }
    };
    let total = async || {
        let query = ListQuery::parse(ListQuery::MAX_LIMIT, None, None, None, None, None).unwrap();
        let page = catalog.list(&query).await.unwrap();
        assert_eq!(i64::try_from(page.items.len()).unwrap(), page.total);
        page.total
    };
    let (first, second) = (write("first").await, write("second").await);
    assert_eq!(total().await, 0);
    counts.advance().await.unwrap();
    second.commit().await.unwrap();
    assert_eq!(total().await, 1);
    // The position goes past the first one, which is under way.
    counts.advance().await.unwrap();
    assert_eq!(total().await, 1);
    first.commit().await.unwrap();
    assert_eq!(total().await, 2);
    // A move waits for none that has the turn.
    let mut turn = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM product_counts_position FOR UPDATE")
        .execute(&mut *turn)
        .await
        .unwrap();
    assert_eq!(counts.advance().await.unwrap(), Move::NotOurs);
    turn.rollback().await.unwrap();
    assert_eq!(counts.advance().await.unwrap(), Move::Done);
    assert_eq!(total().await, 2);
}

#[tokio::test]
async fn products_that_were_written_by_hand_are_counted_when_asked() {
    let (database, pool, catalog) = open().await;
    sqlx::query("INSERT INTO products (sku, name, category) VALUES ('H', 'by hand', 'a')")
        .execute(&pool)
        .await
        .unwrap();
    let query = ListQuery::parse(ListQuery::MAX_LIMIT, None, None, Some("a"), None, None).unwrap();
    let page = catalog.list(&query).await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, 0));
    let output = program::service()
        .args(["counts", "recount"])
        .env("DATABASE_URL", &database.url)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(catalog.list(&query).await.unwrap().total, 1);
}

/// Products without events, quickly.
async fn fill(pool: &PgPool, count: i32) {
    sqlx::query(
        "INSERT INTO products (id, sku, name, category, warehouse_id)
         SELECT lpad(to_hex(n), 32, '0')::uuid, 'N' || n, 'n', (ARRAY['a', 'b'])[1 + n % 2], (ARRAY['W1', 'W2'])[1 + n / 2 % 2]
           FROM generate_series(1, $1) AS n",
    )
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
    PgCounts::new(pool.clone()).recount().await.unwrap();
}

fn skus(page: &Page) -> Vec<String> {
    let skus = page.items.iter().map(|item| item.sku.as_str().to_owned());
    skus.collect()
}

#[tokio::test]
async fn numbered_pages_are_the_same_from_either_end() {
    let (_database, pool, catalog) = open().await;
    fill(&pool, 4003).await;
    for (category, warehouse, total) in [
        (None, None, 4003),
        (Some("a"), None, 2001),
        (None, Some("W2"), 2002),
        (Some("b"), Some("W1"), 1001),
    ] {
        let mut all = Vec::new();
        let mut number = 1;
        loop {
            let query = ListQuery::parse(
                ListQuery::MAX_LIMIT,
                Some(number),
                Some(100),
                category,
                warehouse,
                None,
            )
            .unwrap();
            let page = catalog.list(&query).await.unwrap();
            assert_eq!(page.total, total);
            all.extend(skus(&page));
            assert_eq!(page.next.is_some(), i64::from(number) < page.pages(100));
            if page.next.is_none() {
                break;
            }
            number += 1;
        }
        let expected: Vec<String> = sqlx::query_scalar(
            "SELECT sku FROM products WHERE ($1::text IS NULL OR category = $1)
                AND ($2::text IS NULL OR warehouse_id = $2) ORDER BY id DESC",
        )
        .bind(category)
        .bind(warehouse)
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(all == expected, "{category:?} {warehouse:?}");
        let beyond = ListQuery::parse(
            ListQuery::MAX_LIMIT,
            Some(number + 1),
            Some(100),
            category,
            warehouse,
            None,
        )
        .unwrap();
        let page = catalog.list(&beyond).await.unwrap();
        assert_eq!((page.items.len(), page.total), (0, total));
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn a_way_by_tokens_meets_each_product_once_whatever_comes_and_goes() {
    let (_database, pool, catalog) = open().await;
    fill(&pool, 400).await;
    for (category, warehouse) in [
        (None, None),
        (Some("a"), None),
        (None, Some("W2")),
        (Some("b"), Some("W1")),
    ] {
        let listed = async || -> HashSet<String> {
            sqlx::query_scalar(
                "SELECT sku FROM products WHERE deleted_at IS NULL AND ($1::text IS NULL OR category = $1)
                    AND ($2::text IS NULL OR warehouse_id = $2)",
            )
            .bind(category)
            .bind(warehouse)
            .fetch_all(&pool)
            .await
            .unwrap()
            .into_iter()
            .collect()
        };
        let mut throughout = listed().await;
        let (mut seen, mut token, mut number) = (Vec::new(), None, 1);
        loop {
            let query = ListQuery::parse(
                ListQuery::MAX_LIMIT,
                None,
                Some(7),
                category,
                warehouse,
                token.as_deref(),
            )
            .unwrap();
            assert_eq!(query.page(), number);
            let page = catalog.list(&query).await.unwrap();
            seen.extend(skus(&page));
            let Some(next) = page.next.clone() else {
                break;
            };
            (token, number) = (Some(next), number + 1);
            // One more at the front, one less ahead, and the one the token names goes too.
            let new = NewProduct {
                category: category.map(|text| Category::parse(text).unwrap()),
                warehouse: warehouse.map(|text| Warehouse::parse(text).unwrap()),
                ..new(&format!("T{number}{category:?}{warehouse:?}").replace(['(', ')', '"'], "-"))
            };
            catalog.create(cause(), new).await.unwrap();
            let last = page.items.last().unwrap();
            catalog.delete(cause(), last.id).await.unwrap();
            let gone = sqlx::query_scalar::<_, uuid::Uuid>(
                "SELECT id FROM products WHERE deleted_at IS NULL AND id < $1 ORDER BY id DESC OFFSET 9 LIMIT 1",
            )
            .bind(last.id.uuid())
            .fetch_optional(&pool)
            .await
            .unwrap();
            if let Some(id) = gone {
                catalog.delete(cause(), ProductId::new(id)).await.unwrap();
            }
            let now = listed().await;
            throughout.retain(|sku| now.contains(sku) || seen.contains(sku));
        }
        let distinct: HashSet<_> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "none twice");
        assert!(throughout.is_subset(&distinct), "none left out");
    }
}

/// The plan of a statement that was prepared on the only connection of a pool, as it is run.
async fn plan(pool: &PgPool, part: &str, arguments: &str) -> String {
    let mut connection = pool.acquire().await.unwrap();
    let name: String = sqlx::query_scalar(
        "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%' || $1 || '%' AND statement LIKE 'WITH counted%'",
    )
    .bind(part)
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE {name}({arguments})"
    )))
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn a_page_is_found_in_an_index_and_read_alone() {
    let (database, all, catalog) = open().await;
    let settings = PoolSettings {
        max_connections: 1,
        ..PoolSettings::default()
    };
    let pool = pool(&database.url, &settings).unwrap();
    // Prepared while there is nothing, which is when plans go wrong.
    let empty = Catalog::new(
        PgProducts::new(pool.clone(), Bell::default()),
        SystemEnvironment,
    );
    let token = {
        fill(&all, 30).await;
        let first = ListQuery::parse(
            ListQuery::MAX_LIMIT,
            None,
            Some(1),
            Some("a"),
            Some("W1"),
            None,
        )
        .unwrap();
        catalog.list(&first).await.unwrap().next.clone().unwrap()
    };
    for token in [None, Some(token.as_str())] {
        let query = ListQuery::parse(
            ListQuery::MAX_LIMIT,
            None,
            None,
            Some("a"),
            Some("W1"),
            token,
        )
        .unwrap();
        empty.list(&query).await.unwrap();
    }
    sqlx::query("DELETE FROM products")
        .execute(&all)
        .await
        .unwrap();
    fill(&all, 20_000).await;
    sqlx::query("VACUUM ANALYZE products")
        .execute(&all)
        .await
        .unwrap();
    let numbered = plan(&pool, "OFFSET", "'a', 'W1', 21, 2000").await;
    let end = plan(&pool, "OFFSET", "'a', 'W1', 21, 4900").await;
    let middle = "00000000-0000-0000-0000-000000003000";
    let by_token = plan(&pool, "AND id <", &format!("'a', 'W1', 21, '{middle}'")).await;
    for (plan, walked) in [(numbered, 2021), (end, 100), (by_token, 21)] {
        assert!(!plan.contains("Seq Scan"), "{plan}");
        let index = "Index Only Scan using idx_products_category_warehouse on products";
        let backward = "Index Only Scan Backward using idx_products_category_warehouse on products";
        let walk = plan
            .lines()
            .find(|line| {
                (line.contains(index) || line.contains(backward))
                    && !line.contains("never executed")
            })
            .unwrap_or_else(|| panic!("{plan}"));
        assert!(walk.contains(&format!("rows={walked}")), "{plan}");
    }
}
