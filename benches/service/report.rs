//! The table of what was measured.

use std::fmt::Write as _;

/// What is compared.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Microseconds of CPU for a request: less is better.
    Cpu,
    /// Requests per second: more is better.
    Rate,
}

/// What was measured, turn by turn.
#[derive(Default)]
pub(crate) struct Costs {
    subject: Vec<f64>,
    reference: Vec<f64>,
}

impl Costs {
    pub(crate) fn subject(&mut self, value: f64) {
        self.subject.push(value);
    }

    pub(crate) fn reference(&mut self, value: f64) {
        self.reference.push(value);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A table in Markdown.
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(products: usize) -> Self {
        let cores = std::thread::available_parallelism().unwrap();
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, name)| name);
        let text = format!(
            "{products} products, authentication and log on; medians of {} turns, subject and reference by turns, all on \
             one machine: {cores} cores of {cpu}.\n\n\
             | what | value | reference | value | ratio | goal |\n| --- | --- | --- | --- | --- | --- |\n",
            super::TURNS
        );
        print!("{text}");
        Self(text)
    }

    pub(crate) fn row(
        &mut self,
        what: &str,
        reference: &str,
        unit: Unit,
        costs: &Costs,
        goal: f64,
    ) {
        let (subject, against) = (median(&costs.subject), median(&costs.reference));
        let (unit, digits, sign) = match unit {
            Unit::Cpu => ("µs CPU", 1, "≤"),
            Unit::Rate => ("/s", 0, "≥"),
        };
        let line = format!(
            "| {what} | {subject:.digits$} {unit} | {reference} | {against:.digits$} {unit} | {:.2} | {sign} {goal} |\n",
            subject / against
        );
        print!("{line}");
        // Writing to a String can't fail.
        let _ = write!(self.0, "{line}");
    }

    /// Writes the table where it is wanted.
    pub(crate) fn finish(self) {
        if let Ok(file) = std::env::var("BENCH_REPORT") {
            std::fs::write(file, self.0).unwrap();
        }
    }
}
