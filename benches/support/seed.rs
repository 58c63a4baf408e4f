//! A database with many products.

use std::time::{Duration, Instant};

use catalog_service::migrate::{Migrator, Options, Source};
use catalog_service::store::postgres::{PoolSettings, pool};
use sqlx::{AssertSqlSafe, PgPool};

/// A pool for an empty database, which is given as many products.
pub(crate) async fn seeded(url: &str, products: usize) -> PgPool {
    let mut migrator = Migrator::connect(url, Source::embedded(), Options::default())
        .await
        .unwrap();
    migrator.up(None).await.unwrap();
    migrator.close().await;
    let settings = PoolSettings {
        statement_timeout: Duration::from_mins(10),
        ..PoolSettings::default()
    };
    let pool = pool(url, &settings).unwrap();
    let started = Instant::now();
    let mut connection = pool.acquire().await.unwrap();
    for sql in [
        format!("SET seed.products = {products}"),
        include_str!("../seed.sql").to_owned(),
    ] {
        for statement in sql.split_inclusive(';') {
            let statement = AssertSqlSafe(statement.to_owned());
            sqlx::raw_sql(statement)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
    }
    drop(connection);
    println!(
        "{products} products in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    pool
}
