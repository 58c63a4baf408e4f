//! An event while it is handled, for the log and for its trace: the place in it goes on from where the event was sent.

use std::future::Future;
use std::sync::Arc;

use transcode::Event as _;
use transcode::rest::RequestContext;

use super::incoming::{self, Arrival};
use super::{Handled, Outcome};
use crate::pb::catalog::v1::InventoryUpdatedEvent;
use crate::telemetry::request::{CURRENT, RequestRecord};
use crate::telemetry::trace::{Kind, TraceContext, Tracer};

/// An event that is handled.
pub(super) struct Receipt {
    record: Arc<RequestRecord>,
    /// The request that delivered it, perhaps with others.
    delivery: Option<TraceContext>,
}

impl Receipt {
    pub(super) fn begin(tracer: &Tracer, event: &[u8], arrival: Option<&Arrival>) -> Self {
        let trace = tracer.begin(incoming::cause(event));
        let delivery = RequestRecord::current();
        let request_id = match (&delivery, arrival) {
            (Some(delivery), _) => delivery.context.request_id.clone(),
            (None, Some(arrival)) => arrival.id.clone(),
            (None, None) => String::new(),
        };
        let context = RequestContext {
            request_id,
            trace_id: Some(trace.context.trace_id),
        };
        Self {
            record: Arc::new(RequestRecord::new(context, trace)),
            delivery: delivery.map(|delivery| delivery.trace.context),
        }
    }

    /// Does what belongs to it.
    pub(super) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.record.clone(), work).await
    }

    pub(super) fn end(self, handled: &Handled) {
        let topic = InventoryUpdatedEvent::TOPIC;
        self.record.trace.end(|span| {
            span.name = format!("process {topic}").into();
            span.kind = Kind::Consumer;
            span.set("messaging.operation.name", "process");
            span.set("messaging.operation.type", "process");
            span.set("messaging.destination.name", topic);
            if let Some(entity) = self.record.entity.get() {
                span.set(entity.attribute(), entity.to_string());
            }
            span.links.extend(self.delivery);
            let (outcome, error) = match handled {
                Handled::Done(Outcome::Applied) => ("applied", None),
                Handled::Done(_) => ("skipped", None),
                Handled::Refused(reason) => ("refused", Some(reason)),
                Handled::Away(reason) => ("retry", Some(reason)),
                Handled::Failed(reason) => ("failed", Some(reason)),
            };
            span.set("catalog.event.outcome", outcome);
            span.error = error.cloned();
        });
    }
}
