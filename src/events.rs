//! Events: how changes are told to other services, and what is heard of theirs.
//!
//! The store writes an event with each change into the outbox. From there the [`relay`] publishes it, through one of
//! the publishers, at least once and in order per product, and the [`feed`] hands it to watchers and caches of this
//! process. What a [`watch`] tells its caller is a choice of that. The [`subscriber`] hears of the stock that the
//! warehouses tell.

pub mod cloud_event;
pub mod contract;
pub mod feed;
pub mod publisher;
pub mod relay;
pub mod subscriber;
pub mod watch;
