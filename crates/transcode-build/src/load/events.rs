//! Events: reading `(transcode.v1.event)` and what events must keep to.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MessageDescriptor};

use super::{Loader, checks, place};
use crate::error::Error;
use crate::ir::{Api, Direction, Event};
use crate::options::{EventOptions, extension};

impl Loader<'_> {
    /// How a message travels, when it is an event.
    pub(super) fn event(&self, descriptor: &MessageDescriptor) -> Result<Option<Event>, Error> {
        let options = extension(self.pool, &descriptor.options(), "transcode.v1.event");
        options
            .map(|options| event(options).map_err(|message| fail(descriptor, message)))
            .transpose()
    }
}

fn event(options: EventOptions) -> Result<Event, String> {
    let direction = match options.direction {
        1 => Direction::Published,
        2 => Direction::Subscribed,
        _ => return Err("the event needs a direction".to_owned()),
    };
    topic("topic", &options.topic)?;
    if options.version.is_empty() {
        return Err("the event needs a version".to_owned());
    }
    let dead_letter_topic = if options.dead_letter_topic.is_empty() {
        None
    } else {
        topic("dead_letter_topic", &options.dead_letter_topic)?;
        if direction == Direction::Published {
            return Err("dead_letter_topic is for an event that is subscribed to".to_owned());
        }
        if options.dead_letter_topic == options.topic {
            return Err("dead_letter_topic is the topic itself".to_owned());
        }
        Some(options.dead_letter_topic)
    };
    Ok(Event {
        topic: options.topic,
        version: options.version,
        direction,
        dead_letter_topic,
    })
}

/// Whether a topic has a name that every broker takes.
fn topic(option: &str, name: &str) -> Result<(), String> {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match name {
        "" => Err(format!("the event needs a {option}")),
        _ if name.bytes().all(usual) => Ok(()),
        _ => Err(format!(
            "{option} `{name}` must be of letters, digits, '.', '_' and '-'"
        )),
    }
}

/// Each topic has one event in each direction, and each event has a name of its own.
pub(super) fn check(api: &Api, pool: &DescriptorPool) -> Result<(), Error> {
    let mut topics = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (full_name, message, event) in api.events() {
        let error = |text: String| match pool.get_message_by_name(full_name) {
            Some(descriptor) => fail(&descriptor, text),
            None => Error::Contract {
                place: checks::unknown(),
                message: text,
            },
        };
        if let Some(other) = topics.insert((event.direction, &event.topic), full_name) {
            return Err(error(format!(
                "topic `{}` has the event {other} already",
                event.topic
            )));
        }
        if let Some(other) = names.insert(message.event_type(), full_name) {
            return Err(error(format!(
                "the event is called as {other} is: documents could not tell them apart"
            )));
        }
    }
    Ok(())
}

fn fail(descriptor: &MessageDescriptor, message: String) -> Error {
    let file = descriptor.parent_file();
    Error::Contract {
        place: place(&file, descriptor.path(), descriptor.full_name()),
        message,
    }
}
