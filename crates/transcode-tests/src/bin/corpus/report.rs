//! The figures, and whether they are good.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Outcome;
use super::apis::Rules;

/// What became of the APIs.
pub struct Report {
    outcomes: Vec<Outcome>,
    known: Known,
}

/// What is known to be wrong with the files of others.
#[derive(Default)]
pub struct Known {
    /// APIs that are refused, and a part of what is said of them.
    refused: Vec<(String, String)>,
    /// RPCs whose rules another RPC has too.
    grpc_only: Vec<String>,
    /// RPCs some of whose requests another rule takes.
    shadowed: Vec<String>,
}

impl Known {
    /// Those of the RPCs of an API whose rules another one has.
    pub fn grpc_only<'a>(
        &'a self,
        rpcs: &'a BTreeMap<String, Rules>,
    ) -> impl Iterator<Item = &'a String> + Clone {
        let known = self.grpc_only.iter();
        known.filter(|rpc| rpcs.contains_key(*rpc))
    }
}

/// Reads what is known: lines `refused API PART-OF-WHAT-IS-SAID`, `grpc-only RPC` and `shadowed RPC`. `#` begins a comment.
pub fn known(text: &str) -> Known {
    let mut known = Known::default();
    for line in text.lines().map(str::trim) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "refused" => {
                let (name, error) = rest.split_once(' ').unwrap_or((rest, ""));
                known
                    .refused
                    .push((name.to_owned(), error.trim().to_owned()));
            }
            "grpc-only" => known.grpc_only.push(rest.to_owned()),
            "shadowed" => known.shadowed.push(rest.to_owned()),
            _ => {}
        }
    }
    known
}

impl Report {
    pub fn new(mut outcomes: Vec<Outcome>, known: Known) -> Self {
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        Self { outcomes, known }
    }

    /// Whether something is wrong that is not known.
    pub fn failed(&self) -> bool {
        self.outcomes.is_empty() || !self.problems().is_empty()
    }

    fn refused(&self) -> impl Iterator<Item = (&Outcome, &str)> {
        self.outcomes.iter().filter_map(|outcome| {
            let error = outcome.result.as_ref().err()?;
            Some((outcome, error.as_str()))
        })
    }

    fn is_known(&self, name: &str, error: &str) -> bool {
        let mut known = self.known.refused.iter();
        known.any(|(known, part)| known == name && error.contains(part))
    }

    fn is_shadowed(&self, failure: &str) -> bool {
        let rpc = failure.split(':').next();
        let mut known = self.known.shadowed.iter();
        known.any(|known| rpc == Some(known.as_str()))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (outcome, error) in self.refused() {
            if !self.is_known(&outcome.name, error) {
                problems.push(format!("{} is refused: {error}", outcome.name));
            }
        }
        for (name, part) in &self.known.refused {
            if !self
                .refused()
                .any(|(outcome, error)| &outcome.name == name && error.contains(part))
            {
                problems.push(format!("{name} is no longer refused: {part}"));
            }
        }
        for name in &self.known.grpc_only {
            let mut outcomes = self.outcomes.iter();
            if !outcomes.any(|outcome| outcome.grpc_only.contains(name)) {
                problems.push(format!("{name} is left to gRPC, and is nowhere"));
            }
        }
        for name in &self.known.shadowed {
            let routed = self
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.result.as_ref().ok());
            let mut failures = routed.flat_map(|routed| &routed.failures);
            if !failures.any(|failure| failure.split(':').next() == Some(name)) {
                problems.push(format!("{name} is no longer shadowed"));
            }
        }
        for outcome in &self.outcomes {
            if let Ok(routed) = &outcome.result {
                if routed.rules + outcome.left_out != outcome.rules.all {
                    problems.push(format!(
                        "{}: {} rules in the files, {} in the engine",
                        outcome.name, outcome.rules.all, routed.rules
                    ));
                }
                let unknown = routed
                    .failures
                    .iter()
                    .filter(|failure| !self.is_shadowed(failure));
                problems.extend(unknown.cloned());
            }
        }
        problems
    }
}

/// What is said of an error without the names in it.
fn cause(error: &str) -> String {
    let text = error.splitn(2, ": ").last().unwrap_or(error);
    let text = text.split_once(": ").map_or(text, |(_, text)| text);
    let mut cause = String::new();
    for (index, part) in text.split('`').enumerate() {
        cause.push_str(if index % 2 == 0 { part } else { "…" });
    }
    let words = cause
        .lines()
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(|word| {
            if word.contains(['/', '.']) && word.len() > 3 {
                "…"
            } else {
                word
            }
        });
    words.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut all, mut refused) = (Rules::default(), Rules::default());
        let (
            mut files,
            mut shadowed,
            mut taken,
            mut grpc_only,
            mut routed,
            mut requests,
            mut failures,
        ) = (0, 0, 0, 0, 0, 0, 0);
        let mut causes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let names: BTreeSet<_> = self.outcomes.iter().map(|outcome| &outcome.name).collect();
        for outcome in &self.outcomes {
            all += outcome.rules;
            files += outcome.files;
            grpc_only += outcome.left_out;
            match &outcome.result {
                Ok(result) => {
                    routed += result.rules;
                    requests += result.requests;
                    for failure in &result.failures {
                        *(if self.is_shadowed(failure) {
                            &mut shadowed
                        } else {
                            &mut failures
                        }) += 1;
                    }
                    taken += result.taken;
                }
                Err(error) => {
                    refused += outcome.rules;
                    let entry = causes.entry(cause(error)).or_default();
                    entry.0 += 1;
                    entry.1 += outcome.rules.all;
                }
            }
        }
        writeln!(f, "APIs                      {:>8}", names.len())?;
        writeln!(f, "files with services       {files:>8}")?;
        writeln!(f, "services                  {:>8}", all.services)?;
        writeln!(f, "RPCs                      {:>8}", all.rpcs)?;
        writeln!(f, "HTTP rules                {:>8}", all.all)?;
        writeln!(f, "  additional bindings     {:>8}", all.additional)?;
        writeln!(f, "  with **                 {:>8}", all.multi)?;
        writeln!(f, "  left to gRPC alone      {grpc_only:>8}")?;
        writeln!(f, "rules compiled, routed    {routed:>8}")?;
        writeln!(f, "requests                  {requests:>8}")?;
        writeln!(f, "  to a rule without **    {taken:>8}")?;
        writeln!(f, "  to one known to shadow  {shadowed:>8}")?;
        writeln!(f, "requests routed wrongly   {failures:>8}")?;
        writeln!(f, "rules refused             {:>8}", refused.all)?;
        for (cause, (apis, rules)) in &causes {
            writeln!(f, "  {rules:>6} in {apis:>3} APIs: {cause}")?;
        }
        let mut slowest: Vec<_> = self.outcomes.iter().collect();
        slowest.sort_by_key(|outcome| std::cmp::Reverse(outcome.time));
        writeln!(f, "slowest")?;
        for outcome in slowest.iter().take(5) {
            writeln!(
                f,
                "  {:>6.1} s  {}",
                outcome.time.as_secs_f64(),
                outcome.name
            )?;
        }
        if let Some(memory) = peak_memory() {
            writeln!(f, "most memory               {memory:>8} MiB")?;
        }
        for problem in self.problems() {
            writeln!(f, "PROBLEM {problem}")?;
        }
        Ok(())
    }
}

/// The most memory this process has had, in MiB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}
