//! The messages of an answer that is a stream, until something ends it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tonic::Status;
use transcode::policy::BoxStream;

use crate::telemetry::request::{CURRENT, RequestRecord};

/// Passes the messages of a stream on until `end` says why there are no more. A panic of the stream ends it with the
/// status that `panicked` makes, and nothing else on its connection.
pub(super) fn until<T: Send + 'static>(
    messages: BoxStream<T>,
    end: impl Future<Output = Status> + Send + 'static,
    panicked: impl Fn() -> Status + Send + 'static,
) -> BoxStream<T> {
    Box::pin(Until {
        messages: Some(messages),
        end: Box::pin(end),
        panicked: Box::new(panicked),
        request: RequestRecord::current(),
    })
}

struct Until<T> {
    /// None after the last.
    messages: Option<BoxStream<T>>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    panicked: Box<dyn Fn() -> Status + Send>,
    /// For what is logged long after the answer began.
    request: Option<Arc<RequestRecord>>,
}

impl<T> Stream for Until<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(request) = this.request.clone() {
            CURRENT.sync_scope(request, || this.next(context))
        } else {
            this.next(context)
        }
    }
}

impl<T> Until<T> {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let this = self;
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        let next = if let Poll::Ready(status) = this.end.as_mut().poll(context) {
            Poll::Ready(Some(Err(status)))
        } else {
            catch_unwind(AssertUnwindSafe(|| messages.as_mut().poll_next(context)))
                .unwrap_or_else(|_| Poll::Ready(Some(Err((this.panicked)()))))
        };
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            this.messages = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::{StreamExt as _, stream};
    use tokio::sync::oneshot;
    use tonic::Code;

    use super::*;

    fn panicked() -> Status {
        Status::internal("panicked")
    }

    fn code(item: Option<Result<i32, Status>>) -> Option<Code> {
        item.map(|item| item.map_or_else(|status| status.code(), |_| Code::Ok))
    }

    #[tokio::test]
    async fn messages_pass_until_the_stream_ends_by_itself() {
        let messages = Box::pin(stream::iter([Ok(1), Ok(2)]));
        let passed: Vec<_> = until(messages, pending(), panicked).collect().await;
        assert_eq!(passed.len(), 2);
    }

    #[tokio::test]
    async fn an_error_is_the_last_message() {
        let messages = Box::pin(stream::iter([Err(Status::aborted("")), Ok(2)]));
        let mut stream = until(messages, pending(), panicked);
        assert_eq!(code(stream.next().await), Some(Code::Aborted));
        assert_eq!(code(stream.next().await), None);
    }

    #[tokio::test]
    async fn a_panic_is_the_last_message() {
        let messages = Box::pin(stream::iter([1, 2]).map(|number| {
            assert!(number < 2, "on purpose");
            Ok(number)
        }));
        let mut stream = until(messages, pending(), panicked);
        assert_eq!(code(stream.next().await), Some(Code::Ok));
        assert_eq!(code(stream.next().await), Some(Code::Internal));
        assert_eq!(code(stream.next().await), None);
    }

    #[tokio::test]
    async fn the_end_comes_between_messages_and_wakes_who_waits() {
        let busy = Box::pin(stream::repeat_with(|| Ok(1)));
        let mut stream = until(busy, ready(Status::unavailable("")), panicked);
        assert_eq!(code(stream.next().await), Some(Code::Unavailable));
        assert_eq!(code(stream.next().await), None);

        let (end, ended) = oneshot::channel();
        let ended = async { ended.await.unwrap_or_else(|_| panicked()) };
        let mut silent = until(Box::pin(stream::pending()), ended, panicked);
        let waiting = tokio::spawn(async move { code(silent.next().await) });
        tokio::task::yield_now().await;
        end.send(Status::unavailable("")).expect("a listener");
        assert_eq!(waiting.await.expect("no panic"), Some(Code::Unavailable));
    }
}
