//! The process and its runtime: what runs, since when, and what it takes.

use std::fs;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Page, Source};
use crate::lifecycle::{NAME, VERSION};

/// A second in the ticks of `/proc`, which Linux gives as 1/100 on all of its platforms.
const TICKS: f64 = 100.0;

/// The process, as `/proc` tells, and the runtime.
#[derive(Debug)]
pub struct ProcessMetrics {
    started: Duration,
    runtime: Handle,
}

impl ProcessMetrics {
    /// Of a process that began at this time after 1970, with this runtime.
    pub const fn new(started: Duration, runtime: Handle) -> Self {
        Self { started, runtime }
    }
}

impl Source for ProcessMetrics {
    fn write(&self, page: &mut Page) {
        page.gauge("build_info", "What runs; always 1").sample(
            &[
                ("service", NAME),
                ("version", VERSION),
                ("target", std::env::consts::ARCH),
            ],
            1,
        );
        page.gauge(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970",
        )
        .sample(&[], self.started.as_secs_f64());
        let read = |name| fs::read_to_string(name).unwrap_or_default();
        if let Some(cpu) = cpu_seconds(&read("/proc/self/stat")) {
            page.counter("process_cpu_seconds_total", "Time on processors")
                .sample(&[], cpu);
        }
        let status = read("/proc/self/status");
        for (name, help, line, unit) in [
            ("process_threads", "Threads", "Threads:", 1),
            (
                "process_virtual_memory_bytes",
                "Size of the address space",
                "VmSize:",
                1024,
            ),
            (
                "process_resident_memory_bytes",
                "Memory in use",
                "VmRSS:",
                1024,
            ),
        ] {
            if let Some(number) = status_number(&status, line) {
                page.gauge(name, help).sample(&[], number * unit);
            }
        }
        let limits = read("/proc/self/limits");
        if let (Ok(open), Some(most)) = (fs::read_dir("/proc/self/fd"), max_fds(&limits)) {
            page.gauge("process_open_fds", "Open file descriptors")
                // But for the one that counts.
                .sample(&[], open.count().saturating_sub(1));
            page.gauge("process_max_fds", "Most file descriptors that may be open")
                .sample(&[], most);
        }
        let runtime = self.runtime.metrics();
        page.gauge("tokio_workers", "Threads that run tasks")
            .sample(&[], runtime.num_workers());
        page.gauge("tokio_tasks_alive", "Tasks that have not ended")
            .sample(&[], runtime.num_alive_tasks());
        page.gauge(
            "tokio_global_queue_depth",
            "Tasks that wait for any of the threads",
        )
        .sample(&[], runtime.global_queue_depth());
    }
}

/// Seconds on processors in `/proc/self/stat`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name of the program, in brackets, may hold anything. Then come the third field and those after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let (user, system) = (fields.nth(14 - 3)?, fields.next()?);
    let ticks = user
        .parse::<u32>()
        .ok()?
        .checked_add(system.parse().ok()?)?;
    Some(f64::from(ticks) / TICKS)
}

/// A number of `/proc/self/status`.
fn status_number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit of open files in `/proc/self/limits`.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 2048000 300";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(
            status_number("Name:\ta\nVmRSS:\t    1200 kB\n", "VmRSS:"),
            Some(1200)
        );
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024    4096   files\n";
        assert_eq!(max_fds(limits), Some(1024));
    }
}
