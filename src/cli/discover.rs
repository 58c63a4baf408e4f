//! `discover`: where the instances of a service are.

use clap::{Args, ValueEnum};

/// Which service to look for, and how to show what is found.
// The comments on fields and variants are the help text, hence without full stops.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Discover {
    /// Name of the service, for example order-service
    #[arg(value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub name: String,
    /// How instances are shown
    #[arg(long, value_enum, default_value_t)]
    pub format: DiscoverFormat,
    /// Go on, and show the instances again whenever they are others
    #[arg(long)]
    pub watch: bool,
}

/// How instances are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DiscoverFormat {
    /// A line for each
    #[default]
    Text,
    /// An array of objects, on one line
    Json,
}
