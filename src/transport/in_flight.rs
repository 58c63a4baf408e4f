//! How many calls are answered at a time. One too many is told so at once: what waits in a queue without end helps nobody,
//! as its caller has given up before it is answered.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the calls that are under way.
#[derive(Debug)]
pub struct InFlight {
    count: AtomicUsize,
    most: usize,
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl InFlight {
    /// Lets `most` calls be under way.
    pub const fn new(most: usize) -> Self {
        Self {
            count: AtomicUsize::new(0),
            most,
        }
    }

    /// Whether one more would be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.most
    }

    /// Counts a call, unless it is one too many.
    pub(super) fn enter(&self) -> Option<Counted<'_>> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        // Dropped, it is counted no more.
        let counted = Counted(&self.count);
        (before < self.most).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_not_counted() {
        let calls = InFlight::new(2);
        let (first, second) = (calls.enter(), calls.enter());
        assert!(first.is_some() && second.is_some() && calls.is_full());
        assert!(calls.enter().is_none());
        drop(second);
        assert!(!calls.is_full());
        assert!(calls.enter().is_some());
    }
}
