//! `config`: whether the configuration is good, and what it is.

use std::path::Path;

use super::{Origins, pii, token};
use crate::app::{self, Error};
use crate::cli::ConfigCommand;
use crate::config::{Config, Origin};
use crate::lifecycle::NAME;

/// Does what was asked; the configuration was read from `conf` and the environment.
pub(super) fn run(
    command: ConfigCommand,
    conf: Option<&Path>,
    config: &Config,
    origins: &Origins,
) -> Result<(), Error> {
    for (name, meant) in misspelt_variables() {
        eprintln!("{NAME}: {name} is no variable of the service; did you mean {meant}?");
    }
    match command {
        ConfigCommand::Print => print!("{}", config.print(origins)),
        ConfigCommand::Check => {
            token::check(config)?;
            pii::check(config)?;
            app::roles(config)?;
            app::check_consul(config)?;
            app::check_tls(config)?;
            println!("the configuration is good: {}", sources(conf, origins));
        }
    }
    Ok(())
}

/// Variables that look like misspelt ones of the service, each with what was probably meant.
pub(super) fn misspelt_variables() -> Vec<(String, &'static str)> {
    let names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    (Config::misspelt(names.iter().map(String::as_str)).into_iter())
        .map(|(name, meant)| (name.to_owned(), meant))
        .collect()
}

/// Where the values come from, in words.
fn sources(conf: Option<&Path>, origins: &Origins) -> String {
    let in_file = |origin: &&Origin| matches!(origin, Origin::File(_));
    let from_file = origins.values().filter(in_file).count();
    let variables: Vec<&str> = (origins.values())
        .filter_map(|origin| match origin {
            Origin::Environment(name) => Some(*name),
            Origin::File(_) => None,
        })
        .collect();
    let file = match conf {
        Some(conf) => format!("{from_file} values from {}", conf.display()),
        None => "no file".to_owned(),
    };
    let environment = match variables.as_slice() {
        [] => "nothing from the environment".to_owned(),
        names => format!("{} from the environment", names.join(", ")),
    };
    format!("{file}, {environment}, defaults for the rest")
}
