//! `events`: shows events that the broker refused, and has parked ones published again.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{database, runtime};
use crate::app::Error;
use crate::cli::{EventsCommand, EventsFormat, Replay};
use crate::config::Config;
use crate::domain::{self, id};
use crate::events::contract::EVENT_PREFIX;
use crate::store::PgOutbox;
use crate::store::outbox::Refused;

/// Does what was asked on the outbox of the configured database.
pub(super) fn run(config: &Config, command: &EventsCommand) -> Result<(), Error> {
    runtime()?.block_on(async {
        let outbox = PgOutbox::new(database::open(config).await?);
        match command {
            EventsCommand::List {
                all, limit, format, ..
            } => list(&outbox, *all, *limit, *format).await,
            EventsCommand::Replay(which) => replay(&outbox, which).await,
        }
    })
}

async fn list(outbox: &PgOutbox, all: bool, limit: u32, format: EventsFormat) -> Result<(), Error> {
    let events = outbox.refused(!all, limit.into()).await.map_err(cause)?;
    let mut out = io::stdout().lock();
    match format {
        EventsFormat::Text => write_text(&events, &mut out)?,
        EventsFormat::Json => write_json(&events, &mut out)?,
    }
    if events.is_empty() {
        eprintln!("no event {}", if all { "was refused" } else { "is parked" });
    } else if u32::try_from(events.len()).is_ok_and(|count| count == limit) {
        eprintln!("there may be more: --limit {limit} was reached");
    }
    Ok(())
}

async fn replay(outbox: &PgOutbox, which: &Replay) -> Result<(), Error> {
    let ids = (!which.all).then_some(which.ids.as_slice());
    let replayed = outbox.replay(ids).await.map_err(cause)?;
    println!("{}", counted(replayed.len()));
    let missing: Vec<_> = (which.ids.iter())
        .filter(|id| !replayed.contains(id))
        .map(|id| event_id(*id))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not parked: {}", missing.join(", ")).into())
    }
}

fn counted(count: usize) -> String {
    match count {
        0 => "no event is published again".to_owned(),
        1 => "1 event is published again".to_owned(),
        _ => format!("{count} events are published again"),
    }
}

/// What a caller of the service would not be told, an operator is.
fn cause(error: domain::Error) -> Error {
    match error {
        domain::Error::Unavailable(cause) | domain::Error::Internal(cause) => cause,
        other => other.into(),
    }
}

fn event_id(id: Uuid) -> String {
    id::encode(EVENT_PREFIX, id)
}

/// An event, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    id: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    topic: &'a str,
    product_id: String,
    time: String,
    state: &'static str,
    attempts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    payload: &'a RawValue,
}

impl<'a> From<&'a Refused> for Listed<'a> {
    fn from(event: &'a Refused) -> Self {
        let message = &event.message;
        let (state, parked_at, next_attempt_at) = match event.parked_at {
            Some(time) => ("parked", Some(shown(time)), None),
            None if event.attempts > 0 => ("retrying", None, Some(shown(event.next_attempt_at))),
            None => ("waiting", None, None),
        };
        Self {
            id: event_id(message.id),
            event_type: &message.event_type,
            topic: &message.topic,
            product_id: message.product_id.to_string(),
            time: shown(message.time),
            state,
            attempts: event.attempts,
            parked_at,
            next_attempt_at,
            last_error: event.last_error.as_deref(),
            payload: &message.payload,
        }
    }
}

fn shown(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}

fn write_json(events: &[Refused], out: &mut impl Write) -> io::Result<()> {
    let events: Vec<Listed<'_>> = events.iter().map(Listed::from).collect();
    serde_json::to_writer_pretty(&mut *out, &events)?;
    writeln!(out)
}

fn write_text(events: &[Refused], out: &mut impl Write) -> io::Result<()> {
    const HEAD: [&str; 6] = ["EVENT", "TYPE", "PRODUCT", "STATE", "TRIED", "TIME"];
    if events.is_empty() {
        return Ok(());
    }
    let row = |event: &Refused| {
        let Listed {
            id,
            event_type,
            product_id,
            state,
            attempts,
            time,
            ..
        } = event.into();
        let (state, attempts) = (state.to_owned(), attempts.to_string());
        [id, event_type.to_owned(), product_id, state, attempts, time]
    };
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned))
        .chain(events.iter().map(row))
        .collect();
    let errors = std::iter::once("ERROR").chain(
        events
            .iter()
            .map(|event| event.last_error.as_deref().unwrap_or("-")),
    );
    for (row, error) in rows.iter().zip(errors) {
        for (column, cell) in row.iter().enumerate() {
            let cells = rows.iter().map(|row| row[column].len());
            write!(out, "{cell:0$}  ", cells.max().unwrap_or_default())?;
        }
        // What a broker says may be of several lines.
        writeln!(out, "{}", error.replace(char::is_control, " "))?;
    }
    Ok(())
}
