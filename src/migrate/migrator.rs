//! Which migrations run, in which order, and what is recorded before and after each.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    DEFAULT_LOCK_TIMEOUT, DatabaseUrl, Direction, Error, NO_VERSION, Source, TableName, Version,
    database::Database,
};

/// How to migrate.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version table; `None` is the URL's `x-migrations-table`, else `schema_migrations`.
    pub table: Option<TableName>,
    /// How long to wait for the migration lock. Zero tries once.
    pub lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            table: None,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
        }
    }
}

/// A migration that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version of the migration's files.
    pub version: i64,
    /// The version the database is at after it; [`NO_VERSION`] at the bottom.
    pub target: i64,
    /// Which way it went.
    pub direction: Direction,
    /// The title in the file name; `<empty>` where only the other direction has a file.
    pub title: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for Step {
    /// As golang-migrate's command prints it: `3/u create_products_table (12.3ms)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Up => 'u',
            Direction::Down => 'd',
        };
        write!(
            f,
            "{}/{direction} {} ({:?})",
            self.version, self.title, self.elapsed
        )
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The migrations that ran, in order.
    pub steps: Vec<Step>,
    /// By how many migrations the source fell short of the number that was asked for.
    pub short: u64,
}

type Observer = Box<dyn FnMut(&Step) + Send>;

/// Migrates one database with one source.
pub struct Migrator {
    database: Database,
    source: Source,
    stop: Arc<AtomicBool>,
    observer: Option<Observer>,
}

impl Migrator {
    /// Connects. Takes no lock and creates nothing yet.
    pub async fn connect(url: &str, source: Source, options: Options) -> Result<Self, Error> {
        let url = DatabaseUrl::parse(url)?;
        let table = options
            .table
            .or_else(|| url.table.clone())
            .unwrap_or_default();
        let database = Database::connect(&url, &table, options.lock_timeout).await?;
        Ok(Self {
            database,
            source,
            stop: Arc::default(),
            observer: None,
        })
    }

    /// Calls back after each migration that ran, also when a later one fails.
    pub fn on_step(&mut self, observer: impl FnMut(&Step) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Setting it stops a run before its next migration, or while it waits for the lock, with [`Error::Stopped`].
    pub fn stop_handle(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Runs the `up` migrations above the database's version: all, or at most `limit`. A version that was added below
    /// it later never runs.
    pub async fn up(&mut self, limit: Option<u64>) -> Result<Outcome, Error> {
        self.database.lock(&self.stop).await?;
        let result = self.up_locked(limit).await;
        self.database.unlock().await;
        result
    }

    async fn up_locked(&mut self, limit: Option<u64>) -> Result<Outcome, Error> {
        let current = self.clean_version().await?;
        if self.source.versions().next().is_none() {
            return Err(Error::NoFiles(self.source.to_string()));
        }
        let pending: Vec<i64> = self
            .source
            .versions()
            .filter(|version| *version > current)
            .collect();
        let wanted = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let mut outcome = Outcome::default();
        for version in pending.into_iter().take(wanted) {
            let step = self.run(version, version, Direction::Up).await?;
            outcome.steps.push(step);
        }
        outcome.short = shortfall(limit, &outcome);
        Ok(outcome)
    }

    /// Rolls back the last `steps` migrations, or all of them.
    pub async fn down(&mut self, steps: Option<u64>) -> Result<Outcome, Error> {
        self.database.lock(&self.stop).await?;
        let result = self.down_locked(steps).await;
        self.database.unlock().await;
        result
    }

    async fn down_locked(&mut self, steps: Option<u64>) -> Result<Outcome, Error> {
        let mut current = self.clean_version().await?;
        let mut outcome = Outcome::default();
        while current > NO_VERSION && steps.is_none_or(|steps| outcome.count() < steps) {
            let target = self.source.previous(current).unwrap_or(NO_VERSION);
            let step = self.run(current, target, Direction::Down).await?;
            outcome.steps.push(step);
            current = target;
        }
        outcome.short = shortfall(steps, &outcome);
        Ok(outcome)
    }

    /// The version to start from. An error when it is dirty, or unknown to the source.
    async fn clean_version(&mut self) -> Result<i64, Error> {
        self.database.ensure_table().await?;
        match self.database.version().await? {
            Some(Version {
                version,
                dirty: true,
            }) => Err(Error::Dirty(version)),
            Some(Version { version, .. })
                if version > NO_VERSION && !self.source.contains(version) =>
            {
                Err(Error::MissingVersion(version))
            }
            Some(Version { version, .. }) => Ok(version),
            None => Ok(NO_VERSION),
        }
    }

    /// Runs one migration between two records: the target is dirty from before it begins until after it succeeded.
    async fn run(
        &mut self,
        version: i64,
        target: i64,
        direction: Direction,
    ) -> Result<Step, Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let started = tokio::time::Instant::now();
        // Read before anything is recorded: a file that cannot be read must not leave the database dirty.
        let script = match self.source.file(version, direction) {
            Some(file) => Some((file, self.source.read(file).await?)),
            None => None,
        };
        self.database.set_version(target, true).await?;
        if let Some((file, body)) = &script {
            self.database.run(&file.file_name, body).await?;
        }
        self.database.set_version(target, false).await?;
        let title = script.map_or_else(|| "<empty>".to_owned(), |(file, _)| file.title.clone());
        let step = Step {
            version,
            target,
            direction,
            title,
            elapsed: started.elapsed(),
        };
        if let Some(observer) = &mut self.observer {
            observer(&step);
        }
        Ok(step)
    }

    /// What the version table says. `None` when no migration is applied, which golang-migrate also answers when the
    /// rollback of the first migration failed (a dirty −1). Takes no lock and creates nothing.
    pub async fn version(&mut self) -> Result<Option<Version>, Error> {
        Ok(self
            .database
            .version()
            .await?
            .filter(|current| current.version > NO_VERSION))
    }

    /// Records a version as clean without running or checking anything. [`NO_VERSION`] is none.
    pub async fn force(&mut self, version: i64) -> Result<(), Error> {
        if version < NO_VERSION {
            return Err(Error::InvalidVersion);
        }
        self.database.lock(&self.stop).await?;
        let result = match self.database.ensure_table().await {
            Ok(()) => self.database.set_version(version, false).await,
            Err(error) => Err(error),
        };
        self.database.unlock().await;
        result
    }

    /// Ends the connection in an orderly way. Dropping the migrator ends it too.
    pub async fn close(self) {
        self.database.close().await;
    }
}

impl Outcome {
    fn count(&self) -> u64 {
        self.steps.len() as u64
    }
}

fn shortfall(wanted: Option<u64>, outcome: &Outcome) -> u64 {
    wanted.map_or(0, |wanted| wanted.saturating_sub(outcome.count()))
}
