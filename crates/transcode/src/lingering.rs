//! Answers that reach callers who are still sending.
//!
//! Over HTTP/1.1 a server that has answered before it has read all of a request can only close the connection, and a
//! caller who is writing then sees that, and not the answer, which says why: a message that is too large, a token that is
//! no longer good. So what still comes is read and thrown away for a while, after the answer was sent and before it ends.
//! HTTP/2 has a way of its own to tell a caller to stop.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::codegen::Service;

/// Most bytes that are thrown away.
const MOST: usize = 1 << 20;

/// Longest time in which they are.
const LONGEST: Duration = Duration::from_secs(1);

/// A `tower::Service` that reads on, for a while, what callers by HTTP/1.1 send when they have their answer. It stands in
/// front of all others, next to the connection.
#[derive(Clone, Debug)]
pub struct Lingering<S>(pub S);

/// Where a body is put that nobody wants to read.
type Slot<B> = Arc<Mutex<Option<B>>>;

fn lock<B>(slot: &Slot<B>) -> std::sync::MutexGuard<'_, Option<B>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S, B, R> Service<Request<B>> for Lingering<S>
where
    S: Service<Request<Unread<B>>, Response = Response<R>>,
    S::Future: Unpin,
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Response = Response<Lingers<R, B>>;
    type Error = S::Error;
    type Future = Answering<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let may_be_left = request.version() < Version::HTTP_2
            && !request.body().is_end_stream()
            // Such a caller has sent nothing yet.
            && !request.headers().contains_key(header::EXPECT);
        let slot = may_be_left.then(Slot::default);
        let request = request.map(|body| Unread {
            body: Some(body),
            slot: slot.clone(),
        });
        Answering {
            answer: self.0.call(request),
            slot,
        }
    }
}

/// An answer on its way.
pub struct Answering<F, B> {
    answer: F,
    slot: Option<Slot<B>>,
}

impl<F, B> Unpin for Answering<F, B> {}

impl<F, B, R, E> Future for Answering<F, B>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<Lingers<R, B>>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        // One that nobody else has is never filled any more.
        let is_left = |slot: &Slot<B>| Arc::strong_count(slot) > 1 || lock(slot).is_some();
        let slot = self.slot.take().filter(is_left);
        Poll::Ready(answer.map(|mut answer| {
            if slot.as_ref().is_some_and(|slot| lock(slot).is_some()) {
                // Or the connection would take the last byte for the end.
                answer.headers_mut().remove(header::CONTENT_LENGTH);
            }
            answer.map(|body| Lingers {
                body,
                slot,
                left: None,
            })
        }))
    }
}

/// The body of a request, which comes back when it is dropped before its end.
pub struct Unread<B: HttpBody + Unpin> {
    /// None after the end.
    body: Option<B>,
    slot: Option<Slot<B>>,
}

impl<B: HttpBody + Unpin> HttpBody for Unread<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: HttpBody + Unpin> Drop for Unread<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(slot)) = (self.body.take(), &self.slot)
            && !body.is_end_stream()
        {
            *lock(slot) = Some(body);
        }
    }
}

/// The body of an answer, which ends when its request has, or when it was waited for long enough.
pub struct Lingers<R, B> {
    body: R,
    /// None where nothing was left unread.
    slot: Option<Slot<B>>,
    /// What is being thrown away, how much of it may still be, and until when.
    left: Option<(B, usize, Pin<Box<Sleep>>)>,
}

impl<R, B> Lingers<R, B>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    /// Reads what is left.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(slot) = self.slot.take() {
            let body = lock(&slot).take();
            self.left = body.map(|body| (body, MOST, Box::pin(sleep(LONGEST))));
        }
        while let Some((body, most, late)) = &mut self.left {
            if late.as_mut().poll(context).is_ready() {
                break;
            }
            let frame = ready!(Pin::new(body).poll_frame(context));
            let length = match frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Buf::remaining),
                Some(Err(_)) | None => break,
            };
            match most.checked_sub(length) {
                Some(less) => *most = less,
                None => break,
            }
        }
        self.left = None;
        Poll::Ready(())
    }
}

impl<R, B> HttpBody for Lingers<R, B>
where
    R: HttpBody + Unpin,
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        if self.left.is_none() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            if frame.is_some() {
                return Poll::Ready(frame);
            }
        }
        ready!(self.poll_left(context));
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.slot.is_none() && self.left.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.slot {
            // Not to be known either.
            Some(slot) if lock(slot).is_some() => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}
