//! New products. Those that come at the same time are made by one [statement](super::super::batches): it costs a
//! fraction of as many statements, and one flush of the log.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use transcode::Event as _;
use uuid::Uuid;

use super::super::batches::{Batches, Begin, Caller, Statement};
use super::super::error::{already_exists, from_sqlx};
use super::super::outbox::recorded;
use super::write::{Encoded, Writes};
use crate::domain::error::Result;
use crate::domain::{Brand, Category, Description, Event, Product, Warehouse, Written};
use crate::pb::catalog::v1::ProductCreatedEvent;
use crate::telemetry::query::Query;

static CREATE_SEVERAL: Query = Query::new("products.create_several");

/// A product that is to be made.
#[derive(Debug)]
pub(super) struct New {
    event: Event,
    product: Product,
    encoded: Encoded,
    /// The answer to the call, where it is to be made once.
    answer: Option<Vec<u8>>,
}

type Answer = Result<Option<Written>>;

/// A product that was made.
struct Made {
    id: Uuid,
    xid: i64,
    seq: i64,
    revision: i32,
}

/// Makes a product.
pub(super) async fn create(
    writes: &Batches<Writes>,
    event: &Event,
    product: &Product,
    encoded: Encoded,
) -> Answer {
    let mut encoded = Some(encoded);
    let begin = writes.begin(|| {
        let receipt = event.cause.receipt.as_ref();
        New {
            event: event.clone(),
            product: product.clone(),
            encoded: encoded.take().expect("asked for once"),
            answer: receipt.map(|receipt| receipt.answer(product)),
        }
    });
    match begin {
        Begin::Alone(place) => {
            let encoded = encoded.expect("taken only by those who wait");
            let one = writes.statement().one(event, &encoded);
            place.hold(one).await
        }
        Begin::Waits(answer) => {
            let made = async {
                let answer = answer.await;
                answer.unwrap_or_else(|_| Err(from_sqlx(sqlx::Error::WorkerCrashed)))
            };
            CREATE_SEVERAL.wait(made).await
        }
    }
}

impl Statement for Writes {
    type Item = New;
    type Answer = Answer;
    // Several commits that wait for the disk share a flush.
    const PLACES: usize = 4;

    async fn run(&self, callers: Vec<Caller<New, Answer>>) {
        let made = self.several(&callers).await;
        // Nobody may be there any more to take an answer.
        match made {
            Ok(made) => {
                self.bell.ring();
                let mut made: HashMap<_, _> =
                    made.into_iter().map(|made| (made.id, made)).collect();
                for Caller { item, answer } in callers {
                    let made = made.remove(&item.product.id.uuid());
                    let _ = answer.send(match made {
                        Some(made) => made.written().map(Some),
                        None => Err(already_exists("product", "SKU")),
                    });
                }
            }
            // One of them is refused; nothing was made.
            Err(sqlx::Error::Database(_)) => {
                for Caller { item, answer } in callers {
                    // Not for one that was given up meanwhile: nothing was made for it, and it was told so.
                    if !answer.is_closed() {
                        let _ = answer.send(self.one(&item.event, &item.encoded).await);
                    }
                }
            }
            // Not again when the connection was lost: they may have been made.
            Err(error) => {
                let error = Arc::new(error);
                for caller in callers {
                    let _ = caller.answer.send(Err(from_sqlx(error.clone())));
                }
            }
        }
    }
}

impl Made {
    fn written(self) -> Result<Written> {
        Ok(Written {
            recorded: recorded(self.xid, self.seq)?,
            revision: self.revision,
            availability: None,
        })
    }
}

impl Writes {
    /// Those of the products that were made: a SKU that is in use is passed over.
    async fn several(&self, callers: &[Caller<New, Answer>]) -> sqlx::Result<Vec<Made>> {
        let mut lease = self.connections.lease(false).await?;
        let made = CREATE_SEVERAL
            .run(Box::pin(insert(&mut lease, callers)))
            .await;
        lease.finish(&made);
        made
    }
}

/// Makes products with their events, column by column, and tells which.
async fn insert(
    connection: &mut PgConnection,
    callers: &[Caller<New, Answer>],
) -> sqlx::Result<Vec<Made>> {
    macro_rules! column {
        (|$new:ident| $value:expr) => {
            &callers
                .iter()
                .map(|Caller { item: $new, .. }| $value)
                .collect::<Vec<_>>()[..]
        };
    }
    sqlx::query_as!(
        Made,
        r#"WITH new AS (
               SELECT * FROM unnest(
                   $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[],
                   $9::text[], $10::numeric[], $11::text[], $12::timestamptz[], $13::uuid[], $14::text[], $15::text[],
                   $16::text[], $17::bytea[], $18::text[], $19::bytea[], $20::bytea[])
               AS new (id, sku, name, description, category, brand, attributes, warehouse_id, status, price_amount, currency,
                   created_at, event_id, payload, traceparent, audit, receipt_id, receipt_rpc, receipt_request,
                   receipt_answer)),
           product AS (
               INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, status,
                   price_amount, currency, version, created_at, updated_at)
               -- In one order, so that no two statements wait for each other.
               SELECT id, sku, name, description, category, brand, attributes, warehouse_id, status, price_amount, currency,
                      1, created_at, created_at FROM new ORDER BY sku
               ON CONFLICT (sku) WHERE deleted_at IS NULL DO NOTHING
               RETURNING id, revision),
           event AS (
               INSERT INTO outbox (id, topic, event_type, product_id, product_version, product_revision, payload,
                   traceparent, created_at, listed_before, listed_after, category, warehouse_id)
               SELECT event_id, $21, $22, id, 1, revision, payload::json, traceparent, created_at, FALSE, TRUE, category,
                      warehouse_id FROM product JOIN new USING (id)
               RETURNING xid, seq, product_id),
           audit AS (
               INSERT INTO audit_log
               SELECT record.* FROM product JOIN new USING (id),
                      jsonb_populate_record(NULL::audit_log, audit::jsonb) AS record
                WHERE audit IS NOT NULL),
           receipt AS (
               INSERT INTO idempotency_keys (created_at, code, message, id, rpc, request, body)
               SELECT created_at, 0, '', receipt_id, receipt_rpc, receipt_request, receipt_answer
                 FROM product JOIN new USING (id) WHERE receipt_id IS NOT NULL)
           SELECT id AS "id!", xid::text::bigint AS "xid!", seq AS "seq!", revision AS "revision!"
             FROM product JOIN event ON product_id = id"#,
        column!(|new| new.product.id.uuid()),
        column!(|new| new.product.sku.as_str()) as _,
        column!(|new| new.product.name.as_str()) as _,
        column!(|new| new.product.description.as_ref().map(Description::as_str)) as _,
        column!(|new| new.product.category.as_ref().map(Category::as_str)) as _,
        column!(|new| new.product.brand.as_ref().map(Brand::as_str)) as _,
        column!(|new| new.product.attributes.as_ref().map(|a| Json(a.as_map()))) as _,
        column!(|new| new.product.warehouse.as_ref().map(Warehouse::as_str)) as _,
        column!(|new| new.product.status.as_str()) as _,
        column!(|new| new.product.price.as_ref().map(|price| price.amount.decimal())) as _,
        column!(|new| new.product.price.as_ref().map(|price| price.currency.as_str())) as _,
        column!(|new| new.product.created_at),
        column!(|new| new.event.id),
        column!(|new| new.encoded.event.payload.get()) as _,
        column!(|new| new.event.cause.traceparent.as_deref()) as _,
        column!(|new| new.encoded.audit.as_deref()) as _,
        column!(|new| new.event.cause.receipt.as_ref().map(|receipt| &receipt.call().id[..])) as _,
        column!(|new| new.event.cause.receipt.as_ref().map(|receipt| receipt.call().operation)) as _,
        column!(|new| new.event.cause.receipt.as_ref().map(|receipt| &receipt.call().request[..])) as _,
        column!(|new| new.answer.as_deref()) as _,
        ProductCreatedEvent::TOPIC,
        ProductCreatedEvent::TYPE
    )
    .fetch_all(connection)
    .await
}
