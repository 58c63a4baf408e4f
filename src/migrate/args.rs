//! The arguments of the `migrate` binary: the specification's flags, and the commands of golang-migrate's.

use std::time::Duration;

use crate::duration::parse_duration;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Up {
        limit: Option<u64>,
    },
    Down {
        /// `None` is all of them.
        steps: Option<u64>,
        /// Whether to ask first.
        confirm: bool,
    },
    Version,
    Force {
        version: Option<i64>,
    },
    Help,
    ToolVersion,
}

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// The specification's messages, for `-command up`.
    Named,
    /// golang-migrate's, for `up`.
    Positional,
}

/// The arguments, understood but not yet completed from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) action: Action,
    pub(super) style: Style,
    pub(super) database_url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) table: Option<String>,
    pub(super) lock_timeout: Option<Duration>,
    pub(super) conf: Option<String>,
    pub(super) metrics_file: Option<String>,
}

/// Arguments that make no sense; exit code 2, as from Go's flag package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} (migrate -help shows the usage)")]
pub(super) struct UsageError(String);

/// The flags as they were given.
#[derive(Default)]
struct Flags {
    command: Option<String>,
    steps: Option<u64>,
    version: Option<i64>,
    /// `-version` without a number: the version of the tool.
    tool_version: bool,
    help: bool,
    all: bool,
    database_url: Option<String>,
    path: Option<String>,
    table: Option<String>,
    lock_timeout: Option<Duration>,
    conf: Option<String>,
    metrics_file: Option<String>,
    positional: Vec<String>,
}

/// Reads the arguments after the program's name: `-flag value`, `-flag=value`, one dash or two, in any order.
pub(super) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, UsageError> {
    let flags = collect(arguments)?;
    let style = if flags.command.is_some() || flags.positional.is_empty() {
        Style::Named
    } else {
        Style::Positional
    };
    let action = if flags.help {
        Action::Help
    } else if style == Style::Named {
        named_action(&flags)?
    } else {
        positional_action(&flags)?
    };
    Ok(Arguments {
        action,
        style,
        database_url: flags.database_url,
        path: flags.path,
        table: flags.table,
        lock_timeout: flags.lock_timeout,
        conf: flags.conf,
        metrics_file: flags.metrics_file,
    })
}

fn collect(arguments: impl IntoIterator<Item = String>) -> Result<Flags, UsageError> {
    let mut flags = Flags::default();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            flags.positional.extend(arguments);
            break;
        }
        // A negative number is the argument of `force`, not a flag.
        let name = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'))
            .filter(|name| !name.is_empty());
        let Some(name) = name.filter(|_| argument.parse::<i64>().is_err()) else {
            flags.positional.push(argument);
            continue;
        };
        let (name, inline) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if let Some(switch) = flags.switch(name) {
            *switch = switched(name, inline.as_deref())?;
            continue;
        }
        if !VALUE_FLAGS.contains(&name) {
            return Err(UsageError(format!(
                "flag provided but not defined: -{name}"
            )));
        }
        if name == "version"
            && inline.is_none()
            && arguments
                .peek()
                .is_none_or(|next| next.parse::<i64>().is_err())
        {
            flags.tool_version = true;
            continue;
        }
        let value = inline.or_else(|| arguments.next());
        let value = value.ok_or_else(|| UsageError(format!("flag needs an argument: -{name}")))?;
        flags.set(name, value)?;
    }
    Ok(flags)
}

/// The flags that take a value. `source`, `database`, `prefetch` are golang-migrate's.
const VALUE_FLAGS: &[&str] = &[
    "command",
    "conf",
    "database",
    "database-url",
    "lock-timeout",
    "metrics-file",
    "path",
    "prefetch",
    "source",
    "steps",
    "table",
    "version",
];

impl Flags {
    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "help" | "h" => Some(&mut self.help),
            "all" => Some(&mut self.all),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), UsageError> {
        let invalid = |value: &str, expected: &str| {
            UsageError(format!(
                "invalid value {value:?} for flag -{name}: {expected} is expected"
            ))
        };
        match name {
            "command" => self.command = Some(value),
            "conf" => self.conf = Some(value),
            "database" | "database-url" => self.database_url = Some(value),
            "path" | "source" => self.path = Some(value),
            "table" => self.table = Some(value),
            "metrics-file" => self.metrics_file = Some(value),
            "steps" => {
                self.steps = Some(
                    value
                        .parse()
                        .map_err(|_| invalid(&value, "a number of migrations"))?,
                );
            }
            "version" => {
                self.version = Some(value.parse().map_err(|_| invalid(&value, "a version"))?);
            }
            // golang-migrate's own is a number of seconds.
            "lock-timeout" => {
                let seconds = value.parse().map(Duration::from_secs);
                let timeout = seconds.or_else(|_| parse_duration(&value));
                self.lock_timeout =
                    Some(timeout.map_err(|_| invalid(&value, "a duration such as 15m or 0.2s"))?);
            }
            // How far golang-migrate reads ahead; here each file is read when it is its turn.
            _ => drop(value),
        }
        Ok(())
    }
}

/// A switch is on unless it is given `=false`.
fn switched(name: &str, value: Option<&str>) -> Result<bool, UsageError> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(UsageError(format!(
            "invalid boolean value {other:?} for -{name}"
        ))),
    }
}

fn named_action(flags: &Flags) -> Result<Action, UsageError> {
    if let [extra, ..] = &flags.positional[..] {
        return Err(UsageError(format!("unexpected argument {extra:?}")));
    }
    if flags.tool_version {
        return match flags.command {
            None => Ok(Action::ToolVersion),
            Some(_) => Err(UsageError("flag needs an argument: -version".to_owned())),
        };
    }
    match flags.command.as_deref().unwrap_or("up") {
        "up" => Ok(Action::Up { limit: flags.steps }),
        "down" if flags.all => Ok(Action::Down {
            steps: None,
            confirm: false,
        }),
        "down" => Ok(Action::Down {
            steps: Some(flags.steps.unwrap_or(1)),
            confirm: false,
        }),
        "version" => Ok(Action::Version),
        "force" => Ok(Action::Force {
            version: flags.version,
        }),
        other => Err(UsageError(format!(
            "unknown command {other:?}: up, down, version or force is expected"
        ))),
    }
}

fn positional_action(flags: &Flags) -> Result<Action, UsageError> {
    if flags.tool_version {
        return Ok(Action::ToolVersion);
    }
    let words: Vec<&str> = flags.positional.iter().map(String::as_str).collect();
    let limit = |text: &str| {
        text.parse()
            .map_err(|_| UsageError("can't read limit argument N".to_owned()))
    };
    match words[..] {
        ["up"] => Ok(Action::Up { limit: flags.steps }),
        ["up", n] => Ok(Action::Up {
            limit: Some(limit(n)?),
        }),
        ["down"] if flags.all => Ok(Action::Down {
            steps: None,
            confirm: false,
        }),
        ["down", ..] if flags.all => Err(UsageError(
            "-all cannot be used with other arguments".to_owned(),
        )),
        ["down"] => Ok(Action::Down {
            steps: flags.steps,
            confirm: flags.steps.is_none(),
        }),
        ["down", n] => Ok(Action::Down {
            steps: Some(limit(n)?),
            confirm: false,
        }),
        ["version"] => Ok(Action::Version),
        ["force"] => Ok(Action::Force {
            version: flags.version,
        }),
        ["force", v] => {
            let version = v
                .parse()
                .map_err(|_| UsageError("can't read version argument V".to_owned()))?;
            Ok(Action::Force {
                version: Some(version),
            })
        }
        ["up" | "down" | "version" | "force", ..] => {
            Err(UsageError("too many arguments".to_owned()))
        }
        [other, ..] => Err(UsageError(format!(
            "unknown command {other:?}: up, down, version or force is expected"
        ))),
        [] => Err(UsageError("no command".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    fn action(line: &str) -> Action {
        parsed(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .action
    }

    #[test]
    fn the_specifications_flags() {
        for (line, expected) in [
            ("", Action::Up { limit: None }),
            ("-command up", Action::Up { limit: None }),
            ("--command=up --steps=2", Action::Up { limit: Some(2) }),
            (
                "-command down",
                Action::Down {
                    steps: Some(1),
                    confirm: false,
                },
            ),
            (
                "-steps 3 -command down",
                Action::Down {
                    steps: Some(3),
                    confirm: false,
                },
            ),
            ("-command version", Action::Version),
            (
                "-command force -version 3",
                Action::Force { version: Some(3) },
            ),
            (
                "-command=force -version=-1",
                Action::Force { version: Some(-1) },
            ),
            (
                "-command force -version -1",
                Action::Force { version: Some(-1) },
            ),
            ("-command force", Action::Force { version: None }),
            ("-h", Action::Help),
            ("--help", Action::Help),
            ("-version", Action::ToolVersion),
        ] {
            assert_eq!(action(line), expected, "{line}");
            assert_eq!(parsed(line).unwrap().style, Style::Named, "{line}");
        }
        let all =
            parsed("-database-url postgres://h/d?a=b -path p -table t -lock-timeout 1m30s -conf c")
                .unwrap();
        assert_eq!(all.database_url.as_deref(), Some("postgres://h/d?a=b"));
        assert_eq!(
            (all.path.as_deref(), all.table.as_deref()),
            (Some("p"), Some("t"))
        );
        assert_eq!(
            (all.lock_timeout, all.conf.as_deref()),
            (Some(Duration::from_secs(90)), Some("c"))
        );
        let inline = parsed("--database-url=postgres://h/d?a=b").unwrap();
        assert_eq!(inline.database_url.as_deref(), Some("postgres://h/d?a=b"));
    }

    #[test]
    fn golang_migrates_commands() {
        for (line, expected) in [
            ("up", Action::Up { limit: None }),
            ("-path p -database u up 2", Action::Up { limit: Some(2) }),
            ("up 0", Action::Up { limit: Some(0) }),
            (
                "down",
                Action::Down {
                    steps: None,
                    confirm: true,
                },
            ),
            (
                "down 2",
                Action::Down {
                    steps: Some(2),
                    confirm: false,
                },
            ),
            (
                "down -all",
                Action::Down {
                    steps: None,
                    confirm: false,
                },
            ),
            ("version", Action::Version),
            ("force 3", Action::Force { version: Some(3) }),
            ("force -1", Action::Force { version: Some(-1) }),
            ("force -- -1", Action::Force { version: Some(-1) }),
            ("-prefetch 3 -lock-timeout 20 version", Action::Version),
        ] {
            assert_eq!(action(line), expected, "{line}");
            assert_eq!(parsed(line).unwrap().style, Style::Positional, "{line}");
        }
        let given = parsed("-source file://m -database u -lock-timeout 20 up").unwrap();
        assert_eq!(
            (given.path.as_deref(), given.lock_timeout),
            (Some("file://m"), Some(Duration::from_secs(20)))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (line, expected) in [
            ("-nope", "flag provided but not defined: -nope"),
            ("-steps", "flag needs an argument: -steps"),
            ("-steps two", "invalid value \"two\" for flag -steps"),
            (
                "-command force -version",
                "flag needs an argument: -version",
            ),
            (
                "-lock-timeout soon",
                "invalid value \"soon\" for flag -lock-timeout",
            ),
            ("-command sideways", "unknown command \"sideways\""),
            ("-command up 3", "unexpected argument \"3\""),
            ("sideways", "unknown command \"sideways\""),
            ("up two", "can't read limit argument N"),
            ("down -all 3", "-all cannot be used with other arguments"),
            ("force three", "can't read version argument V"),
            ("version 3", "too many arguments"),
            ("-help=maybe", "invalid boolean value \"maybe\" for -help"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.starts_with(expected), "{line}: {error}");
        }
    }
}
