//! `audit`: shows the audit log.

use std::io::{self, Write};

use time::format_description::well_known::Rfc3339;

use super::{database, runtime};
use crate::app::Error;
use crate::cli::{AuditCommand, AuditFormat};
use crate::config::Config;
use crate::domain::{self, Environment as _};
use crate::store::audit::{Found, PgAudit, Search};
use crate::system::SystemEnvironment;

/// Shows what was asked for, of the configured database.
pub(super) fn run(config: &Config, command: &AuditCommand) -> Result<(), Error> {
    let AuditCommand::List {
        since,
        user,
        resource,
        limit,
        format,
    } = command;
    let search = Search {
        since: since.time(SystemEnvironment.now()),
        actor: user.clone(),
        resource: resource.clone(),
        limit: (*limit).into(),
    };
    let records = runtime()?.block_on(async {
        let log = PgAudit::new(database::open(config).await?);
        log.list(&search).await.map_err(|error| match error {
            // What a caller of the service would not be told, an operator is.
            domain::Error::Unavailable(cause) | domain::Error::Internal(cause) => cause,
            other => other.into(),
        })
    })?;
    let mut out = io::stdout().lock();
    for record in &records {
        match format {
            AuditFormat::Text => write_text(record, &mut out)?,
            AuditFormat::Json => {
                serde_json::to_writer(&mut out, record)?;
                writeln!(out)?;
            }
        }
    }
    if records.is_empty() {
        eprintln!("no record");
    } else if records.len() == *limit as usize {
        eprintln!("there may be more: --limit {limit} was reached");
    }
    Ok(())
}

/// A line: when, who, from where, what, about what, how it ended.
fn write_text(record: &Found, out: &mut impl Write) -> io::Result<()> {
    let shown = |text: &Option<String>| {
        text.as_deref()
            .unwrap_or("-")
            .replace(char::is_control, " ")
    };
    let whole = record.time.replace_nanosecond(0).unwrap_or(record.time);
    write!(
        out,
        "{}  {}  {}  {}  {}  {}",
        whole.format(&Rfc3339).unwrap_or_default(),
        shown(&record.actor),
        shown(&record.peer),
        record.rpc,
        shown(&record.resource),
        record.outcome
    )?;
    if !record.fields.is_empty() {
        write!(out, "  {}", record.fields.join(","))?;
    }
    writeln!(out)
}
