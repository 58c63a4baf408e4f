//! `counts`: what an operator may do about the counts behind the totals of lists.

use std::error::Error as _;

use super::{database, runtime};
use crate::app::Error;
use crate::cli::CountsCommand;
use crate::config::Config;
use crate::store::PgCounts;

/// Does what was asked on the counts of the configured database.
pub(super) fn run(config: &Config, command: CountsCommand) -> Result<(), Error> {
    runtime()?.block_on(async {
        let counts = PgCounts::new(database::open(config).await?);
        match command {
            CountsCommand::Recount => counts.recount().await.map_err(|error| {
                let cause = error.source().map(ToString::to_string);
                cause.unwrap_or_else(|| error.to_string()).into()
            }),
        }
    })
}
