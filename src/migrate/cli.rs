//! The `migrate` binary: the specification's flags with its messages, and golang-migrate's commands with theirs.

use std::{
    io::{BufRead as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    Error, Migrator, Options, Outcome,
    args::{self, Action, Arguments, Style},
    settings::Settings,
};
use crate::telemetry::metrics::{MigrationMetrics, textfile};

/// Printed by `-help`.
const USAGE: &str = "\
Usage: migrate [flags] [-command up|down|version|force]
       migrate [flags] up [N] | down [N | -all] | version | force V

The first form prints a sentence about the result, the second is golang-migrate's command line.

Flags, with one dash or two, as -flag value or -flag=value:
  -database-url URL   postgres:// or postgresql:// URL (default: DATABASE_URL); also -database
                      its x-migrations-table, x-statement-timeout (ms) and x-multi-statement count
  -command NAME       up: apply what is pending (default)    down: roll back -steps migrations
                      version: print the current version     force: record -version as clean, running nothing
  -steps N            down: how many to roll back (default 1)    up: at most so many (default all)
  -version V          the version for force; -1 is none
  -all                down: roll back everything
  -path DIR           the migration files (default: MIGRATION_PATH, else ./migrations or ../migrations if it exists,
                      else the files built into this binary); also -source file://DIR
  -table NAME         the version table (default: MIGRATION_TABLE, else schema_migrations)
  -lock-timeout D     how long to wait for another migration, as 15m or 0.2s (default: MIGRATION_LOCK_TIMEOUT, else 15m)
  -conf DIR           read data.database.source and migration.* from DIR/config.yaml; variables and flags win
  -metrics-file FILE  write migration_status, migration_duration_seconds and migration_errors_total there, for
                      node_exporter's textfile collector (a name that ends in .prom); errors add up over runs
  -version            without a number and without -command: print the version of this tool
  -help               print this

Exit code: 0 done or nothing to do, 1 failed, 2 wrong usage.
";

/// How a run ends: what to print on standard error, and the exit code.
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }
}

/// Runs the tool with the arguments after the program's name, and returns its exit code.
pub async fn run(
    arguments: impl IntoIterator<Item = String>,
    environment: impl Fn(&str) -> Option<String>,
) -> ExitCode {
    let result = match args::parse(arguments) {
        Ok(arguments) => execute(&arguments, environment).await,
        Err(error) => Err(Failure {
            message: format!("error: {error}"),
            code: 2,
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(&failure.message);
            failure.code.into()
        }
    }
}

async fn execute(
    arguments: &Arguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let style = arguments.style;
    match arguments.action {
        Action::Help => {
            say(USAGE.trim_end());
            return Ok(());
        }
        Action::ToolVersion => {
            note(env!("CARGO_PKG_VERSION"));
            return Ok(());
        }
        Action::Force { version: None } if style == Style::Named => {
            return Err(Failure::new("Version is required for force command"));
        }
        Action::Force { version: None } => {
            return Err(Failure::new("error: please specify version argument V"));
        }
        _ => {}
    }
    let settings = Settings::resolve(arguments, environment).map_err(|error| match style {
        Style::Named => Failure::new(error.to_string()),
        Style::Positional => Failure::new(format!("error: {error}")),
    })?;
    let source = settings
        .source()
        .map_err(|error| failed(style, "create migrate instance", &error))?;
    if matches!(arguments.action, Action::Down { confirm: true, .. }) && !confirmed() {
        return Err(Failure::new("Not applying all down migrations"));
    }
    let options = Options {
        table: Some(settings.table.clone()),
        lock_timeout: settings.lock_timeout,
    };
    let mut migrator = Migrator::connect(&settings.database_url, source, options)
        .await
        .map_err(|error| match &error {
            // The specification's words, without saying "connect" twice.
            Error::Connect(cause) if style == Style::Named => {
                Failure::new(format!("Failed to connect to database: {cause}"))
            }
            _ => failed(style, "connect to database", &error),
        })?;
    let metrics = MigrationMetrics::default();
    let counted = metrics.clone();
    migrator.on_step(move |step| {
        note(&step.to_string());
        counted.ran(step);
    });
    stop_on_signals(&migrator.stop_handle());
    let result = act(&mut migrator, &arguments.action, style).await;
    if let Some(file) = &arguments.metrics_file {
        if result.is_err() {
            metrics.failed();
        }
        if let Ok(version) = migrator.version().await {
            metrics.at(version);
        }
        if let Err(error) = textfile(Path::new(file), &metrics) {
            // What was migrated is migrated.
            note(&format!("warning: {file} was not written: {error}"));
        }
    }
    migrator.close().await;
    result
}

async fn act(migrator: &mut Migrator, action: &Action, style: Style) -> Result<(), Failure> {
    match *action {
        Action::Up { limit } => {
            let outcome = migrator
                .up(limit)
                .await
                .map_err(|error| failed(style, "run migrations up", &error))?;
            match style {
                // A limit here is "at most": being done is no failure.
                Style::Named => say("Migrations completed successfully"),
                Style::Positional => conclude(&outcome, limit, "error: ")?,
            }
        }
        Action::Down { steps, .. } => {
            let outcome = migrator
                .down(steps)
                .await
                .map_err(|error| failed(style, "run migrations down", &error))?;
            match style {
                Style::Named => {
                    conclude(&outcome, steps, "Failed to run migrations down: ")?;
                    say("Migrations down completed successfully");
                }
                Style::Positional => conclude(&outcome, steps, "error: ")?,
            }
        }
        Action::Version => {
            let current = migrator
                .version()
                .await
                .map_err(|error| failed(style, "get migration version", &error))?;
            match (current, style) {
                (None, Style::Named) => {
                    return Err(Failure::new(
                        "Failed to get migration version: no migration",
                    ));
                }
                (None, Style::Positional) => return Err(Failure::new("error: no migration")),
                (Some(current), Style::Named) => {
                    say(&format!(
                        "Current version: {}, Dirty: {}",
                        current.version, current.dirty
                    ));
                }
                (Some(current), Style::Positional) if current.dirty => {
                    note(&format!("{} (dirty)", current.version));
                }
                (Some(current), Style::Positional) => note(&current.version.to_string()),
            }
        }
        Action::Force { version } => {
            let version = version.unwrap_or(super::NO_VERSION);
            migrator
                .force(version)
                .await
                .map_err(|error| failed(style, "force migration", &error))?;
            if style == Style::Named {
                say("Migration forced successfully");
            }
        }
        Action::Help | Action::ToolVersion => {}
    }
    Ok(())
}

/// golang-migrate's verdict on a run that met no error: nothing to do is fine, less than was asked for is not.
fn conclude(outcome: &Outcome, wanted: Option<u64>, prefix: &str) -> Result<(), Failure> {
    if outcome.steps.is_empty() && wanted.is_none_or(|wanted| wanted == 0) {
        note("no change");
        Ok(())
    } else if outcome.steps.is_empty() {
        Err(Failure::new(format!("{prefix}file does not exist")))
    } else if outcome.short > 0 {
        Err(Failure::new(format!(
            "{prefix}limit {} short",
            outcome.short
        )))
    } else {
        Ok(())
    }
}

fn failed(style: Style, what: &str, error: &Error) -> Failure {
    match style {
        Style::Named => Failure::new(format!("Failed to {what}: {error}")),
        Style::Positional => Failure::new(format!("error: {error}")),
    }
}

fn confirmed() -> bool {
    note("Are you sure you want to apply all down migrations? [y/N]");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let yes = read.is_ok() && answer.trim().eq_ignore_ascii_case("y");
    if yes {
        note("Applying all down migrations");
    }
    yes
}

/// Lets the running migration end, and no further one begin, on the signals of Ctrl-C and of an orchestrator.
fn stop_on_signals(stop: &std::sync::Arc<AtomicBool>) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Without a handler the signal simply ends the process, and the server rolls back.
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                note("Stopping after this running migration ...");
                stop.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// Prints a line of the result. A closed pipe is the reader's choice, not a failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line about the run.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
