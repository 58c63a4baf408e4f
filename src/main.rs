//! `catalog-service`: serves the catalog, and what belongs to it on the command line.

use std::process::ExitCode;

use catalog_service::cli::Cli;
use catalog_service::commands;

/// Many small values that live as long as a request: the allocator of the system takes twice as long for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => commands::run(cli),
        Err(error) => error.exit(),
    }
}
