//! What the binary does, by subcommand.

mod audit;
mod config;
mod counts;
mod database;
mod demo;
mod discover;
mod events;
mod pii;
mod search;
mod serve;
mod token;
mod users;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use crate::app::{BadConfiguration, Error};
use crate::cli::{Cli, Command, Notation, healthcheck};
use crate::config::{Config, EXIT_CODE, Origin, Server};
use crate::lifecycle::{NAME, VERSION};
use crate::pb::{ASYNCAPI_JSON, ASYNCAPI_YAML, EVENT_PAGES, OPENAPI_JSON, OPENAPI_YAML};

/// Where each value of the configuration comes from, by its key.
type Origins = BTreeMap<String, Origin>;

/// Runs a command line.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { conf, command } = cli;
    let with_sources = |action: &dyn Fn(&Config, &Origins) -> Result<(), Error>| {
        let env = |name: &str| std::env::var(name).ok();
        match Config::load_sourced(conf.as_deref(), &env) {
            Ok((config, origins)) => report(action(&config, &origins)),
            Err(error) => {
                eprintln!("{NAME}: {error}");
                ExitCode::from(EXIT_CODE)
            }
        }
    };
    let with_config =
        |action: &dyn Fn(&Config) -> Result<(), Error>| with_sources(&|config, _| action(config));
    match command {
        Command::Serve => with_config(&serve::run),
        Command::Token { scope, sub, ttl } => {
            with_config(&|config| token::run(config, &scope.0, &sub, ttl))
        }
        Command::Openapi { format } => {
            print!("{}", format.pick(OPENAPI_JSON, OPENAPI_YAML));
            ExitCode::SUCCESS
        }
        Command::Asyncapi {
            write: Some(folder),
            ..
        } => report(write_events(&folder)),
        Command::Asyncapi { format, .. } => {
            print!("{}", format.pick(ASYNCAPI_JSON, ASYNCAPI_YAML));
            ExitCode::SUCCESS
        }
        Command::Config { command } => with_sources(&|config, origins| {
            self::config::run(command, conf.as_deref(), config, origins)
        }),
        Command::Counts { command } => with_config(&|config| counts::run(config, command)),
        Command::Audit { command } => with_config(&|config| audit::run(config, &command)),
        Command::Events { command } => with_config(&|config| events::run(config, &command)),
        Command::Search { command } => with_config(&|config| search::run(config, command)),
        Command::Users { command } => with_config(&|config| users::run(config, &command)),
        Command::Discover(asked) => with_config(&|config| discover::run(config, &asked)),
        Command::Demo {
            count,
            url,
            concurrency,
        } => with_config(&|config| demo::run(config, count, url.as_deref(), concurrency)),
        Command::Healthcheck { url } => with_config(&|config| {
            let server = &config.server;
            let own = || format!("{}/ready", url_of(server, server.http.addr));
            let url = url.clone().unwrap_or_else(own);
            let asked = runtime()?.block_on(healthcheck::run(&url, &server.tls));
            Ok(asked.map_err(|error| format!("{url}: {error}"))?)
        }),
        Command::Version => {
            println!("{NAME} {VERSION}");
            ExitCode::SUCCESS
        }
    }
}

impl Notation {
    fn pick<'a>(self, json: &'a str, yaml: &'a str) -> &'a str {
        match self {
            Self::Json => json,
            Self::Yaml => yaml,
        }
    }
}

/// Writes all that is made of the contract on events.
fn write_events(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder)?;
    let descriptions = [
        ("asyncapi.json", ASYNCAPI_JSON),
        ("asyncapi.yaml", ASYNCAPI_YAML),
    ];
    for (name, text) in descriptions.iter().chain(EVENT_PAGES) {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn report(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            if error.is::<BadConfiguration>() {
                return ExitCode::from(EXIT_CODE);
            }
            ExitCode::FAILURE
        }
    }
}

/// The URL by which this machine calls a port of the service.
fn url_of(server: &Server, port: SocketAddr) -> String {
    let mut address = port;
    if port.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("{}://{address}", server.tls.scheme())
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
