//! `config`: what an operator may ask about the configuration.

use clap::Subcommand;

/// What to do with the configuration.
// The comments on variants are the help text, hence without full stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the service would start with it; the exit status is 78 when it would not
    Check,
    /// Print all values and where each comes from, as a file; secrets are masked
    Print,
}
