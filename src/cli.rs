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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use clap::error::ErrorKind;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, ErrorKind> {
        let args = std::iter::once(&"catalog-service")
            .chain(args)
            .map(OsString::from);
        Cli::parse_args(args).map_err(|error| error.kind())
    }

    fn command(args: &[&str]) -> Command {
        parse(args).unwrap().command
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn nothing_means_serve() {
        assert_eq!(
            parse(&[]),
            Ok(Cli {
                conf: None,
                command: Command::Serve
            })
        );
        assert_eq!(command(&["serve"]), Command::Serve);
        assert_eq!(command(&["version"]), Command::Version);
    }

    #[test]
    fn the_configuration_directory_can_be_named_in_every_usual_way() {
        let expected = Cli {
            conf: Some("../configs".into()),
            command: Command::Serve,
        };
        for args in [
            &["-conf", "../configs"][..],
            &["-conf=../configs"],
            &["--conf", "../configs"],
            &["--conf=../configs"],
            &["serve", "-conf", "../configs"],
            &["serve", "--conf=../configs"],
            &["-conf", "../configs", "serve"],
        ] {
            assert_eq!(parse(args).as_ref(), Ok(&expected), "{args:?}");
        }
    }

    #[test]
    fn a_directory_need_not_be_utf8() {
        let args = [b"catalog-service".to_vec(), b"-conf=/\xff".to_vec()].map(OsString::from_vec);
        let conf = Cli::parse_args(args).unwrap().conf.unwrap();
        assert_eq!(conf.into_os_string().into_vec(), b"/\xff");
    }

    #[test]
    fn token_takes_scopes_subject_and_lifetime() {
        let scope = Scopes(vec!["catalog:read".to_owned(), "catalog:write".to_owned()]);
        assert_eq!(
            command(&[
                "token",
                "--scope",
                " catalog:read  catalog:write",
                "--sub",
                "user_456"
            ]),
            Command::Token {
                scope: scope.clone(),
                sub: "user_456".to_owned(),
                ttl: Duration::from_hours(1)
            }
        );
        assert_eq!(
            command(&[
                "token",
                "-scope=catalog:read catalog:write",
                "-sub",
                "user_456",
                "-ttl",
                "15m"
            ]),
            Command::Token {
                scope,
                sub: "user_456".to_owned(),
                ttl: Duration::from_mins(15)
            }
        );
        assert_eq!(
            parse(&["token", "--sub", "user_456"]),
            Err(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            parse(&["token", "--scope", "a"]),
            Err(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            parse(&["token", "--scope", " ", "--sub", "u"]),
            Err(ErrorKind::ValueValidation)
        );
        assert_eq!(
            parse(&["token", "--scope", "a", "--sub", ""]),
            Err(ErrorKind::InvalidValue)
        );
        for ttl in ["0s", "20ms", "soon", "-1h"] {
            assert!(
                parse(&[
                    "token",
                    "--scope",
                    "a",
                    "--sub",
                    "u",
                    &format!("--ttl={ttl}")
                ])
                .is_err(),
                "{ttl}"
            );
        }
    }

    #[test]
    fn openapi_is_json_unless_asked_otherwise() {
        assert_eq!(
            command(&["openapi"]),
            Command::Openapi {
                format: Notation::Json
            }
        );
        assert_eq!(
            command(&["openapi", "--format", "json"]),
            Command::Openapi {
                format: Notation::Json
            }
        );
        assert_eq!(
            command(&["openapi", "-format=yaml"]),
            Command::Openapi {
                format: Notation::Yaml
            }
        );
        assert_eq!(
            parse(&["openapi", "--format", "xml"]),
            Err(ErrorKind::InvalidValue)
        );
    }

    #[test]
    fn asyncapi_is_printed_or_written() {
        let asyncapi = |format, write: Option<&str>| Command::Asyncapi {
            format,
            write: write.map(PathBuf::from),
        };
        let default = asyncapi(Notation::Json, None);
        assert_eq!(command(&["asyncapi"]), default);
        let yaml = asyncapi(Notation::Yaml, None);
        assert_eq!(command(&["asyncapi", "-format", "yaml"]), yaml);
        let written = asyncapi(Notation::Json, Some("docs/events"));
        assert_eq!(command(&["asyncapi", "--write", "docs/events"]), written);
        let both = parse(&["asyncapi", "--write", "x", "--format", "json"]);
        assert_eq!(both, Err(ErrorKind::ArgumentConflict));
    }

    #[test]
    fn counts_are_made_anew_when_that_is_said() {
        let recount = Command::Counts {
            command: CountsCommand::Recount,
        };
        assert_eq!(command(&["counts", "recount"]), recount);
        let nothing = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        assert_eq!(parse(&["counts"]), Err(nothing));
    }

    #[test]
    fn products_are_indexed_anew_when_that_is_said() {
        let reindex = Command::Search {
            command: SearchCommand::Reindex,
        };
        assert_eq!(command(&["search", "reindex"]), reindex);
        let nothing = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        assert_eq!(parse(&["search"]), Err(nothing));
    }

    #[test]
    fn users_are_created_or_encrypted_anew() {
        let args = |roles: &[&str], password_stdin| NewUserArgs {
            email: "ada@example.com".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            first_name: None,
            last_name: None,
            password_stdin,
        };
        for (line, expected) in [
            (
                &["create", "--email", "ada@example.com"][..],
                args(&[], false),
            ),
            (
                &[
                    "create",
                    "-email=ada@example.com",
                    "--role",
                    "a",
                    "-role",
                    "b",
                    "-password-stdin",
                ],
                args(&["a", "b"], true),
            ),
        ] {
            let line: Vec<_> = ["users"].iter().chain(line).copied().collect();
            let command = UsersCommand::Create(expected);
            assert_eq!(self::command(&line), Command::Users { command });
        }
        let command = UsersCommand::Reencrypt;
        assert_eq!(
            self::command(&["users", "reencrypt"]),
            Command::Users { command }
        );
        assert_eq!(
            parse(&["users", "create"]),
            Err(ErrorKind::MissingRequiredArgument)
        );
    }

    #[test]
    fn events_are_listed_or_replayed() {
        let list = |all, parked, limit, format| Command::Events {
            command: EventsCommand::List {
                parked,
                all,
                limit,
                format,
            },
        };
        let defaults = list(false, false, 100, EventsFormat::Text);
        assert_eq!(command(&["events", "list"]), defaults);
        assert_eq!(
            command(&["events", "list", "-all", "-limit=7", "-format", "json"]),
            list(true, false, 7, EventsFormat::Json)
        );
        let conflict = parse(&["events", "list", "--all", "--parked"]);
        assert_eq!(conflict, Err(ErrorKind::ArgumentConflict));
        let none = parse(&["events", "list", "--limit", "0"]);
        assert_eq!(none, Err(ErrorKind::ValueValidation));

        let replay = |all, ids| Command::Events {
            command: EventsCommand::Replay(Replay { all, ids }),
        };
        let id = "evt_00000000000000000000000010";
        let ids = vec![uuid::Uuid::from_u128(32)];
        assert_eq!(
            command(&["events", "replay", "--all"]),
            replay(true, vec![])
        );
        assert_eq!(command(&["events", "replay", id]), replay(false, ids));
        for (args, error) in [
            (
                &["events"][..],
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            ),
            (&["events", "replay"], ErrorKind::MissingRequiredArgument),
            (
                &["events", "replay", "--all", id],
                ErrorKind::ArgumentConflict,
            ),
            (&["events", "replay", "evt_1"], ErrorKind::ValueValidation),
        ] {
            assert_eq!(parse(args), Err(error), "{args:?}");
        }
    }

    #[test]
    fn discover_takes_a_name() {
        let discover = |format, watch| {
            let name = "order-service".to_owned();
            Command::Discover(Discover {
                name,
                format,
                watch,
            })
        };
        assert_eq!(
            command(&["discover", "order-service"]),
            discover(DiscoverFormat::Text, false)
        );
        assert_eq!(
            command(&["discover", "-watch", "-format=json", "order-service"]),
            discover(DiscoverFormat::Json, true)
        );
        assert_eq!(
            parse(&["discover"]),
            Err(ErrorKind::MissingRequiredArgument)
        );
    }

    #[test]
    fn demo_has_defaults_and_limits() {
        assert_eq!(
            command(&["demo"]),
            Command::Demo {
                count: 10_000,
                url: None,
                concurrency: 32
            }
        );
        assert_eq!(
            command(&[
                "demo",
                "-count",
                "5",
                "--url=http://catalog:9001",
                "-concurrency=2"
            ]),
            Command::Demo {
                count: 5,
                url: Some("http://catalog:9001".to_owned()),
                concurrency: 2
            }
        );
        assert_eq!(
            parse(&["demo", "--count", "0"]),
            Err(ErrorKind::ValueValidation)
        );
        assert_eq!(
            parse(&["demo", "--concurrency", "0"]),
            Err(ErrorKind::ValueValidation)
        );
    }

    #[test]
    fn healthcheck_asks_the_own_host_unless_told_otherwise() {
        let own = Command::Healthcheck { url: None };
        assert_eq!(command(&["healthcheck"]), own);
        let url = "http://[::1]:8080/health";
        let other = Command::Healthcheck {
            url: Some(url.to_owned()),
        };
        assert_eq!(command(&["healthcheck", "-url", url]), other);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert_eq!(parse(&["launch"]), Err(ErrorKind::InvalidSubcommand));
        assert_eq!(parse(&["--config", "x"]), Err(ErrorKind::UnknownArgument));
        assert_eq!(parse(&["-config=x"]), Err(ErrorKind::UnknownArgument));
        assert_eq!(
            parse(&["serve", "-count", "3"]),
            Err(ErrorKind::UnknownArgument)
        );
        assert_eq!(parse(&["--", "-conf"]), Err(ErrorKind::InvalidSubcommand));
        assert_eq!(parse(&["-conf"]), Err(ErrorKind::InvalidValue));
    }

    #[test]
    fn help_and_version_take_one_dash_too() {
        for args in ["--help", "-help", "-h"] {
            assert_eq!(parse(&[args]), Err(ErrorKind::DisplayHelp), "{args}");
        }
        for args in ["--version", "-version", "-V"] {
            assert_eq!(parse(&[args]), Err(ErrorKind::DisplayVersion), "{args}");
        }
    }
}
