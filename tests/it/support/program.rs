//! The programs of this project, each with an environment of its own.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Where a program that was built to be measured writes which of its lines ran, when it ends by itself.
const PROFILE: &str = "LLVM_PROFILE_FILE";

/// How long such a program has to end.
const END: Duration = Duration::from_secs(10);

/// `catalog-service`.
pub(crate) fn service() -> Command {
    alone(env!("CARGO_BIN_EXE_catalog-service"))
}

/// `migrate`.
pub(crate) fn migrate() -> Command {
    alone(env!("CARGO_BIN_EXE_migrate"))
}

/// A program without any variable of this one.
fn alone(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    if let Some(profile) = std::env::var_os(PROFILE) {
        command.env(PROFILE, profile);
    }
    command
}

/// Ends a process that nobody needs any more.
pub(crate) fn end(child: &mut Child) {
    if std::env::var_os(PROFILE).is_some() {
        let mut kill = Command::new("kill");
        let _ = kill.args(["-INT", &child.id().to_string()]).status();
        let asked = Instant::now();
        while asked.elapsed() < END && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
