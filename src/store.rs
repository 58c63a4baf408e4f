//! Keeps the catalog in PostgreSQL: products, their stock, and the events of their changes; and the users.

pub mod answers;
pub mod audit;
mod batches;
pub mod bell;
mod connections;
pub mod counts;
mod error;
pub mod inbox;
pub mod inventory;
pub mod outbox;
pub mod postgres;
pub mod products;
pub mod search_index;
pub mod users;

pub use answers::PgAnswers;
pub use audit::PgAudit;
pub use bell::Bell;
pub use connections::{ConnectionCounts, ConnectionUse};
pub use counts::PgCounts;
pub use inbox::PgInbox;
pub use inventory::PgInventory;
pub use outbox::PgOutbox;
pub use products::PgProducts;
pub use search_index::PgSearchIndex;
pub use users::PgUsers;
