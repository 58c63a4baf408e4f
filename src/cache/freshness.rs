//! Whether what was read earlier still holds all changes that are known.
//!
//! Changes are counted per product and per list, in tables of fixed size: two that share a place only cost each other
//! a read. What was read from the store is as fresh as the [`Stamp`] that was taken before the read; what another
//! instance read is as fresh as the transactions it says it holds ([`Freshness::horizon`]).

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::{Category, ProductId, Recorded, Warehouse};

const PRODUCTS: usize = 1 << 16;
const LISTS: usize = 1 << 12;

/// How many own changes are remembered before those that were heard of long ago are looked for.
const OWN: usize = 1024;

/// A place in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Product(usize),
    List(usize),
}

/// A moment in the life of a place: equal stamps mean that nothing changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    era: u64,
    changes: u64,
}

/// What is known of the changes of one place.
#[derive(Debug, Default)]
struct Entry {
    /// How often it changed, as far as this process knows.
    changes: AtomicU64,
    /// What holds all transactions before this one holds all those changes.
    complete_at: AtomicU64,
}

impl Entry {
    fn change(&self, xid: Option<u64>) {
        if let Some(xid) = xid {
            self.complete_at.fetch_max(xid + 1, Ordering::AcqRel);
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// Knows of all changes, as long as they are followed.
#[derive(Debug)]
pub(super) struct Freshness {
    /// Even while changes are followed; one more each time that following is lost or found again.
    era: AtomicU64,
    products: Box<[Entry]>,
    lists: Box<[Entry]>,
    /// All transactions before this one are known.
    horizon: AtomicU64,
    /// Changes of this process that were counted when they were made, and need not be when they are heard of.
    own: Mutex<HashSet<Recorded>>,
    hasher: RandomState,
}

impl Default for Freshness {
    fn default() -> Self {
        let entries = |count| (0..count).map(|_| Entry::default()).collect();
        Self {
            era: AtomicU64::new(1),
            products: entries(PRODUCTS),
            lists: entries(LISTS),
            horizon: AtomicU64::new(0),
            own: Mutex::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Freshness {
    /// The place of a product.
    pub fn product(id: ProductId) -> Place {
        // The last bits of a UUIDv7 are random.
        let [.., high, low] = *id.uuid().as_bytes();
        Place::Product(usize::from(u16::from_be_bytes([high, low])))
    }

    /// The place of the lists of a category, a warehouse, both or neither.
    pub fn list(&self, category: Option<&Category>, warehouse: Option<&Warehouse>) -> Place {
        #[expect(clippy::cast_possible_truncation, reason = "only some bits are needed")]
        let hash = self.hasher.hash_one((category, warehouse)) as usize;
        Place::List(hash % LISTS)
    }

    fn entry(&self, place: Place) -> &Entry {
        match place {
            Place::Product(index) => &self.products[index],
            Place::List(index) => &self.lists[index],
        }
    }

    /// The moment, to be taken before a read; none while changes may be missed.
    pub fn stamp(&self, place: Place) -> Option<Stamp> {
        let era = self.era.load(Ordering::Acquire);
        let changes = self.entry(place).changes.load(Ordering::Acquire);
        era.is_multiple_of(2).then_some(Stamp { era, changes })
    }

    /// This process may have changed something there; where it knows what, `heard` tells it again later.
    pub fn change(&self, places: impl IntoIterator<Item = Place>, recorded: Option<Recorded>) {
        if let Some(recorded) = recorded {
            self.own().insert(recorded);
        }
        for place in places {
            self.entry(place)
                .change(recorded.map(|recorded| recorded.xid));
        }
    }

    /// A change there was heard of.
    pub fn hear(&self, places: impl IntoIterator<Item = Place>, recorded: Recorded) {
        if self.own().remove(&recorded) {
            return;
        }
        for place in places {
            self.entry(place).change(Some(recorded.xid));
        }
    }

    /// All transactions before `horizon` were heard of.
    pub fn reach(&self, horizon: u64) {
        self.horizon.store(horizon, Ordering::Release);
        let mut own = self.own();
        if own.len() > OWN {
            // Heard of before the writer was told.
            own.retain(|recorded| recorded.xid >= horizon);
        }
    }

    /// All transactions before this one are in what is read from now on.
    pub fn horizon(&self) -> u64 {
        self.horizon.load(Ordering::Acquire)
    }

    /// Whether what holds all transactions before `horizon` holds all known changes of a place. One that is ahead of
    /// what this process knows is of another database.
    pub fn is_complete(&self, place: Place, horizon: u64) -> bool {
        horizon >= self.entry(place).complete_at.load(Ordering::Acquire)
            && horizon <= self.horizon().max(1) + AHEAD
    }

    /// A place changed by the transaction `xid`, before this process kept anything.
    pub fn require(&self, place: Place, xid: u64) {
        let entry = self.entry(place);
        entry.complete_at.fetch_max(xid + 1, Ordering::AcqRel);
    }

    /// Any product may have changed before the transaction `xid`.
    pub fn require_of_products(&self, xid: u64) {
        require_before(&self.products, xid);
    }

    /// Any list may have changed before the transaction `xid`.
    pub fn require_of_lists(&self, xid: u64) {
        require_before(&self.lists, xid);
    }

    /// Changes may be missed from now on.
    pub fn lose(&self) {
        self.era.fetch_or(1, Ordering::AcqRel);
    }

    /// No change is missed any more. What was read meanwhile is not kept.
    pub fn find(&self) {
        let follow = |era: u64| (!era.is_multiple_of(2)).then_some(era + 1);
        // It may be followed already.
        let _ = self
            .era
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, follow);
    }

    fn own(&self) -> std::sync::MutexGuard<'_, HashSet<Recorded>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn require_before(entries: &[Entry], xid: u64) {
    for entry in entries {
        entry.complete_at.fetch_max(xid, Ordering::AcqRel);
    }
}

/// How many transactions another instance may know of that this one does not yet.
const AHEAD: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn followed() -> Freshness {
        let freshness = Freshness::default();
        freshness.find();
        freshness
    }

    const fn recorded(xid: u64) -> Recorded {
        Recorded { xid, seq: 1 }
    }

    #[test]
    fn a_change_ends_stamps_of_its_place_only() {
        let freshness = followed();
        let (a, b) = (Place::Product(1), Place::Product(2));
        let before = (freshness.stamp(a), freshness.stamp(b));
        freshness.change([a], None);
        assert_ne!(freshness.stamp(a), before.0);
        assert_eq!(freshness.stamp(b), before.1);
    }

    #[test]
    fn own_changes_count_once() {
        let freshness = followed();
        let place = Place::List(1);
        freshness.change([place], Some(recorded(10)));
        let stamp = freshness.stamp(place);
        freshness.hear([place], recorded(10));
        assert_eq!(freshness.stamp(place), stamp);
        freshness.hear([place], recorded(10));
        assert_ne!(freshness.stamp(place), stamp);
    }

    #[test]
    fn a_late_commit_counts_though_a_later_transaction_is_known() {
        let freshness = followed();
        let place = Place::Product(1);
        freshness.hear([place], recorded(10));
        let stamp = freshness.stamp(place);
        freshness.hear([place], recorded(7));
        assert_ne!(freshness.stamp(place), stamp);
        freshness.reach(12);
        assert!(!freshness.is_complete(place, 10));
        assert!(freshness.is_complete(place, 11));
    }

    #[test]
    fn nothing_is_fresh_while_changes_are_missed() {
        let freshness = Freshness::default();
        let place = Place::Product(1);
        assert_eq!(freshness.stamp(place), None);
        freshness.find();
        let stamp = freshness.stamp(place);
        assert!(stamp.is_some());
        freshness.find();
        assert_eq!(freshness.stamp(place), stamp, "followed already");
        freshness.lose();
        freshness.lose();
        assert_eq!(freshness.stamp(place), None);
        freshness.find();
        assert_ne!(freshness.stamp(place), stamp);
    }

    #[test]
    fn what_changed_before_is_required() {
        let freshness = followed();
        let (a, b) = (Place::Product(1), Place::Product(2));
        freshness.reach(100);
        freshness.require(a, 50);
        assert!(!freshness.is_complete(a, 50) && freshness.is_complete(a, 51));
        assert!(freshness.is_complete(b, 1));
        freshness.require_of_products(60);
        assert!(!freshness.is_complete(b, 59) && freshness.is_complete(b, 60));
        freshness.require_of_lists(60);
        assert!(!freshness.is_complete(Place::List(3), 59));
    }

    #[test]
    fn what_another_database_holds_is_not_complete() {
        let freshness = followed();
        freshness.reach(100);
        assert!(freshness.is_complete(Place::Product(0), 90));
        assert!(!freshness.is_complete(Place::Product(0), 100 + 2 * AHEAD));
    }

    #[test]
    fn places_are_within_the_tables() {
        let last = ProductId::new(Uuid::max());
        assert_eq!(Freshness::product(last), Place::Product(PRODUCTS - 1));
        let freshness = Freshness::default();
        let warehouse = Warehouse::parse("WH001").expect("a warehouse");
        let Place::List(index) = freshness.list(None, Some(&warehouse)) else {
            panic!("not a list")
        };
        assert!(index < LISTS);
        assert_eq!(freshness.list(None, Some(&warehouse)), Place::List(index));
    }
}
