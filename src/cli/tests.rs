//! What a command line comes to, and what is refused.

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
