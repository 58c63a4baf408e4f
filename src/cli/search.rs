//! `search`: what an operator may do about the search index.

use clap::Subcommand;

/// What to do about the search index.
// The comments on variants are the help text, hence without full stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum SearchCommand {
    /// Index all products anew, also those that were written by hand; searches go on meanwhile
    Reindex,
}
