//! Builds services that others wrote: for every API below a folder of `.proto` files the code, the routes and the
//! description are made, and every HTTP rule is called through the router. `make corpus` runs it.
//!
//! `corpus FOLDER OUT [--known FILE] [--keep PACKAGE]...` reads the `.proto` files of a folder, and writes what is made of
//! the packages to keep below another. It fails on a rule that is routed wrongly, on an API that is refused and not named
//! in the file of known refusals, and on one that is named there and builds.

mod apis;
mod report;
mod routes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apis::Api;
use report::{Known, Report};

/// What was asked for.
struct Arguments {
    folder: PathBuf,
    out: PathBuf,
    known: Option<PathBuf>,
    keep: BTreeSet<String>,
}

/// What became of an API.
pub struct Outcome {
    name: String,
    files: usize,
    time: Duration,
    result: Result<routes::Routed, String>,
    rules: apis::Rules,
    /// RPCs whose rules are left out, since another RPC has them.
    grpc_only: Vec<String>,
    /// How many rules those are.
    left_out: usize,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("usage: corpus FOLDER OUT [--known FILE] [--keep PACKAGE]...");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(report) => {
            print!("{report}");
            if report.failed() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        folder: words.next()?.into(),
        out: words.next()?.into(),
        known: None,
        keep: BTreeSet::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--known" => arguments.known = Some(words.next()?.into()),
            "--keep" => {
                arguments.keep.insert(words.next()?);
            }
            _ => return None,
        }
    }
    Some(arguments)
}

fn run(arguments: &Arguments) -> std::io::Result<Report> {
    let apis = apis::find(&arguments.folder)?;
    let known = match &arguments.known {
        Some(path) => report::known(&std::fs::read_to_string(path)?),
        None => report::Known::default(),
    };
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (next, outcomes, apis, known) = (&next, &outcomes, &apis, &known);
            scope.spawn(move || {
                while let Some(api) = apis.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = build(arguments, api, known, worker);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default();
    Ok(Report::new(outcomes, known))
}

/// Makes everything of an API, and calls its routes.
fn build(arguments: &Arguments, api: &Api, known: &Known, worker: usize) -> Outcome {
    let kept = arguments.keep.contains(&api.name);
    let out = if kept {
        arguments.out.join(&api.name)
    } else {
        arguments.out.join(format!(".{worker}"))
    };
    let rules = apis::count(&arguments.folder, api);
    let grpc_only: Vec<_> = known.grpc_only(&rules).cloned().collect();
    let start = Instant::now();
    let result = make(arguments, api, &grpc_only, &out);
    if !kept {
        // What is left of it is overwritten, or found by who looks.
        let _ = std::fs::remove_dir_all(&out);
    }
    Outcome {
        name: api.name.clone(),
        files: api.files.len(),
        left_out: grpc_only.iter().map(|rpc| rules[rpc].all).sum(),
        grpc_only,
        time: start.elapsed(),
        result,
        rules: rules.values().copied().sum(),
    }
}

fn make(
    arguments: &Arguments,
    api: &Api,
    grpc_only: &[String],
    out: &Path,
) -> Result<routes::Routed, String> {
    std::fs::create_dir_all(out).map_err(|error| error.to_string())?;
    let contract = || {
        let contract = transcode_build::configure()
            .include(&arguments.folder)
            .undeclared(transcode_build::Undeclared::NotPublic)
            .overlaps(transcode_build::Overlaps::FirstSegmentDecides)
            .out_dir(out);
        let contract = api.files.iter().fold(contract, |contract, file| {
            contract.file(arguments.folder.join(file))
        });
        grpc_only
            .iter()
            .fold(contract, transcode_build::Config::grpc_only)
    };
    let made = contract().api().map_err(|error| error.to_string())?;
    contract().compile().map_err(|error| error.to_string())?;
    Ok(routes::check(&made))
}
