//! A watch: which of all changes one caller is told, and what they mean for the list of products it keeps.

use std::future::ready;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;
use transcode::Event as _;

use super::feed::{Ended, Feed, Step};
use crate::domain::{Category, Warehouse};
use crate::pb::catalog::v1 as pb;
use crate::store::outbox::{Listed, Message, OutboxEvent, Position};

/// The events that a caller is told. Others, and changes that have none because only this service is to know of them,
/// move its bookmark.
const TOLD: [&str; 3] = [
    pb::ProductCreatedEvent::TYPE,
    pb::ProductUpdatedEvent::TYPE,
    pb::ProductDeletedEvent::TYPE,
];

/// For how long a caller is told nothing at most while others' changes go by: its token must not grow too old.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// The products a caller wants to know about: those that a list with the same filters shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this category.
    pub category: Option<Category>,
    /// Only of this warehouse.
    pub warehouse: Option<Warehouse>,
}

/// What a change does to the list of the products that a filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The product was not in it, and is now.
    Entered,
    /// The product was in it, and still is.
    Changed,
    /// The product was in it, and is not any more.
    Left,
}

impl Filter {
    fn shows(&self, listed: Option<&Listed>) -> bool {
        listed.is_some_and(|listed| {
            (self.category.is_none() || self.category == listed.category)
                && (self.warehouse.is_none() || self.warehouse == listed.warehouse)
        })
    }

    /// What a change does to the list; none when it is not about it.
    pub fn effect(&self, event: &OutboxEvent) -> Option<Effect> {
        let before = self.shows(event.before.as_ref());
        let after = self.shows(event.after.as_ref());
        match (before, after) {
            (false, true) => Some(Effect::Entered),
            (true, true) => Some(Effect::Changed),
            (true, false) => Some(Effect::Left),
            (false, false) => None,
        }
    }
}

/// What a caller is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened; none is a bookmark.
    pub change: Option<(Message, Effect)>,
    /// Where to go on.
    pub position: Position,
}

/// Tells a caller what happens after a position, or from now on, beginning with a bookmark.
pub async fn watch(
    feed: &Feed,
    filter: Filter,
    from: Option<Position>,
) -> Result<impl Stream<Item = Result<Notice, Ended>> + Send + use<>, Ended> {
    let steps = feed.watch(from).await?;
    let mut teller = Teller {
        filter,
        told: Instant::now(),
    };
    Ok(steps.filter_map(move |step| {
        ready(match step {
            Ok(step) => teller.tell(step, Instant::now()).map(Ok),
            Err(ended) => Some(Err(ended)),
        })
    }))
}

/// Chooses what a caller is told.
struct Teller {
    filter: Filter,
    /// When it was told something.
    told: Instant,
}

impl Teller {
    fn tell(&mut self, step: Step, now: Instant) -> Option<Notice> {
        let Step { event, position } = step;
        let bookmark = event.is_none();
        let change = event.and_then(|event| {
            let effect = self.filter.effect(&event)?;
            let message = event.message?;
            let told = TOLD.contains(&message.event_type.as_str());
            told.then_some((message, effect))
        });
        let due = now.duration_since(self.told) >= BOOKMARK_INTERVAL;
        (bookmark || change.is_some() || due).then(|| {
            self.told = now;
            Notice { change, position }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ProductId, Recorded};

    fn listed(category: Option<&str>, warehouse: Option<&str>) -> Listed {
        Listed {
            category: category.map(|text| Category::parse(text).unwrap()),
            warehouse: warehouse.map(|text| Warehouse::parse(text).unwrap()),
        }
    }

    fn event(event_type: &str, before: Option<Listed>, after: Option<Listed>) -> OutboxEvent {
        let product_id = ProductId::new(Uuid::nil());
        OutboxEvent {
            recorded: Recorded { xid: 1, seq: 1 },
            product_id,
            product_version: 1,
            product_revision: 1,
            message: Some(Message {
                id: Uuid::nil(),
                topic: "catalog.product".to_owned(),
                event_type: event_type.to_owned(),
                product_id,
                payload: RawValue::from_string("{}".to_owned()).unwrap(),
                traceparent: None,
                time: OffsetDateTime::UNIX_EPOCH,
            }),
            before,
            after,
        }
    }

    fn filter(category: Option<&str>, warehouse: Option<&str>) -> Filter {
        let Listed {
            category,
            warehouse,
        } = listed(category, warehouse);
        Filter {
            category,
            warehouse,
        }
    }

    #[test]
    fn a_product_enters_and_leaves_what_a_filter_lets_through() {
        let (a, b) = (Some("a"), Some("b"));
        let at = |category, warehouse| Some(listed(category, warehouse));
        for (filter, before, after, effect) in [
            (
                filter(None, None),
                None,
                at(None, None),
                Some(Effect::Entered),
            ),
            (
                filter(None, None),
                at(a, a),
                at(b, b),
                Some(Effect::Changed),
            ),
            (filter(None, None), at(a, a), None, Some(Effect::Left)),
            (filter(a, None), None, at(a, b), Some(Effect::Entered)),
            (filter(a, None), None, at(b, a), None),
            (filter(a, None), None, at(None, a), None),
            (filter(a, None), at(b, a), at(a, a), Some(Effect::Entered)),
            (filter(a, None), at(a, a), at(a, b), Some(Effect::Changed)),
            (filter(a, None), at(a, a), at(b, a), Some(Effect::Left)),
            (filter(a, None), at(a, a), at(None, a), Some(Effect::Left)),
            (filter(a, None), at(b, a), None, None),
            (filter(a, b), at(a, a), at(a, b), Some(Effect::Entered)),
            (filter(a, b), at(a, b), at(b, b), Some(Effect::Left)),
            (filter(a, b), at(a, a), at(b, b), None),
            (filter(None, b), at(a, b), at(b, b), Some(Effect::Changed)),
        ] {
            let event = event("ProductUpdated", before, after);
            assert_eq!(filter.effect(&event), effect, "{filter:?} {event:?}");
        }
    }

    #[test]
    fn what_is_not_told_moves_the_bookmark() {
        let begin = Instant::now();
        let mut teller = Teller {
            filter: filter(Some("a"), None),
            told: begin,
        };
        let at = |category| Some(listed(Some(category), None));
        let other = event("ProductUpdated", at("b"), at("b"));
        let unknown = event("ProductPhotographed", at("a"), at("a"));
        let internal = OutboxEvent {
            message: None,
            ..event("", at("a"), at("a"))
        };
        let mut tell = |event: Option<&OutboxEvent>, seconds: u64| {
            let position: Position = format!("{}:{0}:", 100 + seconds).parse().unwrap();
            let step = Step {
                event: event.cloned(),
                position: position.clone(),
            };
            let notice = teller.tell(step, begin + Duration::from_secs(seconds))?;
            assert_eq!(notice.position, position);
            Some(notice.change.map(|(_, effect)| effect))
        };
        assert_eq!(tell(Some(&other), 1), None);
        assert_eq!(tell(Some(&internal), 29), None);
        assert_eq!(tell(Some(&other), 30), Some(None));
        assert_eq!(tell(Some(&internal), 59), None);
        assert_eq!(tell(Some(&unknown), 60), Some(None));
        assert_eq!(tell(None, 61), Some(None), "a bookmark of the feed");
        let own = event("ProductUpdated", at("a"), at("a"));
        assert_eq!(tell(Some(&own), 62), Some(Some(Effect::Changed)));
    }
}
