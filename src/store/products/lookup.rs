//! Looks products up. Those that are looked up by id at the same time go into one [statement](super::super::batches), so
//! that each sees what was written before it began.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::batches::{Batches, Begin, Caller, Statement};
use super::super::connections::{Connections, read};
use super::row::Row;
use crate::domain::Sku;
use crate::telemetry::query::Query;

static FIND: Query = Query::new("products.find");
static FIND_SEVERAL: Query = Query::new("products.find_several");

/// Products by a condition, with all their columns.
macro_rules! select_product {
    ($condition:literal, $argument:expr) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id, sku, name, description, category, brand,
                      attributes AS "attributes: Json<Map<String, Value>>",
                      warehouse_id, status, price_amount, currency, version,
                      created_at, updated_at, stock_quantity, stock_reserved, stock_available, revision
                 FROM products WHERE deleted_at IS NULL AND "#
                + $condition,
            $argument
        )
    };
}

/// The product of a SKU.
pub(super) async fn by_sku(connection: &mut PgConnection, sku: &Sku) -> sqlx::Result<Option<Row>> {
    select_product!("sku = $1", sku.as_str())
        .fetch_optional(connection)
        .await
}

/// What a lookup gets; the failure of a statement is shared by all that were in it.
type Found = Result<Option<Row>, Arc<sqlx::Error>>;

/// The lookups by id.
#[derive(Clone, Debug)]
pub(super) struct Lookups(Batches<ById>);

/// The statement of several lookups.
#[derive(Clone, Debug)]
struct ById(Connections);

impl Lookups {
    pub(super) fn new(connections: Connections) -> Self {
        Self(Batches::new(ById(connections)))
    }

    /// The product of an id.
    pub(super) async fn find(&self, id: Uuid) -> Found {
        match self.0.begin(|| id) {
            Begin::Alone(place) => place.hold(self.0.statement().one(id)).await,
            Begin::Waits(answer) => {
                let found = async {
                    let answer = answer.await;
                    answer.unwrap_or_else(|_| Err(Arc::new(sqlx::Error::WorkerCrashed)))
                };
                FIND_SEVERAL.wait(found).await
            }
        }
    }
}

impl ById {
    async fn one(&self, id: Uuid) -> Found {
        read!(
            self.0,
            connection => FIND.run(Box::pin(select_product!("id = $1", id).fetch_optional(connection)))
        )
        .map_err(Arc::new)
    }
}

impl Statement for ById {
    type Item = Uuid;
    type Answer = Found;
    // One server process answers more of them than the service can ask for.
    const PLACES: usize = 1;

    async fn run(&self, callers: Vec<Caller<Uuid, Found>>) {
        let mut batch = HashMap::<_, Vec<oneshot::Sender<Found>>>::new();
        for Caller { item, answer } in callers {
            batch.entry(item).or_default().push(answer);
        }
        let ids: Vec<_> = batch.keys().copied().collect();
        let rows = read!(
            self.0,
            connection => FIND_SEVERAL.run(Box::pin(select_product!("id = ANY($1)", &ids).fetch_all(connection)))
        )
        .map_err(Arc::new);
        // Nobody may be there any more to take an answer.
        match rows {
            Ok(rows) => {
                for row in rows {
                    let mut answers = batch.remove(&row.id).unwrap_or_default();
                    let Some(last) = answers.pop() else { continue };
                    for answer in answers {
                        let _ = answer.send(Ok(Some(row.clone())));
                    }
                    let _ = last.send(Ok(Some(row)));
                }
                for answer in batch.into_values().flatten() {
                    let _ = answer.send(Ok(None));
                }
            }
            Err(error) => {
                for answer in batch.into_values().flatten() {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}
