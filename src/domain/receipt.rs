//! What a change leaves behind for a caller who asks for the same again.

use std::fmt;
use std::sync::Arc;

use super::product::Product;

/// The answer to a call that is to be made once: the store keeps it together with the change that the call makes. Clones
/// are the same.
#[derive(Clone)]
pub struct Receipt(Arc<Inner>);

/// Makes the answer of a product.
type Answer = dyn Fn(&Product) -> Vec<u8> + Send + Sync;

struct Inner {
    call: CallId,
    answer: Box<Answer>,
    kept: Box<dyn Fn() + Send + Sync>,
}

/// Which call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId {
    /// Identifies caller, operation and key.
    pub id: [u8; 32],
    /// The operation.
    pub operation: &'static str,
    /// Identifies what was asked for.
    pub request: [u8; 32],
}

impl Receipt {
    /// The receipt of a call. `answer` makes the answer of the product as the change leaves it, or as it was before it is
    /// deleted; `kept` hears when it is kept.
    pub fn new(
        call: CallId,
        answer: impl Fn(&Product) -> Vec<u8> + Send + Sync + 'static,
        kept: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            call,
            answer: Box::new(answer),
            kept: Box::new(kept),
        }))
    }

    /// Which call it is.
    pub fn call(&self) -> &CallId {
        &self.0.call
    }

    /// The answer.
    pub fn answer(&self, product: &Product) -> Vec<u8> {
        (self.0.answer)(product)
    }

    /// The answer is kept.
    pub fn kept(&self) {
        (self.0.kept)();
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receipt").field(&self.0.call).finish()
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        self.0.call == other.0.call
    }
}

impl Eq for Receipt {}
