//! The RPCs as what they do, whichever way they were called, and their errors by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tonic::Code;
use transcode::{MethodSpec, ReasonTable};

use super::{Page, Source, Times};
use crate::telemetry::request::operation;

/// The counts of all operations. Clones are the same.
#[derive(Clone)]
pub struct Operations(Arc<[Operation]>);

struct Operation {
    spec: &'static MethodSpec,
    /// As `get_product`.
    name: String,
    successes: AtomicU64,
    failures: AtomicU64,
    times: Times,
    /// By the number of the code.
    errors: [AtomicU64; 17],
    streams: AtomicI64,
}

/// An answer that is a stream, until it is dropped.
pub struct OpenStream {
    operations: Operations,
    spec: &'static MethodSpec,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Some(operation) = self.operations.of(self.spec) {
            operation.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Operations {
    /// Counts of the RPCs of a contract.
    pub fn new(methods: impl IntoIterator<Item = &'static MethodSpec>) -> Self {
        let operation = |spec: &'static MethodSpec| Operation {
            spec,
            name: {
                let mut name = String::new();
                operation(spec.name, |letter| name.push(letter.into()));
                name
            },
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            times: Times::new(),
            errors: [const { AtomicU64::new(0) }; 17],
            streams: AtomicI64::new(0),
        };
        Self(methods.into_iter().map(operation).collect())
    }

    fn of(&self, spec: &'static MethodSpec) -> Option<&Operation> {
        self.0
            .iter()
            .find(|operation| std::ptr::eq(operation.spec, spec))
    }

    /// An operation ran: to its answer, or to the opening of a stream.
    pub fn ran(&self, spec: &'static MethodSpec, code: Code, took: Duration) {
        let Some(operation) = self.of(spec) else {
            return;
        };
        if code == Code::Ok {
            operation.successes.fetch_add(1, Ordering::Relaxed);
        } else {
            operation.failures.fetch_add(1, Ordering::Relaxed);
            operation.errors[code as usize].fetch_add(1, Ordering::Relaxed);
        }
        operation.times.record(took);
    }

    /// An operation was refused before it ran, or its stream ended with an error.
    pub fn failed(&self, spec: &'static MethodSpec, code: Code) {
        if let Some(operation) = self.of(spec) {
            operation.errors[code as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A stream was opened.
    pub fn open(&self, spec: &'static MethodSpec) -> OpenStream {
        if let Some(operation) = self.of(spec) {
            operation.streams.fetch_add(1, Ordering::Relaxed);
        }
        OpenStream {
            operations: self.clone(),
            spec,
        }
    }
}

impl Source for Operations {
    fn write(&self, page: &mut Page) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut family = page.counter(
            "service_operations_total",
            "Operations that ran, and whether they did what was asked",
        );
        for operation in self.0.iter() {
            for (status, counter) in [
                ("success", &operation.successes),
                ("error", &operation.failures),
            ] {
                let labels = [("operation", operation.name.as_str()), ("status", status)];
                family.sample(&labels, count(counter));
            }
        }
        let mut family = page.histogram(
            "service_operations_duration_seconds",
            "How long operations ran: to their answer, or to the opening of a stream",
        );
        for operation in self.0.iter() {
            family.times(&[("operation", &operation.name)], &operation.times);
        }
        let mut family = page.counter(
            "service_errors_total",
            "Errors of operations: by their name in the API, and by their code in gRPC",
        );
        for operation in self.0.iter() {
            let codes = ReasonTable::CANONICAL.names.iter();
            let reasons = operation.spec.reasons.names.iter();
            for ((code, reason), errors) in codes.zip(reasons).zip(&operation.errors) {
                let errors = count(errors);
                if errors > 0 {
                    let labels = [
                        ("operation", operation.name.as_str()),
                        ("type", reason),
                        ("code", code),
                    ];
                    family.sample(&labels, errors);
                }
            }
        }
        let mut family = page.gauge(
            "service_streams_active",
            "Answers that are streams, such as watches, and are open",
        );
        for operation in self.0.iter().filter(|it| it.spec.server_streaming) {
            let open = operation.streams.load(Ordering::Relaxed);
            family.sample(&[("operation", &operation.name)], open);
        }
    }
}
