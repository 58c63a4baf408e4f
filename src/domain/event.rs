//! What happened to a product, to be told to others.

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::Call;
use super::id::ProductId;
use super::product::Product;
use super::receipt::Receipt;

/// Who and what made a change happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Who asked for it, such as `user_456`.
    pub actor: String,
    /// What all that belongs together has in common, as the caller names it.
    pub correlation_id: String,
    /// The request that made the change.
    pub causation_id: String,
    /// W3C trace context of that request.
    pub traceparent: Option<String>,
    /// What the audit log is to say of it, where one is kept.
    pub audit: Option<Arc<Call>>,
    /// What the change leaves behind, where the request is to be made once.
    pub receipt: Option<Receipt>,
}

/// A change of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Identifier, greater than those of earlier events.
    pub id: Uuid,
    /// When it happened.
    pub time: OffsetDateTime,
    /// Who and what made it happen.
    pub cause: Cause,
    /// What happened.
    pub change: Change,
}

/// What happened to a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was created.
    Created(Box<Product>),
    /// It was changed.
    Updated {
        /// The product before.
        before: Box<Product>,
        /// The product after.
        after: Box<Product>,
    },
    /// It was deleted.
    Deleted(Box<Product>),
}

impl Change {
    /// The product before, when there was one.
    pub const fn before(&self) -> Option<&Product> {
        match self {
            Self::Created(_) => None,
            Self::Updated { before, .. } | Self::Deleted(before) => Some(before),
        }
    }

    /// The product after, when there is one.
    pub const fn after(&self) -> Option<&Product> {
        match self {
            Self::Created(after) | Self::Updated { after, .. } => Some(after),
            Self::Deleted(_) => None,
        }
    }

    /// Which product.
    pub const fn product_id(&self) -> ProductId {
        match self {
            Self::Created(product)
            | Self::Deleted(product)
            | Self::Updated { after: product, .. } => product.id,
        }
    }

    /// The version of the product that the change made; that of a deleted product is one more than its last.
    pub const fn version(&self) -> i32 {
        match self {
            Self::Created(product) | Self::Updated { after: product, .. } => product.version,
            Self::Deleted(product) => product.version.saturating_add(1),
        }
    }
}
