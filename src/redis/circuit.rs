//! A circuit: closed while Redis answers, open while it does not.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Cause;

/// One circuit.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    open: AtomicBool,
    /// Why it was opened, or was not closed.
    reason: Mutex<Option<Cause>>,
}

impl Circuit {
    /// Why nothing may be sent, if so.
    pub fn check(&self) -> Option<Cause> {
        if !self.open.load(Ordering::Acquire) {
            return None;
        }
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        Some(reason.clone().unwrap_or_else(|| Cause::new("unknown")))
    }

    /// Opens it, or says the newest reason why it is open. True for the one who opened it, who is to see that it is
    /// closed again.
    pub fn open(&self, reason: Cause) -> bool {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        !self.open.swap(true, Ordering::AcqRel)
    }

    /// Closes it.
    pub fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_opens() {
        let circuit = Circuit::default();
        assert_eq!(circuit.check(), None);
        assert!(circuit.open(Cause::new("a")));
        assert!(!circuit.open(Cause::new("b")));
        assert_eq!(circuit.check(), Some(Cause::new("b")));
        circuit.close();
        assert_eq!(circuit.check(), None);
        assert!(circuit.open(Cause::new("c")));
    }
}
