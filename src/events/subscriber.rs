//! What this service hears: events of others, by way of Dapr or of Redis Streams.
//!
//! Each way delivers at least once and in any order; the domain sees to it that this does no harm. What can not be
//! handled, however often it comes, goes to the dead letter topic, and the reason is kept.

pub mod dapr;
mod inbox;
mod incoming;
mod receipt;
pub mod redis_streams;

use std::time::Duration;

use crate::domain::inventory::{Inventory, Outcome};
use crate::domain::ports::{Environment, InventoryStore};
use crate::domain::{Error, FieldViolation, ProductId};
use crate::telemetry::metrics::EventCounts;
use crate::telemetry::request::RequestRecord;
use crate::telemetry::trace::Tracer;

pub use inbox::keep_short;
pub use incoming::Arrival;
use receipt::Receipt;

/// How long handling one event may take before it counts as a database that is away.
const LIMIT: Duration = Duration::from_secs(10);

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It needs not come again.
    Done(Outcome),
    /// It can not be handled, however often it comes.
    Refused(String),
    /// What is needed to handle it is away; the event is not to blame.
    Away(String),
    /// A fault, which may be the event's or not.
    Failed(String),
}

/// Handles events of the topic `inventory.stock.updated`.
#[derive(Clone, Debug)]
pub struct Subscriber<S, E> {
    inventory: Inventory<S, E>,
    counts: EventCounts,
    /// None where no spans are made of what is heard.
    tracer: Option<Tracer>,
}

impl<S: InventoryStore, E: Environment> Subscriber<S, E> {
    /// A subscriber that keeps the inventory.
    pub fn new(inventory: Inventory<S, E>) -> Self {
        Self {
            inventory,
            counts: EventCounts::default(),
            tracer: None,
        }
    }

    /// Counts what becomes of events where others see it.
    #[must_use]
    pub fn counting(self, counts: EventCounts) -> Self {
        Self { counts, ..self }
    }

    /// Makes a span of each event, in the trace of what caused it.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        let tracer = Some(tracer);
        Self { tracer, ..self }
    }

    /// Handles an event as it came: a CloudEvent or the event alone, in JSON. `arrival` stands in for what neither of
    /// them says.
    pub async fn handle(&self, event: &[u8], arrival: Option<Arrival>) -> Handled {
        let handled = match &self.tracer {
            Some(tracer) => {
                let receipt = Receipt::begin(tracer, event, arrival.as_ref());
                let handled = receipt.scope(self.try_handle(event, arrival)).await;
                receipt.end(&handled);
                handled
            }
            None => self.try_handle(event, arrival).await,
        };
        self.counts.handled(&handled);
        handled
    }

    async fn try_handle(&self, event: &[u8], arrival: Option<Arrival>) -> Handled {
        let update = match incoming::stock_update(event, arrival) {
            Ok(update) => update,
            Err(reason) => return Handled::Refused(reason),
        };
        RequestRecord::about(ProductId::PREFIX, update.product.uuid());
        let applied = tokio::time::timeout(LIMIT, self.inventory.apply(&update)).await;
        let handled = match applied {
            Ok(Ok(outcome)) => Handled::Done(outcome),
            Ok(Err(error)) => judge(&error),
            Err(_) => Handled::Away(format!("not done in {} s", LIMIT.as_secs())),
        };
        tracing::debug!(event = update.origin.id, product = %update.product, ?handled, "stock");
        handled
    }
}

fn judge(error: &Error) -> Handled {
    match error {
        Error::InvalidParameters(violations) => Handled::Refused(in_words(violations)),
        Error::NotFound { id, .. } => Handled::Refused(format!("{error}: {id}")),
        Error::AlreadyExists { .. } | Error::Unauthenticated { .. } | Error::Forbidden(_) => {
            Handled::Refused(error.to_string())
        }
        Error::Conflict | Error::PreconditionFailed => Handled::Away(error.to_string()),
        Error::Unavailable(cause) => Handled::Away(cause.to_string()),
        Error::Internal(cause) => Handled::Failed(cause.to_string()),
    }
}

fn in_words(violations: &[FieldViolation]) -> String {
    let words = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.message));
    words.collect::<Vec<_>>().join("; ")
}
