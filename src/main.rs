//! `catalog-service`: serves the catalog, and what belongs to it on the command line.

use std::process::ExitCode;

use catalog_service::cli::Cli;
use catalog_service::commands;

fn main() -> ExitCode {
    match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => commands::run(cli),
        Err(error) => error.exit(),
    }
}
