//! Folders that end with the process.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder that is removed when this process has ended, however it ends.
pub(crate) fn until_the_end(prefix: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .expect("a folder")
        .keep();
    remove_at_the_end(&folder).expect("a shell to clean up");
    folder
}

/// Starts a shell that waits for the end of this process, however it comes (nothing of a static is dropped at the end,
/// and after a kill nothing of ours runs at all), then for that of the server, and removes its folder.
fn remove_at_the_end(folder: &Path) -> io::Result<()> {
    const SCRIPT: &str = r#"
        read -r _
        n=0
        while [ -e "$1/pgdata/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
        rm -rf -- "$1"
    "#;
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of a Ctrl-C on the terminal.
        .process_group(0)
        .spawn()?;
    // The pipe closes when this process ends, and not before.
    std::mem::forget(shell.stdin.take());
    Ok(())
}
