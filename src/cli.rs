//! The command line of `catalog-service`.
//!
//! Long options may be written with one dash or two (`-conf DIR`, `-conf=DIR`, `--conf DIR`): the deployments
//! this service takes over from start their binaries with `-conf`.

mod audit;
mod config;
mod counts;
mod discover;
mod events;
pub mod healthcheck;
mod search;
mod users;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use audit::{AuditCommand, AuditFormat, Since};
pub use config::ConfigCommand;
pub use counts::CountsCommand;
pub use discover::{Discover, DiscoverFormat};
pub use events::{EventsCommand, EventsFormat, Replay};
pub use search::SearchCommand;
pub use users::{NewUserArgs, UsersCommand};

/// A complete command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// The directory with the configuration files, where one was named.
    pub conf: Option<PathBuf>,
    /// What to do.
    pub command: Command,
}

/// What clap reads: [`Cli`] before the default command is filled in.
#[derive(Parser)]
#[command(
    name = "catalog-service",
    version,
    about = "Product catalog over gRPC, gRPC-Web and REST"
)]
struct Arguments {
    /// Directory with the configuration files
    #[arg(long, global = true, value_name = "DIR")]
    conf: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the binary can do.
// The comments on fields and variants are the help text, hence without full stops.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the service (the default)
    Serve,
    /// Print a bearer token signed with the configured key
    Token {
        /// What the token allows, separated by spaces
        #[arg(long, value_name = "SCOPES", value_parser = scopes)]
        scope: Scopes,
        /// Whom the token is about, for example user_456
        #[arg(long, value_name = "SUBJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        sub: String,
        /// How long the token is valid, for example 90s, 15m or 1h
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = ttl)]
        ttl: Duration,
    },
    /// Print the OpenAPI description of the REST interface
    Openapi {
        /// The notation
        #[arg(long, value_enum, default_value_t)]
        format: Notation,
    },
    /// Print the AsyncAPI description of the events
    Asyncapi {
        /// The notation
        #[arg(long, value_enum, default_value_t)]
        format: Notation,
        /// Write both notations, and a page for each event, into a folder instead
        #[arg(long, value_name = "DIR", conflicts_with = "format")]
        write: Option<PathBuf>,
    },
    /// Check the configuration, or print what holds
    Config {
        /// What to do
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at the audit log
    Audit {
        /// What to do
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look at events that the broker refused, and publish parked ones again
    Events {
        /// What to do
        #[command(subcommand)]
        command: EventsCommand,
    },
    /// Look after the counts behind the totals of lists
    Counts {
        /// What to do
        #[command(subcommand)]
        command: CountsCommand,
    },
    /// Look after the index that searches read
    Search {
        /// What to do
        #[command(subcommand)]
        command: SearchCommand,
    },
    /// Look after users
    Users {
        /// What to do
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// Show where the instances of a service are, as Consul knows them
    Discover(Discover),
    /// Fill a running service with products and show how fast it takes them
    Demo {
        /// How many products to create
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// The gRPC address of the service; of the one that this configuration is of when not said
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// How many requests to have under way at a time
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        concurrency: u32,
    },
    /// Ask a running service whether it is ready; the exit status is the answer
    Healthcheck {
        /// The address of the readiness probe; of the service that this configuration is of when not said
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Print the version
    Version,
}

/// A list of scopes, as one argument on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(pub Vec<String>);

/// A notation of a description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Notation {
    /// JSON
    #[default]
    Json,
    /// YAML
    Yaml,
}

impl Cli {
    /// Reads a command line. The first of `args` is the program's name, as in [`std::env::args_os`].
    ///
    /// The error is also how `--help` and `--version` arrive; its `exit` prints to the right stream and ends with
    /// the right status.
    pub fn parse_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let Arguments { conf, command } = Arguments::try_parse_from(two_dashes(args))?;
        Ok(Self {
            conf,
            command: command.unwrap_or(Command::Serve),
        })
    }
}

/// Turns `-name` and `-name=value` into `--name` and `--name=value`, for the names that are long options.
fn two_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut names = HashSet::from(["help".to_owned(), "version".to_owned()]);
    collect_long_names(&Arguments::command(), &mut names);
    let mut options_ended = false;
    args.into_iter()
        .enumerate()
        .map(|(index, arg)| {
            options_ended |= arg == "--";
            if index == 0 || options_ended || !is_one_dash_option(&arg, &names) {
                return arg;
            }
            let mut normal = OsString::from("-");
            normal.push(arg);
            normal
        })
        .collect()
}

fn is_one_dash_option(arg: &OsString, names: &HashSet<String>) -> bool {
    // On bytes, because a path after `=` need not be UTF-8.
    let Some(rest) = arg.as_encoded_bytes().strip_prefix(b"-") else {
        return false;
    };
    let name = rest.split(|&byte| byte == b'=').next().unwrap_or_default();
    std::str::from_utf8(name).is_ok_and(|name| names.contains(name))
}

fn collect_long_names(command: &clap::Command, names: &mut HashSet<String>) {
    names.extend(
        command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .map(str::to_owned),
    );
    for subcommand in command.get_subcommands() {
        collect_long_names(subcommand, names);
    }
}

fn scopes(text: &str) -> Result<Scopes, String> {
    let scopes: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        Err("at least one scope is needed".to_owned())
    } else {
        Ok(Scopes(scopes))
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let duration = crate::duration::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        Err("at least a second is needed".to_owned())
    } else {
        Ok(duration)
    }
}
