//! Where a message of the caller waits until the handler asks for it: one at a time.
//!
//! As long as one waits nothing more is read from the connection, so that a caller who sends faster than the handler
//! reads is slowed down by TCP itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tonic::Status;

/// A message of the caller.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Which one it is, from 1.
    pub(super) number: usize,
    pub(super) data: Data,
}

/// What is in a message.
#[derive(Debug)]
pub(super) enum Data {
    /// UTF-8.
    Text(Bytes),
    Binary(Bytes),
}

#[derive(Default)]
struct Slot {
    item: Option<Result<Arrived, Status>>,
    /// Whether the caller has said that nothing comes any more.
    ended: bool,
    /// Whether there is nobody who could put something in, or take it out.
    orphaned: bool,
    /// The reader who waits for an item, or the writer who waits for room.
    waiting: Option<Waker>,
}

impl Slot {
    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn wait(&mut self, context: &Context<'_>) {
        self.waiting = Some(context.waker().clone());
    }
}

type Shared = Arc<Mutex<Slot>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Slot> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both ends.
pub(super) fn inbox() -> (Writer, Reader) {
    let shared = Shared::default();
    (Writer(shared.clone()), Reader(Some(shared)))
}

/// The end of the connection. Dropped, it tells a reader that the connection is no more.
pub(super) struct Writer(Shared);

impl Writer {
    /// Waits until there is room, or nobody reads any more.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut slot = lock(&self.0);
        if slot.item.is_none() || slot.orphaned {
            return Poll::Ready(());
        }
        slot.wait(context);
        Poll::Pending
    }

    /// Whether nobody reads any more.
    pub(super) fn is_orphaned(&self) -> bool {
        lock(&self.0).orphaned
    }

    /// Puts something in, where there is room.
    pub(super) fn put(&self, item: Result<Arrived, Status>) {
        let mut slot = lock(&self.0);
        if !slot.orphaned {
            slot.item = Some(item);
            slot.wake();
        }
    }

    /// Says that nothing comes any more.
    pub(super) fn end(&self) {
        let mut slot = lock(&self.0);
        slot.ended = true;
        slot.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.orphaned = true;
        slot.wake();
    }
}

/// The end of the handler.
pub(in crate::rest) struct Reader(Option<Shared>);

impl Reader {
    /// The next message; nothing comes after an error.
    pub(super) fn poll_next(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<Arrived, Status>>> {
        let Some(shared) = &self.0 else {
            return Poll::Ready(None);
        };
        let mut slot = lock(shared);
        let next = match slot.item.take() {
            Some(item) => {
                slot.wake();
                Some(item)
            }
            None if slot.ended => None,
            None if slot.orphaned => Some(Err(Status::cancelled("The connection ended"))),
            None => {
                slot.wait(context);
                return Poll::Pending;
            }
        };
        drop(slot);
        if !matches!(next, Some(Ok(_))) {
            self.close();
        }
        Poll::Ready(next)
    }

    /// Takes no more.
    fn close(&mut self) {
        if let Some(shared) = self.0.take() {
            let mut slot = lock(&shared);
            slot.orphaned = true;
            slot.item = None;
            slot.wake();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn message(number: usize) -> Result<Arrived, Status> {
        let data = Data::Text(Bytes::new());
        Ok(Arrived { number, data })
    }

    fn number(next: Poll<Option<Result<Arrived, Status>>>) -> Option<usize> {
        match next {
            Poll::Ready(Some(Ok(arrived))) => Some(arrived.number),
            _ => None,
        }
    }

    #[test]
    fn one_waits_and_each_end_wakes_the_other() {
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let context = Context::from_waker(&waker);
        let count = || woken.0.swap(0, Ordering::Relaxed);
        let (writer, mut reader) = inbox();
        assert!(reader.poll_next(&context).is_pending());
        assert!(writer.poll_room(&context).is_ready());
        writer.put(message(1));
        assert_eq!(count(), 1);
        assert!(writer.poll_room(&context).is_pending());
        assert_eq!(number(reader.poll_next(&context)), Some(1));
        assert_eq!(count(), 1);
        assert!(writer.poll_room(&context).is_ready());
        writer.put(message(2));
        writer.end();
        assert_eq!(number(reader.poll_next(&context)), Some(2));
        assert!(!writer.is_orphaned());
        assert!(matches!(reader.poll_next(&context), Poll::Ready(None)));
        assert!(writer.is_orphaned());
    }

    #[test]
    fn a_reader_hears_of_the_end_of_the_connection() {
        let context = Context::from_waker(Waker::noop());
        let (writer, mut reader) = inbox();
        writer.put(message(1));
        drop(writer);
        assert_eq!(number(reader.poll_next(&context)), Some(1));
        let Poll::Ready(Some(Err(status))) = reader.poll_next(&context) else {
            panic!("nothing");
        };
        assert_eq!(status.code(), tonic::Code::Cancelled);
        assert!(matches!(reader.poll_next(&context), Poll::Ready(None)));
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_gone() {
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let context = Context::from_waker(&waker);
        let (writer, reader) = inbox();
        writer.put(message(1));
        assert!(writer.poll_room(&context).is_pending());
        drop(reader);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(writer.poll_room(&context).is_ready());
        assert!(writer.is_orphaned());
    }
}
