//! Lets everybody in, for as long as a caller waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Extensions, HeaderMap};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_stream::Stream;
use tonic::Status;
use tonic::metadata::MetadataMap;
use transcode::MethodSpec;
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};

/// Keeps deadlines.
pub(crate) struct Timely;

/// How long a caller waits, if it says so.
pub(crate) fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn too_late() -> Status {
    Status::deadline_exceeded("The caller waits no longer")
}

impl Policy for Timely {
    type Admission = Option<Instant>;

    async fn admit(
        &self,
        _: &'static MethodSpec,
        metadata: &MetadataMap,
        _: &mut Extensions,
    ) -> Result<Option<Instant>, Status> {
        Ok(timeout(metadata).and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    async fn run<T: Send>(
        &self,
        _: &'static MethodSpec,
        deadline: Option<Instant>,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        match deadline {
            Some(deadline) => match timeout_at(deadline, call).await {
                Ok(result) => result,
                Err(_) => Err(too_late()),
            },
            None => call.await,
        }
    }

    fn answers(&self, _: &'static MethodSpec, _: &Extensions) -> Option<(&dyn Answers, String)> {
        None
    }

    fn annotate(&self, _: &'static MethodSpec, _: &Option<Instant>, _: &mut HeaderMap) {}

    fn stream<T: Send + 'static>(
        &self,
        _: &'static MethodSpec,
        deadline: Option<Instant>,
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        match deadline {
            Some(deadline) => Box::pin(Until {
                messages: Some(messages),
                deadline: Box::pin(sleep_until(deadline)),
            }),
            None => messages,
        }
    }
}

/// Messages until a time.
struct Until<T> {
    /// None after the last.
    messages: Option<BoxStream<T>>,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Stream for Until<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let is_late = self.deadline.as_mut().poll(context).is_ready();
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        if is_late {
            self.messages = None;
            return Poll::Ready(Some(Err(too_late())));
        }
        messages.as_mut().poll_next(context)
    }
}
