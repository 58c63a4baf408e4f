//! Where the `migrate` binary gets what its flags do not say: the environment, then `-conf DIR`, then the defaults.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{DEFAULT_LOCK_TIMEOUT, Error, Source, TableName, args::Arguments, table_name};
use crate::duration::parse_duration;

/// A complete set of settings.
pub(super) struct Settings {
    pub(super) database_url: String,
    /// The folder that was asked for; `None` is the first default that exists.
    pub(super) path: Option<PathBuf>,
    pub(super) table: TableName,
    pub(super) lock_timeout: Duration,
}

/// Settings that are missing or wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("Database URL is required")]
    NoUrl,
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Url(#[from] Error),
}

/// The part of the service's configuration file that is about migrations.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    data: Data,
    migration: Migration,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    database: Database,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Database {
    source: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Migration {
    path: Option<String>,
    table: Option<String>,
    lock_timeout: Option<String>,
}

impl Settings {
    /// Completes the arguments. Empty variables and keys count as not set.
    pub(super) fn resolve(
        arguments: &Arguments,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let file = match &arguments.conf {
            Some(path) => read(Path::new(path))?,
            None => File::default(),
        };
        let pick = |flag: &Option<String>, variable: &str, key: Option<String>| {
            let given = |value: &String| !value.is_empty();
            flag.clone()
                .filter(given)
                .or_else(|| environment(variable).filter(given))
                .or_else(|| key.filter(given))
        };
        let database_url = pick(
            &arguments.database_url,
            "DATABASE_URL",
            file.data.database.source,
        )
        .ok_or(SettingsError::NoUrl)?;
        let path = pick(&arguments.path, "MIGRATION_PATH", file.migration.path);
        // The URL's own x-migrations-table stands between the flag and the settings that are not about one database.
        let table =
            if let Some(table) = arguments.table.as_deref().filter(|table| !table.is_empty()) {
                table.into()
            } else {
                let configured = pick(&None, "MIGRATION_TABLE", file.migration.table);
                table_name(
                    &database_url,
                    configured.as_deref().unwrap_or(super::DEFAULT_TABLE),
                )?
            };
        let lock_timeout = match arguments.lock_timeout {
            Some(timeout) => timeout,
            None => match pick(&None, "MIGRATION_LOCK_TIMEOUT", file.migration.lock_timeout) {
                Some(text) => parse_duration(&text).map_err(|error| {
                    SettingsError::Invalid(format!("MIGRATION_LOCK_TIMEOUT: {error}"))
                })?,
                None => DEFAULT_LOCK_TIMEOUT,
            },
        };
        let path = path.map(|path| PathBuf::from(path.strip_prefix("file://").unwrap_or(&path)));
        Ok(Self {
            database_url,
            path,
            table,
            lock_timeout,
        })
    }

    /// The migrations: in the folder that was asked for, else in `./migrations` or `../migrations`, else the binary's own.
    pub(super) fn source(&self) -> Result<Source, Error> {
        if let Some(path) = &self.path {
            return Source::directory(path);
        }
        let defaults = ["./migrations", "../migrations"];
        match defaults.iter().find(|path| Path::new(path).is_dir()) {
            Some(path) => Source::directory(path),
            None => Ok(Source::embedded()),
        }
    }
}

/// Reads `config.yaml` in a folder, or the file itself.
fn read(path: &Path) -> Result<File, SettingsError> {
    let path = if path.is_dir() {
        path.join("config.yaml")
    } else {
        path.to_owned()
    };
    let invalid =
        |cause: String| SettingsError::Invalid(format!("cannot read {}: {cause}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| invalid(error.to_string()))?;
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    // The parser's message quotes values, and a value may be the database URL: only where it stopped is told.
    serde_yaml_ng::from_str(&text).map_err(|error| {
        invalid(error.location().map_or_else(
            || "it is not the configuration that is expected".to_owned(),
            |at| {
                format!(
                    "line {}, column {} is not what is expected",
                    at.line(),
                    at.column()
                )
            },
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::args;

    fn resolve(line: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let arguments = args::parse(line.split_whitespace().map(str::to_owned)).unwrap();
        Settings::resolve(&arguments, |name| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("config.yaml"),
            "server:\n  http:\n    addr: x\ndata:\n  database:\n    source: postgres://file/db\n\
             migration:\n  path: ./f\n  table: f\n  lock_timeout: 3s\n  auto_migrate: false\n",
        )
        .unwrap();
        let conf = format!("-conf {}", folder.path().display());

        let file = resolve(&conf, &[("MIGRATION_PATH", "")]).unwrap();
        assert_eq!(file.database_url, "postgres://file/db");
        assert_eq!(
            (file.path, file.table),
            (Some(PathBuf::from("./f")), "f".into())
        );
        assert_eq!(file.lock_timeout, Duration::from_secs(3));

        let variables = [
            ("DATABASE_URL", "postgres://env/db"),
            ("MIGRATION_PATH", "file://e"),
            ("MIGRATION_TABLE", "e"),
            ("MIGRATION_LOCK_TIMEOUT", "2s"),
        ];
        let environment = resolve(&conf, &variables).unwrap();
        assert_eq!(environment.database_url, "postgres://env/db");
        assert_eq!(
            (environment.path, environment.table),
            (Some(PathBuf::from("e")), "e".into())
        );
        assert_eq!(environment.lock_timeout, Duration::from_secs(2));

        let flags =
            "-database-url postgres://flag/db?x-migrations-table=u -path a -lock-timeout 1s";
        let flags = resolve(&format!("{conf} {flags}"), &variables).unwrap();
        assert_eq!(
            flags.table,
            "u".into(),
            "the URL's table is about this database"
        );
        assert_eq!(
            (flags.path, flags.lock_timeout),
            (Some(PathBuf::from("a")), Duration::from_secs(1))
        );
        let table = resolve(
            "-database-url postgres://h/db?x-migrations-table=u -table t",
            &variables,
        )
        .unwrap();
        assert_eq!(table.table, "t".into());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let message = |line: &str, environment: &[(&str, &str)]| match resolve(line, environment) {
            Ok(_) => panic!("{line} was accepted"),
            Err(error) => error.to_string(),
        };
        assert_eq!(message("", &[]), "Database URL is required");
        assert_eq!(
            message("", &[("DATABASE_URL", "")]),
            "Database URL is required"
        );
        let timeout = message(
            "",
            &[
                ("DATABASE_URL", "postgres://h/d"),
                ("MIGRATION_LOCK_TIMEOUT", "soon"),
            ],
        );
        assert!(
            timeout.starts_with("MIGRATION_LOCK_TIMEOUT: invalid duration \"soon\""),
            "{timeout}"
        );
        assert!(message("-conf /nowhere/at/all", &[]).starts_with("cannot read /nowhere/at/all"));

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("config.yaml"),
            "data:\n  database: postgres://u:hunter2@h/db\n",
        )
        .unwrap();
        let broken = message(&format!("-conf {}", folder.path().display()), &[]);
        assert!(
            broken.contains("config.yaml") && !broken.contains("hunter2"),
            "{broken}"
        );
    }
}
