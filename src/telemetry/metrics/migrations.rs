//! The version of the schema: as the service sees it, and as a run of `migrate` leaves it for node_exporter's textfile
//! collector, since nobody scrapes a job that has ended.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Format, Page, Source};
use crate::migrate::{Direction, Status, Step, Version};

/// What is known of migrations. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct MigrationMetrics(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The version the database is at; none while that is not known, 0 before the first migration.
    version: Option<i64>,
    dirty: bool,
    pending: Option<usize>,
    /// Those that this process ran.
    steps: Vec<Step>,
    errors: u64,
}

impl Known {
    fn set(&mut self, version: Option<Version>) {
        self.version = Some(version.map_or(0, |version| version.version.max(0)));
        self.dirty = version.is_some_and(|version| version.dirty);
    }
}

impl MigrationMetrics {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database was looked at.
    pub fn seen(&self, status: &Status) {
        let mut known = self.known();
        known.pending = Some(status.pending.len());
        if status.dirty && !known.dirty {
            // Whoever ran it, it failed.
            known.errors += 1;
        }
        known.set(status.applied);
    }

    /// The version table was read; none before the first migration.
    pub fn at(&self, version: Option<Version>) {
        self.known().set(version);
    }

    /// A migration ran.
    pub fn ran(&self, step: &Step) {
        let mut known = self.known();
        known.version = Some(step.target.max(0));
        known.steps.push(step.clone());
    }

    /// A run failed.
    pub fn failed(&self) {
        self.known().errors += 1;
    }

    /// Counts on from what an earlier run wrote.
    fn count_errors_from(&self, errors: u64) {
        self.known().errors += errors;
    }
}

impl Source for MigrationMetrics {
    fn write(&self, page: &mut Page) {
        let known = self.known();
        let mut family = page.gauge("migration_status", "Version that the database is at");
        if let Some(version) = known.version {
            family.sample(&[], version);
        }
        page.gauge(
            "migration_dirty",
            "Whether a migration began and did not end",
        )
        .sample(&[], u8::from(known.dirty));
        if let Some(pending) = known.pending {
            page.gauge("migrations_pending", "Migrations that are still to run")
                .sample(&[], pending);
        }
        let mut family = page.gauge(
            "migration_duration_seconds",
            "How long the migrations took that this process ran",
        );
        for step in &known.steps {
            let direction = match step.direction {
                Direction::Up => "up",
                Direction::Down => "down",
            };
            let labels = [
                ("version", &*step.version.to_string()),
                ("direction", direction),
            ];
            family.sample(&labels, step.elapsed.as_secs_f64());
        }
        page.counter("migration_errors_total", "Migrations that failed")
            .sample(&[], known.errors);
    }
}

const ERRORS: &str = "migration_errors_total ";

/// Writes the metrics of a run to a file, in one piece; what an earlier run counted there is counted on.
pub fn textfile(path: &Path, metrics: &MigrationMetrics) -> std::io::Result<()> {
    if let Ok(before) = std::fs::read_to_string(path) {
        let errors = before.lines().find_map(|line| line.strip_prefix(ERRORS));
        metrics.count_errors_from(errors.and_then(|text| text.parse().ok()).unwrap_or(0));
    }
    let mut page = Page::new(Format::Text);
    metrics.write(&mut page);
    // The collector reads only what ends in .prom, and never half of it.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut file = std::fs::File::create(&part)?;
    file.write_all(page.finish().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn step(version: i64) -> Step {
        Step {
            version,
            target: version,
            direction: Direction::Up,
            title: "a".to_owned(),
            elapsed: Duration::from_millis(250),
        }
    }

    #[test]
    fn runs_of_a_job_add_up_in_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("migrate.prom");
        for _ in 0..2 {
            let run = MigrationMetrics::default();
            run.ran(&step(3));
            run.failed();
            textfile(&path, &run).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in [
            "migration_status 3",
            r#"migration_duration_seconds{version="3",direction="up"} 0.25"#,
            "migration_errors_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dirty_database_is_one_error_however_often_it_is_looked_at() {
        let metrics = MigrationMetrics::default();
        let status = |version, dirty| Status {
            applied: Some(Version { version, dirty }),
            pending: Vec::new(),
            unknown_newer: None,
            dirty,
        };
        for _ in 0..3 {
            metrics.seen(&status(5, true));
        }
        metrics.seen(&status(-1, false));
        let known = metrics.known();
        assert_eq!((known.errors, known.version), (1, Some(0)));
    }
}
