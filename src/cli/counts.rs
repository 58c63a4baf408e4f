//! `counts`: what an operator may do about the counts behind the totals of lists.

use clap::Subcommand;

/// What to do about counts.
// The comments on variants are the help text, hence without full stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum CountsCommand {
    /// Count all products anew, also those that were written by hand; nothing can be changed meanwhile
    Recount,
}
