//! A value that many callers read at a time.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A value that is read by many and changed by none. Clones are the same value.
///
/// It has room for one thing that a layer above makes of it, such as its form on the wire, so that the thing is made
/// once and lives exactly as long as the value.
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl<T> Shared<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner {
            value,
            derived: OnceLock::new(),
        }))
    }

    /// What `make` makes of the value: kept from the first time on. A thing of another type than the one that is kept
    /// is made each time.
    pub fn derived<D: Send + Sync + 'static>(&self, make: impl FnOnce(&T) -> D) -> Arc<D> {
        if let Some(kept) = self.0.derived.get()
            && let Ok(kept) = kept.clone().downcast()
        {
            return kept;
        }
        let made = Arc::new(make(&self.0.value));
        // Who came first, or made something else, has the room.
        let _ = self.0.derived.set(made.clone());
        made
    }
}

impl<T: Clone> Shared<T> {
    /// The value, taken where nobody else has it.
    pub fn into_inner(self) -> T {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.value,
            Err(shared) => shared.value.clone(),
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.value == other.0.value
    }
}

impl<T: PartialEq> PartialEq<T> for Shared<T> {
    fn eq(&self, other: &T) -> bool {
        self.0.value == *other
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_thing_is_made_once_for_all_clones() {
        let shared = Shared::new(7);
        let made = Cell::new(0);
        let text = |value: &i32| {
            made.set(made.get() + 1);
            value.to_string()
        };
        assert_eq!(*shared.derived(text), "7");
        assert_eq!(*shared.clone().derived(text), "7");
        assert_eq!(made.get(), 1);
        assert_eq!(*shared.derived(|value| value * 2), 14, "of another type");
        assert_eq!(*shared.derived(text), "7");
        assert_eq!(made.get(), 1);
    }
}
