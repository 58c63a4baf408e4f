//! The handle on a running server, and the thread that owns its process.
//!
//! The system ends the server when the *thread* that started it ends. So one thread does nothing but start it, wait
//! to be told, and stop it: a short-lived worker thread of the caller may call [`Postgres::start`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::account::Account;
use crate::programs::Programs;
use crate::server::{Launch, SUPERUSER, Server};
use crate::{Error, Options, cluster, socket};

/// How often the server is looked after.
const WATCH: Duration = Duration::from_millis(200);

/// A running server, started again when it is killed from outside. Dropping it stops the server, like [`Postgres::stop`] but without a word about how that went.
#[derive(Debug)]
pub struct Postgres {
    facts: Facts,
    owner: Option<Owner>,
}

/// The thread that owns the process; it stops the server when `stop` is dropped.
#[derive(Debug)]
struct Owner {
    stop: Sender<()>,
    thread: JoinHandle<Result<(), Error>>,
}

#[derive(Debug)]
struct Facts {
    socket_dir: PathBuf,
    version: String,
    bundled: bool,
    /// Another one after the server was killed and started again.
    pid: Arc<AtomicU32>,
}

impl Postgres {
    /// Starts a server on `options.data_dir` and returns when it answers. Blocks: for seconds the first time, when
    /// the data directory is made, and shortly afterwards.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let options = options.clone();
        let data_dir = options.data_dir.clone();
        let (stop, stopped) = mpsc::channel();
        let (report, reported) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("postgres-owner".to_owned())
            .spawn(move || own(&options, &report, &stopped))
            .map_err(Error::io("cannot start a thread for", &data_dir))?;
        match reported.recv() {
            Ok(facts) => Ok(Self {
                facts,
                owner: Some(Owner { stop, thread }),
            }),
            Err(mpsc::RecvError) => Err(join(thread)
                .err()
                .unwrap_or(Error::Stop("it ended at once".to_owned()))),
        }
    }

    /// The address of `database` on this server, for sqlx and libpq. The database `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        url(&self.facts.socket_dir, database)
    }

    /// The address of `database` on a server that another process runs on a data directory; none where no server is.
    pub fn url_of_running(data_dir: &Path, database: &str) -> Option<String> {
        let socket_dir = cluster::running(&data_dir.join(PGDATA))?;
        Some(url(&socket_dir, database))
    }

    /// The server's version, such as `17.5`.
    pub fn version(&self) -> &str {
        &self.facts.version
    }

    /// Whether the server's programs came with this build.
    pub fn bundled(&self) -> bool {
        self.facts.bundled
    }

    /// The id of the server's process.
    pub fn pid(&self) -> u32 {
        self.facts.pid.load(Ordering::Relaxed)
    }

    /// Stops the server and waits until it has ended, for at most some twenty seconds. Open connections are closed.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(Owner { stop, thread }) = self.owner.take() else {
            return Ok(());
        };
        drop(stop);
        join(thread)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nobody left to tell; `stop` is there for those who want to know.
        let _ = self.end();
    }
}

fn join(thread: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Error::Stop("the thread that owns it panicked".to_owned())))
}

/// The folder of the server's own data.
const PGDATA: &str = "pgdata";

/// Names the port and the encryption too, or variables such as PGPORT would decide them.
fn url(socket_dir: &Path, database: &str) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    format!(
        "postgresql:///{}?host={}&port={}&user={SUPERUSER}&sslmode=disable",
        encode(database),
        // Always text: socket.rs takes no other directory.
        encode(&socket_dir.to_string_lossy()),
        socket::PORT,
    )
}

/// The life of the owning thread.
fn own(options: &Options, report: &Sender<Facts>, stopped: &Receiver<()>) -> Result<(), Error> {
    fs::create_dir_all(&options.data_dir).map_err(Error::io("cannot create", &options.data_dir))?;
    let data_dir = options
        .data_dir
        .canonicalize()
        .map_err(Error::io("cannot read", &options.data_dir))?;
    // Held until the server has ended.
    let _lock = lock(&data_dir)?;
    let (mut server, socket_dir, facts) = start(options, &data_dir, None)?;
    let pid = facts.pid.clone();
    if report.send(facts).is_ok() {
        // Ends when the handle drops its end, which is also what happens when its thread panics.
        while stopped.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
            if server.has_ended() {
                // It was killed from outside: the data is as after a power failure, which the next start repairs. One
                // that fails is tried again; the log says why.
                if let Ok((next, ..)) = start(options, &data_dir, Some(&socket_dir)) {
                    pid.store(next.pid(), Ordering::Relaxed);
                    server = next;
                }
            }
        }
    }
    let result = server.stop();
    socket::remove(&socket_dir);
    result
}

/// Starts a server; one that takes another's place listens on its socket.
fn start(
    options: &Options,
    data_dir: &Path,
    socket_dir: Option<&Path>,
) -> Result<(Server, PathBuf, Facts), Error> {
    let programs = Programs::resolve(&options.binaries, data_dir)?;
    cluster::check_supported(&programs)?;
    let account = Account::choose(programs.bundled());
    account.open_up(data_dir)?;
    account.check_reach(data_dir, "the server's data")?;
    account.check_reach(programs.directory(), "the server's programs")?;
    let pgdata = data_dir.join(PGDATA);
    cluster::prepare(&pgdata, &programs, &account)?;
    let socket_dir = match socket_dir {
        Some(directory) => directory.to_owned(),
        None => socket::prepare(data_dir, &account)?,
    };
    let server = Launch {
        programs: &programs,
        account: &account,
        pgdata: &pgdata,
        socket_dir: &socket_dir,
        log: &data_dir.join("postgres.log"),
        max_connections: options.max_connections,
    }
    .run()?;
    let facts = Facts {
        socket_dir: socket_dir.clone(),
        version: programs.version().to_owned(),
        bundled: programs.bundled(),
        pid: Arc::new(AtomicU32::new(server.pid())),
    };
    Ok((server, socket_dir, facts))
}

/// Takes the data directory for this process. The system gives it back however the process ends.
fn lock(data_dir: &Path) -> Result<File, Error> {
    let path = data_dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io("cannot lock", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_encodes_what_a_path_may_hold() {
        assert_eq!(
            url(Path::new("/tmp/a b&c?d"), "x/ä"),
            "postgresql:///x%2F%C3%A4?host=%2Ftmp%2Fa%20b%26c%3Fd&port=5432&user=postgres&sslmode=disable"
        );
    }
}
