//! The spans of events that are published: each in the trace of the request that caused it, and where that is kept the
//! event says so, so that those who handle it go on from here.

use super::{Outgoing, Rejection, Unavailable};
use crate::events::cloud_event::SOURCE;
use crate::telemetry::trace::{Kind, Scope, TraceContext, Tracer};

/// The spans of a batch, while it is on its way.
pub(super) struct Sending {
    system: &'static str,
    /// With the places of their events.
    scopes: Vec<(usize, Scope)>,
}

impl Sending {
    /// Begins them, and puts them into the events.
    pub(super) fn begin(tracer: &Tracer, system: &'static str, events: &mut [Outgoing]) -> Self {
        let mut scopes = Vec::new();
        for (index, event) in events.iter_mut().enumerate() {
            let cause = event.traceparent.as_deref().and_then(TraceContext::parse);
            let Some(cause) = cause.filter(|cause| cause.sampled) else {
                continue;
            };
            let scope = tracer.begin(Some(cause));
            if scope.is_recording() {
                event.traceparent = Some(scope.context.to_string());
                scopes.push((index, scope));
            }
        }
        Self { system, scopes }
    }

    /// Ends them.
    pub(super) fn end(self, events: &[Outgoing], published: &Result<Vec<Rejection>, Unavailable>) {
        for (index, scope) in self.scopes {
            let event = &events[index];
            let error = match published {
                Ok(rejections) => rejections
                    .iter()
                    .find(|rejection| rejection.index == index)
                    .map(|rejection| rejection.reason.clone()),
                Err(Unavailable(reason)) => Some(reason.clone()),
            };
            scope.end(|span| {
                span.name = format!("send {}", event.topic).into();
                span.kind = Kind::Producer;
                span.set("messaging.system", self.system);
                span.set("messaging.operation.name", "send");
                span.set("messaging.operation.type", "send");
                span.set("messaging.destination.name", event.topic.clone());
                span.set("messaging.message.id", event.id.clone());
                span.set("messaging.client.id", SOURCE);
                span.set("catalog.event.type", event.event_type.clone());
                span.set("catalog.product.id", event.key.clone());
                span.error = error;
            });
        }
    }
}
