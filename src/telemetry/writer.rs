//! Where lines of the log go: standard error, many at a time.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much is gathered before it is written.
const FULL: usize = 16 * 1024;

/// How long a line waits at most.
const INTERVAL: Duration = Duration::from_millis(50);

/// Writes lines in the order they come. Clones write to the same place.
#[derive(Clone, Debug, Default)]
pub struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl LogWriter {
    /// A writer, with a thread that sees to it that no line waits for long.
    pub fn start() -> Self {
        let writer = Self::default();
        let waiting = writer.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        let started = thread.spawn(move || {
            loop {
                std::thread::sleep(INTERVAL);
                waiting.flush();
            }
        });
        if started.is_err() {
            writer.line(true, |line| {
                line.extend_from_slice(
                    br#"{"level":"WARN","message":"lines of the log may be late"}"#,
                );
            });
        }
        writer
    }

    /// Adds what `write` writes as a line; one that is urgent does not wait.
    pub fn line(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut lines = self.lock();
        write(&mut lines);
        lines.push(b'\n');
        if urgent || lines.len() >= FULL {
            drain(&mut lines);
        }
    }

    /// Writes a line after those that wait, or without them where whoever writes one can't end it.
    pub fn at_once(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        match self.0.try_lock() {
            Ok(mut lines) => {
                lines.append(&mut line);
                drain(&mut lines);
            }
            Err(_) => drain(&mut line),
        }
    }

    /// Writes what waits.
    pub fn flush(&self) {
        drain(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drain(lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        // Without anybody to read the log, the service goes on.
        let _ = std::io::stderr().write_all(lines);
        lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_for_each_other_but_not_for_ever() {
        let writer = LogWriter::default();
        writer.line(false, |line| line.extend_from_slice(b"{}"));
        assert_eq!(*writer.lock(), b"{}\n");
        writer.line(true, |line| line.extend_from_slice(b"{}"));
        assert!(writer.lock().is_empty());
        writer.line(false, |line| line.extend_from_slice(b"{}"));
        writer.at_once(b"{}".to_vec());
        assert!(writer.lock().is_empty());
        let lines = writer.lock();
        writer.at_once(b"{}".to_vec());
        drop(lines);
        writer.line(false, |line| line.resize(FULL, b' '));
        assert!(writer.lock().is_empty());
    }
}
