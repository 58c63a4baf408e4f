//! Traces: where a request belongs, whether its spans are kept, and the spans.
//!
//! Whether a trace is kept is decided before anything is made of it: as the caller decided (the flag of its W3C
//! `traceparent`), or by the lower bits of a new trace's id. Of a trace that is not kept there is its context, two
//! numbers, and nothing else.

mod context;
mod exporter;
mod otlp;
mod span;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

pub use context::TraceContext;
pub use exporter::{Exporter, collector};
pub use span::{Attributes, Kind, Span, Value};

use super::metrics::{Page, Source};
use super::request::RequestRecord;
use crate::domain::Environment;

/// How many finished spans wait to be sent at most. Further ones are dropped.
const QUEUE: usize = 4096;

/// Begins traces and takes their spans. Clones are the same.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    /// Moves on with each id.
    ids: AtomicU64,
    /// A new trace is kept where the lower 63 bits of its id are below this.
    bound: u64,
    /// None where spans go nowhere.
    spans: Option<mpsc::Sender<Span>>,
    /// Nanoseconds since 1970.
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    counts: Arc<Counts>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Tracer {
    /// A tracer that keeps nothing. It passes the decision of callers on.
    pub fn off(environment: impl Environment) -> Self {
        Self::new(environment, 0.0, None, Arc::default())
    }

    /// A tracer that keeps this part of the new traces, and the spans that are to be sent.
    pub fn on(environment: impl Environment, ratio: f64) -> (Self, Spans) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let tracer = Self::new(environment, ratio, Some(sender), counts.clone());
        (tracer, Spans { receiver, counts })
    }

    fn new(
        environment: impl Environment,
        ratio: f64,
        spans: Option<mpsc::Sender<Span>>,
        counts: Arc<Counts>,
    ) -> Self {
        // The lower half of an id is random, but for two bits.
        let [first, second] = [(); 2].map(|()| environment.new_uuid().as_u64_pair().1);
        let seed = first ^ second.rotate_left(32);
        Self(Arc::new(Inner {
            ids: AtomicU64::new(seed),
            bound: bound(ratio),
            spans,
            clock: Box::new(move || {
                u64::try_from(environment.now().unix_timestamp_nanos()).unwrap_or_default()
            }),
            counts,
        }))
    }

    /// A number that comes once in 2^64 times and looks like any other: SplitMix64.
    fn id(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut id = (self.0.ids.fetch_add(STEP, Ordering::Relaxed)).wrapping_add(STEP);
        id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 0 is no id.
        (id ^ (id >> 31)).max(1)
    }

    /// Begins what belongs to a caller's trace, or to a new one.
    pub fn begin(&self, parent: Option<TraceContext>) -> Scope {
        let (trace_id, sampled) = if let Some(parent) = parent {
            (parent.trace_id, parent.sampled)
        } else {
            let low = self.id();
            let trace_id = u128::from(self.id()) << 64 | u128::from(low);
            (trace_id, low >> 1 < self.0.bound)
        };
        let recording = sampled && self.0.spans.is_some();
        Scope {
            context: TraceContext {
                trace_id,
                span_id: self.id(),
                sampled,
            },
            recording: recording.then(|| Recording {
                tracer: self.clone(),
                parent: parent.map(|parent| parent.span_id),
                start: (self.0.clock)(),
                began: Instant::now(),
            }),
        }
    }

    fn keep(&self, span: Span) {
        if let Some(spans) = &self.0.spans
            && spans.try_send(span).is_err()
        {
            self.0.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The bound for a part of all ids.
fn bound(ratio: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 2^63"
    )]
    let bound = (ratio.clamp(0.0, 1.0) * 2f64.powi(63)) as u64;
    bound
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

impl Source for Tracer {
    fn write(&self, page: &mut Page) {
        let counts = &self.0.counts;
        let mut family = page.counter(
            "trace_spans_total",
            "Spans by what became of them: exported, dropped as too many waited, or failed to be sent",
        );
        for (outcome, count) in [
            ("exported", &counts.exported),
            ("dropped", &counts.dropped),
            ("failed", &counts.failed),
        ] {
            family.sample(&[("outcome", outcome)], count.load(Ordering::Relaxed));
        }
    }
}

/// Finished spans, to be sent by an [`Exporter`].
#[derive(Debug)]
pub struct Spans {
    receiver: mpsc::Receiver<Span>,
    counts: Arc<Counts>,
}

/// A place in a trace, and the span that is there where it is kept.
#[derive(Debug)]
pub struct Scope {
    /// Where it is.
    pub context: TraceContext,
    recording: Option<Recording>,
}

#[derive(Clone, Debug)]
struct Recording {
    tracer: Tracer,
    parent: Option<u64>,
    /// Nanoseconds since 1970.
    start: u64,
    began: Instant,
}

impl Recording {
    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or_default();
        self.start.saturating_add(elapsed)
    }
}

impl Scope {
    /// Whether its span is kept.
    pub const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Begins a part of what is done here; nothing where it is not kept.
    pub fn part(&self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Part> {
        let recording = self.recording.as_ref()?;
        let tracer = recording.tracer.clone();
        let span = Span {
            context: TraceContext {
                span_id: tracer.id(),
                ..self.context
            },
            parent: Some(self.context.span_id),
            name: name.into(),
            kind,
            start: recording.now(),
            end: 0,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        };
        Some(Part {
            recording: recording.clone(),
            span,
        })
    }

    /// Ends what was done here, where it is kept: `finish` makes its span from one that has only times.
    pub fn end(&self, finish: impl FnOnce(&mut Span)) {
        let Some(recording) = &self.recording else {
            return;
        };
        let mut span = Span {
            context: self.context,
            parent: recording.parent,
            name: Cow::Borrowed(""),
            kind: Kind::Internal,
            start: recording.start,
            end: recording.now(),
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        };
        finish(&mut span);
        recording.tracer.keep(span);
    }
}

/// A part of what is done in a scope.
#[derive(Debug)]
pub struct Part {
    recording: Recording,
    span: Span,
}

impl Part {
    /// Begins a part of the request that the task answers; nothing where its trace is not kept.
    pub fn of_request(name: &'static str, kind: Kind) -> Option<Self> {
        RequestRecord::look(|request| request.trace.part(name, kind)).flatten()
    }

    /// Ends it.
    pub fn end(self, finish: impl FnOnce(&mut Span)) {
        let Self {
            recording,
            mut span,
        } = self;
        span.end = recording.now();
        finish(&mut span);
        recording.tracer.keep(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEnvironment;

    #[test]
    fn the_part_of_new_traces_that_is_kept() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.1, 850, 1150), (1.0, 10_000, 10_000)] {
            let (tracer, _spans) = Tracer::on(SystemEnvironment, ratio);
            let kept = (0..10_000).filter(|_| tracer.begin(None).is_recording());
            let kept = kept.count();
            assert!((least..=most).contains(&kept), "{ratio}: {kept}");
        }
    }

    #[test]
    fn a_caller_decides_for_its_trace() {
        let caller = TraceContext {
            trace_id: 7,
            span_id: 8,
            sampled: true,
        };
        let (never, mut spans) = Tracer::on(SystemEnvironment, 0.0);
        let scope = never.begin(Some(caller));
        assert_eq!((scope.context.trace_id, scope.context.sampled), (7, true));
        let part = scope.part("part", Kind::Client).unwrap();
        part.end(|span| span.set("key", "value"));
        scope.end(|span| span.name = "whole".into());
        let part = spans.receiver.try_recv().unwrap();
        let whole = spans.receiver.try_recv().unwrap();
        assert_eq!(part.parent, Some(whole.context.span_id));
        assert_eq!(whole.parent, Some(8));
        assert!(whole.start <= part.start && part.end <= whole.end);

        let (always, _spans) = Tracer::on(SystemEnvironment, 1.0);
        let unsampled = TraceContext {
            sampled: false,
            ..caller
        };
        assert!(!always.begin(Some(unsampled)).is_recording());
        let off = Tracer::off(SystemEnvironment);
        let scope = off.begin(Some(caller));
        assert!(!scope.is_recording() && scope.context.sampled, "passed on");
    }

    #[test]
    fn too_many_are_dropped_and_counted() {
        let (tracer, _spans) = Tracer::on(SystemEnvironment, 1.0);
        for _ in 0..QUEUE + 3 {
            tracer.begin(None).end(|_| {});
        }
        assert_eq!(tracer.0.counts.dropped.load(Ordering::Relaxed), 3);
    }
}
