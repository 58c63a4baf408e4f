//! Statements for several callers at a time.
//!
//! A caller that finds a place goes out at once and alone. Those that come while all places are taken wait for the next
//! statement, which is for all of them. Nobody waits for company, and nobody joins a statement that was sent before.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Most callers of a statement.
pub(super) const MOST: usize = 64;

/// How long a statement keeps its place. One that takes longer, as it waits for a lock, is not to keep others waiting.
const PATIENCE: Duration = Duration::from_millis(100);

/// A statement that takes several items and has an answer for each.
pub(super) trait Statement: Clone + Send + Sync + 'static {
    /// What a caller brings.
    type Item: Send + 'static;
    /// What it gets.
    type Answer: Send + 'static;

    /// How many such statements are under way at a time.
    const PLACES: usize;

    /// Runs the statement for all of them, at least one and at most [`MOST`].
    fn run(
        &self,
        callers: Vec<Caller<Self::Item, Self::Answer>>,
    ) -> impl Future<Output = ()> + Send;
}

/// One who waits. It may have gone away before it is answered.
#[derive(Debug)]
pub(super) struct Caller<I, A> {
    pub(super) item: I,
    pub(super) answer: oneshot::Sender<A>,
}

/// The callers of a statement. Clones are the same.
#[derive(Debug)]
pub(super) struct Batches<S: Statement> {
    statement: S,
    queue: Arc<Mutex<Queue<S::Item, S::Answer>>>,
}

impl<S: Statement> Clone for Batches<S> {
    fn clone(&self) -> Self {
        Self {
            statement: self.statement.clone(),
            queue: self.queue.clone(),
        }
    }
}

#[derive(Debug)]
struct Queue<I, A> {
    /// Places that are taken by statements.
    taken: usize,
    /// In the order they came; empty unless all places are taken.
    waiting: VecDeque<Caller<I, A>>,
}

/// How a call begins.
pub(super) enum Begin<S: Statement> {
    Alone(Place<S>),
    /// Gets no answer only when the runtime ends.
    Waits(oneshot::Receiver<S::Answer>),
}

impl<S: Statement> Batches<S> {
    pub(super) fn new(statement: S) -> Self {
        let (taken, waiting) = (0, VecDeque::new());
        Self {
            statement,
            queue: Arc::new(Mutex::new(Queue { taken, waiting })),
        }
    }

    /// The statement.
    pub(super) const fn statement(&self) -> &S {
        &self.statement
    }

    fn queue(&self) -> MutexGuard<'_, Queue<S::Item, S::Answer>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or waits for the next statement with what `item` makes.
    pub(super) fn begin(&self, item: impl FnOnce() -> S::Item) -> Begin<S> {
        let mut queue = self.queue();
        if queue.taken < S::PLACES {
            queue.taken += 1;
            return Begin::Alone(Place(self.clone()));
        }
        let (answer, receiver) = oneshot::channel();
        let item = item();
        queue.waiting.push_back(Caller { item, answer });
        Begin::Waits(receiver)
    }

    /// Those that are to go into the next statement. Without any the place is free.
    fn next(&self) -> Vec<Caller<S::Item, S::Answer>> {
        let mut batch = Vec::new();
        let mut queue = self.queue();
        while batch.len() < MOST
            && let Some(caller) = queue.waiting.pop_front()
        {
            // Not for one that was given up meanwhile.
            if !caller.answer.is_closed() {
                batch.push(caller);
            }
        }
        if batch.is_empty() {
            queue.taken -= 1;
        }
        batch
    }
}

/// A place for one statement. At its end, however it comes, those that wait take it over.
pub(super) struct Place<S: Statement>(Batches<S>);

impl<S: Statement> Place<S> {
    /// Keeps the place while the work is done, but not for ever.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        drop(self);
        work.await
    }
}

impl<S: Statement> Drop for Place<S> {
    fn drop(&mut self) {
        let batch = self.0.next();
        if batch.is_empty() {
            return;
        }
        let batches = self.0.clone();
        let place = Self(batches.clone());
        let task = async move { place.hold(batches.statement.run(batch)).await };
        // Its own task, which no caller can cut off. Without a runtime nobody waits any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Answers each number with how many were in its statement, once it may.
    #[derive(Clone)]
    struct Count(Arc<Semaphore>);

    impl Statement for Count {
        type Item = u32;
        type Answer = (u32, usize);
        const PLACES: usize = 2;

        async fn run(&self, callers: Vec<Caller<u32, (u32, usize)>>) {
            self.0.acquire().await.expect("open").forget();
            let count = callers.len();
            for caller in callers {
                let _ = caller.answer.send((caller.item, count));
            }
        }
    }

    impl Batches<Count> {
        async fn ask(&self, number: u32) -> (u32, usize) {
            match self.begin(|| number) {
                Begin::Alone(place) => {
                    let gate = self.statement().0.clone();
                    place
                        .hold(async { gate.acquire().await.expect("open").forget() })
                        .await;
                    (number, 1)
                }
                Begin::Waits(answer) => answer.await.expect("an answer"),
            }
        }
    }

    #[tokio::test]
    async fn those_that_come_meanwhile_go_together() {
        let gate = Arc::new(Semaphore::new(0));
        let batches = Batches::new(Count(gate.clone()));
        let calls: Vec<_> = (0..10)
            .map(|number| {
                let batches = batches.clone();
                tokio::spawn(async move { batches.ask(number).await })
            })
            .collect();
        tokio::task::yield_now().await;
        calls[5].abort();
        gate.add_permits(10);
        let mut sizes = Vec::new();
        for (number, call) in (0..).zip(calls) {
            if number == 5 {
                assert!(call.await.is_err_and(|error| error.is_cancelled()));
            } else {
                let (answered, size) = call.await.expect("an answer");
                assert_eq!(answered, number);
                sizes.push(size);
            }
        }
        assert_eq!(sizes, [1, 1, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(batches.queue().taken, 0);
    }

    #[tokio::test]
    async fn who_waits_for_a_lock_keeps_nobody_waiting() {
        let gate = Arc::new(Semaphore::new(0));
        let batches = Batches::new(Count(gate.clone()));
        let slow: Vec<_> = (0..)
            .take(Count::PLACES)
            .map(|number| {
                let batches = batches.clone();
                tokio::spawn(async move { batches.ask(number).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let waiting = batches.clone();
        let waiting = tokio::spawn(async move { waiting.ask(7).await });
        tokio::time::sleep(PATIENCE * 2).await;
        assert!(!slow.iter().any(tokio::task::JoinHandle::is_finished));
        // A place is free again: the statement of the one who waited is under way, and that of this one too.
        let Begin::Alone(place) = batches.begin(|| 8) else {
            panic!("no place is free")
        };
        drop(place);
        gate.add_permits(10);
        assert_eq!(waiting.await.expect("an answer"), (7, 1));
        for call in slow {
            call.await.expect("an answer");
        }
        assert_eq!(batches.queue().taken, 0);
    }
}
