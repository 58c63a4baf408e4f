//! Looks products up. Those that are looked up by id at the same time go into one statement.
//!
//! A lookup that finds a place goes out at once and alone. Those that come while all places are taken wait for the
//! next statement, which asks for all of them. Nothing waits for company, and no lookup joins a statement that was
//! sent before it began, so that each sees what was written before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::connections::{Connections, read};
use super::row::Row;
use crate::domain::Sku;
use crate::telemetry::query::Query;

static FIND: Query = Query::new("products.find");
static FIND_SEVERAL: Query = Query::new("products.find_several");

/// How many statements are under way at a time.
const PLACES: usize = 2;

/// Most ids of a statement.
const BATCH: usize = 64;

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
pub(super) struct Lookups {
    connections: Connections,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Places that are taken by statements.
    taken: usize,
    /// In the order they came; empty unless all places are taken.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: Uuid,
    answer: oneshot::Sender<Found>,
}

/// How a lookup begins.
enum Begin {
    Alone(Place),
    Waits(oneshot::Receiver<Found>),
}

impl Lookups {
    pub(super) fn new(connections: Connections) -> Self {
        Self {
            connections,
            queue: Arc::default(),
        }
    }

    /// The product of an id.
    pub(super) async fn find(&self, id: Uuid) -> Found {
        match self.begin(id) {
            Begin::Alone(_place) => read!(
                self.connections,
                connection => FIND.run(select_product!("id = $1", id).fetch_optional(connection))
            )
            .map_err(Arc::new),
            // Without an answer only when the runtime ends.
            Begin::Waits(answer) => {
                let found = async {
                    let answer = answer.await;
                    answer.unwrap_or_else(|_| Err(Arc::new(sqlx::Error::WorkerCrashed)))
                };
                FIND_SEVERAL.wait(found).await
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: Uuid) -> Begin {
        let mut queue = self.queue();
        if queue.taken < PLACES {
            queue.taken += 1;
            return Begin::Alone(Place(self.clone()));
        }
        let (answer, receiver) = oneshot::channel();
        queue.waiting.push_back(Waiting { id, answer });
        Begin::Waits(receiver)
    }

    /// Those that are to go into the next statement. Without any the place is free.
    fn next(&self) -> HashMap<Uuid, Vec<oneshot::Sender<Found>>> {
        let mut batch = HashMap::<_, Vec<_>>::new();
        let mut queue = self.queue();
        while batch.len() < BATCH
            && let Some(Waiting { id, answer }) = queue.waiting.pop_front()
        {
            // Not for one that was given up meanwhile.
            if !answer.is_closed() {
                batch.entry(id).or_default().push(answer);
            }
        }
        if batch.is_empty() {
            queue.taken -= 1;
        }
        batch
    }

    async fn answer(&self, mut batch: HashMap<Uuid, Vec<oneshot::Sender<Found>>>) {
        let ids: Vec<_> = batch.keys().copied().collect();
        let rows = read!(
            self.connections,
            connection => FIND_SEVERAL.run(select_product!("id = ANY($1)", &ids).fetch_all(connection))
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

/// A place for one statement. At its end, however it comes, those that wait take it over.
struct Place(Lookups);

impl Drop for Place {
    fn drop(&mut self) {
        let batch = self.0.next();
        if batch.is_empty() {
            return;
        }
        let place = Self(self.0.clone());
        let task = async move { place.0.answer(batch).await };
        // Its own task, which no caller can cut off. Without a runtime nobody waits any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(task);
        }
    }
}
