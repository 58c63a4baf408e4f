//! The handlers of the RPCs: parse, call, convert.

mod catalog;
mod cause;
pub(crate) mod convert;
mod error;
mod identity;
mod once;
mod watch;

pub use catalog::CatalogHandler;
pub use error::{status, unavailable};
pub use identity::{CallerAddress, IdentityHandler};
pub use once::KeptAnswers;
