//! `events`: what an operator may ask and do about events that were refused.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use crate::domain::id;
use crate::events::contract::EVENT_PREFIX;

/// What to do about events.
// The comments on fields and variants are the help text, hence without full stops.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum EventsCommand {
    /// Show events that the broker refused, the oldest first
    List {
        /// Only those that were given up (the default)
        #[arg(long, conflicts_with = "all")]
        parked: bool,
        /// Also those that are tried again, and those that wait behind them
        #[arg(long)]
        all: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// How they are written
        #[arg(long, value_enum, default_value_t)]
        format: EventsFormat,
    },
    /// Have parked events published again
    Replay(Replay),
}

/// Which parked events are published again.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(required = true, multiple = false)]
pub struct Replay {
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Those of these identifiers
    #[arg(value_name = "EVENT_ID", value_parser = event_id)]
    pub ids: Vec<Uuid>,
}

/// How events are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EventsFormat {
    /// A line each, for people
    #[default]
    Text,
    /// An array, for programs; with what is published
    Json,
}

fn event_id(text: &str) -> Result<Uuid, String> {
    id::decode(EVENT_PREFIX, text)
        .ok_or_else(|| "must be the id of an event: evt_ and 26 characters".to_owned())
}
