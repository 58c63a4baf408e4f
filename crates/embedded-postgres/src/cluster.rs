//! The data on disk: made once, checked before every start.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::account::Account;
use crate::programs::{self, Programs};
use crate::server::{self, SUPERUSER};

/// The oldest major version whose `initdb` knows the locale provider that is part of PostgreSQL itself.
const BUILTIN_LOCALES_SINCE: u32 = 17;

/// Makes sure there is a cluster at `pgdata` that `programs` can serve as `account`.
pub(crate) fn prepare(pgdata: &Path, programs: &Programs, account: &Account) -> Result<(), Error> {
    match fs::read_to_string(pgdata.join("PG_VERSION")) {
        Ok(found) => {
            let found = found.trim();
            // Releases before 10 are `9.6`: they never equal the major version of a later one either.
            if found != programs.major() {
                return Err(Error::VersionMismatch {
                    directory: pgdata.to_owned(),
                    found: found.to_owned(),
                    running: programs.version().to_owned(),
                });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if fs::read_dir(pgdata).is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(Error::NotACluster(pgdata.to_owned()));
            }
            create(pgdata, programs, account)?;
        }
        Err(error) => return Err(Error::io("cannot read", &pgdata.join("PG_VERSION"))(error)),
    }
    account.own_tree(pgdata)
}

/// Runs `initdb` beside `pgdata` and renames the result: an interrupted one leaves nothing that looks finished.
fn create(pgdata: &Path, programs: &Programs, account: &Account) -> Result<(), Error> {
    let unfinished = pgdata.with_extension("new");
    let mut failure = None;
    for locale in locales(programs) {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(Error::io("cannot remove", &unfinished))?;
        }
        fs::create_dir(&unfinished).map_err(Error::io("cannot create", &unfinished))?;
        account.give(&unfinished)?;
        match initdb(&unfinished, programs, account, &locale) {
            Ok(()) => {
                failure = None;
                break;
            }
            Err(error @ Error::Initdb { .. }) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = failure {
        // Nothing to see in it: initdb says what happened on its output.
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, pgdata).map_err(Error::io("cannot create", pgdata))?;
    let parent = pgdata.parent().unwrap_or(pgdata);
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("cannot sync", parent))
}

/// The locale options to try in turn. In the locale `C`, lower('ÄÖ') would change nothing.
fn locales(programs: &Programs) -> Vec<Vec<&'static str>> {
    // Not every system has a C.UTF-8: older macOS knows only the locales of countries.
    let mut all = vec![vec!["--locale=C.UTF-8"], vec!["--locale=en_US.UTF-8"]];
    if programs
        .major()
        .parse()
        .is_ok_and(|major: u32| major >= BUILTIN_LOCALES_SINCE)
    {
        all.push(vec!["--locale=C"]);
        for options in &mut all {
            options.extend(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        }
    }
    all
}

fn initdb(
    directory: &Path,
    programs: &Programs,
    account: &Account,
    locale: &[&str],
) -> Result<(), Error> {
    let program = programs.path("initdb");
    let mut command = Command::new(&program);
    command
        .arg("--pgdata")
        .arg(directory)
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--auth=trust"])
        .args(locale)
        .stdin(Stdio::null());
    server::isolate(&mut command, account, server::Orphaned::Killed);
    let output = command
        .output()
        .map_err(Error::io("cannot run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.trim().lines().collect();
    let output_end = lines[lines.len().saturating_sub(10)..].join("\n");
    Err(Error::Initdb {
        status: output.status.to_string(),
        output: output_end,
    })
}

/// Makes a lock file left by a crash harmless when the process it names is no PostgreSQL (any more).
///
/// The system may have given the old server's id to another process or, in a restarted container, to a thread of
/// this very program; PostgreSQL would take that for a running server for ever. The caller's own lock proves that no
/// other service is at work here. Only the id is replaced, by that of the server's future parent, which PostgreSQL
/// ignores: the file goes on naming the shared memory, whose use by survivors of the old server it still checks.
pub(crate) fn disarm_stale_lock(pgdata: &Path) -> Result<(), Error> {
    let path = pgdata.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let Some((first, rest)) = text.split_once('\n') else {
        return Ok(());
    };
    let Ok(pid) = first.trim().parse::<i32>() else {
        return Ok(());
    };
    // Only Linux tells this without help; elsewhere PostgreSQL's own check has to do.
    let Ok(name) = fs::read_to_string(format!("/proc/{}/comm", pid.unsigned_abs())) else {
        return Ok(());
    };
    if name.trim() == "postgres" {
        return Ok(());
    }
    let replaced = format!("{}\n{rest}", std::process::id());
    fs::write(&path, replaced).map_err(Error::io("cannot write", &path))
}

/// The first line and the status line of `postmaster.pid`: who serves, and whether it takes connections.
pub(crate) fn is_ready(pgdata: &Path, pid: u32) -> bool {
    fs::read_to_string(pgdata.join("postmaster.pid")).is_ok_and(|text| says_ready(&text, pid))
}

fn says_ready(postmaster_pid: &str, pid: u32) -> bool {
    let mut lines = postmaster_pid.lines();
    lines
        .next()
        .is_some_and(|first| first.trim() == pid.to_string())
        && lines.nth(6).is_some_and(|status| status.trim() == "ready")
}

/// Where the server that serves `pgdata` has its socket, once it takes connections.
pub(crate) fn running(pgdata: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    let socket_dir = text.lines().nth(4)?.trim();
    says_ready(&text, pid).then(|| PathBuf::from(socket_dir))
}

/// Whether `version` (as in `PG_VERSION`) is one this crate was made for.
pub(crate) fn check_supported(programs: &Programs) -> Result<(), Error> {
    match programs::major(programs.version()).parse::<u32>() {
        Ok(major) if major >= 15 => Ok(()),
        _ => Err(Error::TooOld {
            directory: programs.directory().to_owned(),
            version: programs.version().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_the_right_process_and_status() {
        let text = "42\n/data\n1795398231\n5432\n/run\n\n 10029269         1\nready   \n";
        assert!(says_ready(text, 42));
        assert!(!says_ready(text, 4));
        assert!(!says_ready(&text.replace("ready   ", "starting"), 42));
        assert!(!says_ready("42\n/data\n", 42));
    }

    #[test]
    fn a_lock_naming_another_program_is_disarmed_and_keeps_the_rest() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("postmaster.pid");
        let other = if cfg!(target_os = "linux") {
            "1"
        } else {
            "999999"
        };
        fs::write(&path, format!("{other}\n/data\n1\n5432\n")).expect("written");
        disarm_stale_lock(directory.path()).expect("disarmed");
        let text = fs::read_to_string(&path).expect("read");
        if cfg!(target_os = "linux") {
            assert_eq!(text, format!("{}\n/data\n1\n5432\n", std::process::id()));
        }
    }
}
