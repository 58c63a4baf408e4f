//! `search`: what an operator may do about the search index.

use std::error::Error as _;

use super::{database, runtime};
use crate::app::Error;
use crate::cli::SearchCommand;
use crate::config::Config;
use crate::store::PgSearchIndex;

/// Does what was asked on the index of the configured database.
pub(super) fn run(config: &Config, command: SearchCommand) -> Result<(), Error> {
    runtime()?.block_on(async {
        let index = PgSearchIndex::new(database::open(config).await?);
        match command {
            SearchCommand::Reindex => index.reindex().await.map_err(|error| {
                let cause = error.source().map(ToString::to_string);
                cause.unwrap_or_else(|| error.to_string()).into()
            }),
        }
    })
}
