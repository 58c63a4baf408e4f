//! Where lines of the log go: standard error, many at a time.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much is gathered before it is written.
const FULL: usize = 16 * 1024;

/// How long a line waits at most.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many threads gather lines without waiting for each other.
const SHARDS: usize = 16;

/// Writes lines; those of a thread in the order they come. Clones write to the same place.
///
/// Each thread gathers its own lines: one buffer for all of them would have them wait for each other at every request.
#[derive(Clone, Debug, Default)]
pub struct LogWriter(Arc<[Shard; SHARDS]>);

/// The lines of one thread, or of a few. On cache lines of its own, which no other thread writes to.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Vec<u8>>);

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// Which shard the thread has: threads take turns.
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

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

    fn shard(&self) -> &Shard {
        // A thread that ends has none any more.
        &self.0[SHARD.try_with(|shard| *shard).unwrap_or_default()]
    }

    /// Adds what `write` writes as a line; one that is urgent does not wait.
    pub fn line(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut lines = self.shard().lock();
        write(&mut lines);
        lines.push(b'\n');
        if urgent || lines.len() >= FULL {
            drain(&mut lines);
        }
    }

    /// Writes a line after those of the thread that wait, or without them where whoever writes one can't end it.
    pub fn at_once(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        match self.shard().0.try_lock() {
            Ok(mut lines) => {
                lines.append(&mut line);
                drain(&mut lines);
            }
            Err(_) => drain(&mut line),
        }
    }

    /// Writes what waits.
    pub fn flush(&self) {
        for shard in &*self.0 {
            drain(&mut shard.lock());
        }
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
    fn lines_wait_but_not_for_ever() {
        let writer = LogWriter::default();
        writer.line(false, |line| line.extend_from_slice(b"{}"));
        assert_eq!(*writer.shard().lock(), b"{}\n");
        writer.line(true, |line| line.extend_from_slice(b"{}"));
        assert!(writer.shard().lock().is_empty());
        writer.line(false, |line| line.extend_from_slice(b"{}"));
        writer.at_once(b"{}".to_vec());
        assert!(writer.shard().lock().is_empty());
        let lines = writer.shard().lock();
        writer.at_once(b"{}".to_vec());
        drop(lines);
        writer.line(false, |line| line.resize(FULL, b' '));
        assert!(writer.shard().lock().is_empty());
    }

    #[test]
    fn threads_gather_apart_and_are_flushed_together() {
        let writer = LogWriter::default();
        writer.line(false, |line| line.extend_from_slice(b"{}"));
        let own = writer.shard().lock();
        std::thread::scope(|scope| {
            // It would wait for ever for the buffer that is held here.
            scope.spawn(|| writer.line(false, |line| line.extend_from_slice(b"{}")));
        });
        drop(own);
        let waiting = |writer: &LogWriter| {
            writer
                .0
                .iter()
                .filter(|shard| !shard.lock().is_empty())
                .count()
        };
        assert_eq!(waiting(&writer), 2);
        writer.flush();
        assert_eq!(waiting(&writer), 0);
    }
}
