//! The server's process: its start, the wait until it answers, and its end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::programs::Programs;
use crate::{Error, cluster, socket};

/// The database's own user; everyone who can reach the socket is let in as it.
pub(crate) const SUPERUSER: &str = "postgres";
/// After a crash the old server may live on for a moment, and keeps its lock file.
const LOCKED_LIMIT: Duration = Duration::from_secs(30);
/// After a crash the log is replayed before the server answers.
const READY_LIMIT: Duration = Duration::from_mins(3);
const FAST_STOP_LIMIT: Duration = Duration::from_secs(10);
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
const LARGEST_LOG: u64 = 8 << 20;
const TAIL_LINES: usize = 12;

/// What becomes of a child when this process dies.
#[derive(Clone, Copy)]
pub(crate) enum Orphaned {
    /// Ended at once.
    Killed,
    /// Told to stop as PostgreSQL's fast shutdown does.
    Stopped,
}

/// What every PostgreSQL program here runs with: the account, no inherited settings, no signals from the terminal,
/// and an end together with this process, however that comes about.
///
/// The end follows the *thread* that starts the command: it has to outlive the child.
pub(crate) fn isolate(command: &mut Command, account: &Account, orphaned: Orphaned) {
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Messages in English, which `locked` reads; the cluster has its locale from initdb.
    command.env("LC_ALL", "C").env("TZ", "UTC");
    command.current_dir("/");
    // A Ctrl-C is for the service, which then stops the server when it has finished its own work.
    command.process_group(0);
    account.apply(command);
    die_with_parent(command, orphaned);
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only a hook between fork and exec can bind the child's life to this process"
)]
fn die_with_parent(command: &mut Command, orphaned: Orphaned) {
    let signal = match orphaned {
        Orphaned::Killed => Signal::KILL,
        Orphaned::Stopped => Signal::INT,
    };
    let parent = rustix::process::getpid();
    // SAFETY: the closure runs in the forked child and makes two system calls; it allocates nothing and takes no
    // lock. It runs after the change of the user id, which would undo the setting.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before the call above.
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(rustix::io::Errno::SRCH.into())
            }
        });
    }
}

/// Other systems have no such signal: there the server outlives a killed service, and the next start waits for it.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command, _orphaned: Orphaned) {}

/// All a start needs to know.
pub(crate) struct Launch<'a> {
    pub programs: &'a Programs,
    pub account: &'a Account,
    pub pgdata: &'a Path,
    pub socket_dir: &'a Path,
    pub log: &'a Path,
    pub max_connections: u16,
}

impl Launch<'_> {
    /// Starts the server and waits until it answers. To be called from the thread that will also wait for its end.
    pub(crate) fn run(&self) -> Result<Server, Error> {
        let started = Instant::now();
        loop {
            cluster::disarm_stale_lock(self.pgdata)?;
            let (log, log_start) = open_log(self.log)?;
            let mut server = Server {
                child: self.spawn(log)?,
            };
            let reason = match server.wait_ready(self.pgdata)? {
                Outcome::Ready => return Ok(server),
                Outcome::Ended(status) => status.to_string(),
                Outcome::TooSlow => {
                    let _ = server.stop();
                    format!("not ready after {} s", READY_LIMIT.as_secs())
                }
            };
            let said = read_from(self.log, log_start);
            if locked(&said) && started.elapsed() < LOCKED_LIMIT {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            return Err(Error::Start {
                reason,
                log: self.log.to_owned(),
                tail: last_lines(&said),
            });
        }
    }

    fn spawn(&self, log: File) -> Result<Child, Error> {
        let program = self.programs.path("postgres");
        let copy = log.try_clone().map_err(Error::io("cannot use", self.log))?;
        let mut command = Command::new(&program);
        command.arg("-D").arg(self.pgdata);
        // On the command line, where no file in the data directory overrules them.
        for setting in [
            "listen_addresses=".to_owned(),
            format!("port={}", socket::PORT),
            "unix_socket_permissions=0700".to_owned(),
            format!("max_connections={}", self.max_connections),
            // The bundled build's own default is 400 kB.
            "shared_buffers=64MB".to_owned(),
            "fsync=on".to_owned(),
            "full_page_writes=on".to_owned(),
            "synchronous_commit=on".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
            "lc_messages=C".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        command.arg("-c").arg(socket_setting(self.socket_dir));
        command.stdin(Stdio::null()).stdout(copy).stderr(log);
        isolate(&mut command, self.account, Orphaned::Stopped);
        command.spawn().map_err(Error::io("cannot run", &program))
    }
}

/// The setting is a list: quoted, a directory's name may have commas and spaces.
fn socket_setting(directory: &Path) -> OsString {
    let mut setting = OsString::from("unix_socket_directories=\"");
    // The directory is text: socket.rs takes no other.
    setting.push(directory.to_string_lossy().replace('"', "\"\""));
    setting.push("\"");
    setting
}

/// How the wait for an answer ended.
enum Outcome {
    Ready,
    Ended(ExitStatus),
    TooSlow,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is gone.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn wait_ready(&mut self, pgdata: &Path) -> Result<Outcome, Error> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            if cluster::is_ready(pgdata, self.child.id()) {
                return Ok(Outcome::Ready);
            }
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(Error::io("cannot wait for", pgdata))?
            {
                return Ok(Outcome::Ended(status));
            }
            if Instant::now() >= deadline {
                return Ok(Outcome::TooSlow);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends the server: open transactions are rolled back, and the data is left as after an orderly shutdown.
    /// When that takes too long it is ended without, which the next start repairs from the log.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        if let Some(status) = self.signal_and_wait(Signal::INT, FAST_STOP_LIMIT)? {
            return match status.code() {
                Some(0) => Ok(()),
                _ => Err(Error::Stop(format!("it ended with {status}"))),
            };
        }
        let how = if self
            .signal_and_wait(Signal::QUIT, IMMEDIATE_STOP_LIMIT)?
            .is_some()
        {
            "it was ended without a shutdown"
        } else {
            self.signal_and_wait(Signal::KILL, IMMEDIATE_STOP_LIMIT)?;
            "it was killed"
        };
        Err(Error::Stop(format!(
            "no end within {} s, {how}; no data is lost",
            FAST_STOP_LIMIT.as_secs()
        )))
    }

    fn signal_and_wait(
        &mut self,
        signal: Signal,
        limit: Duration,
    ) -> Result<Option<ExitStatus>, Error> {
        let failed = |error: std::io::Error| Error::Stop(error.to_string());
        // Asked first, so that the id is still the child's when it is used: it is given up only by this thread.
        if let Some(status) = self.child.try_wait().map_err(failed)? {
            return Ok(Some(status));
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, signal).map_err(|error| failed(error.into()))?;
        }
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().map_err(failed)? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Opens the log for appending, after setting a big one aside. Gives also where this start begins in it.
fn open_log(path: &Path) -> Result<(File, u64), Error> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LARGEST_LOG) {
        let old: PathBuf = path.with_extension("log.old");
        fs::rename(path, &old).map_err(Error::io("cannot rename", path))?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::io("cannot open", path))?;
    let start = file
        .metadata()
        .map_err(Error::io("cannot read", path))?
        .len();
    Ok((file, start))
}

fn read_from(path: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut bytes)
    });
    // Only for the message: what could be read is better than a second error.
    drop(read);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the server ended because one before it, or a process of it, still lives.
fn locked(said: &str) -> bool {
    said.contains("lock file \"") && said.contains("already exists")
        || said.contains("pre-existing shared memory block")
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_predecessor_is_worth_a_retry() {
        assert!(locked(
            "FATAL:  lock file \"postmaster.pid\" already exists\nHINT: …"
        ));
        assert!(locked(
            "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"
        ));
        assert!(!locked("FATAL:  could not create shared memory segment"));
    }

    #[test]
    fn the_socket_setting_survives_commas_and_quotes() {
        assert_eq!(
            socket_setting(Path::new("/a, \"b\"")),
            "unix_socket_directories=\"/a, \"\"b\"\"\""
        );
    }
}
