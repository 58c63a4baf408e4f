//! Statements by name: how long they take. A name is the only thing that is kept of a statement; values never are.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::metrics::Times;
use super::trace::{Kind, Part};

/// A statement. Each stands in a `static` beside the code that runs it: one for the process, as are the callsites of the
/// log, so that a store needs no handle to be measured.
#[derive(Debug)]
pub struct Query {
    name: &'static str,
    times: Times,
    errors: AtomicU64,
    listed: AtomicBool,
}

/// Those that ran.
static LISTED: Mutex<Vec<&'static Query>> = Mutex::new(Vec::new());

impl Query {
    /// A statement by its name, such as `products.find`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            times: Times::new(),
            errors: AtomicU64::new(0),
            listed: AtomicBool::new(false),
        }
    }

    /// Runs the statement. Its future is to be boxed where it is part of a request's: it takes kilobytes, which each
    /// future around it would have to have room for, and copy.
    pub async fn run<T, E>(
        &'static self,
        statement: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let part = Part::of_request(self.name, Kind::Client);
        let began = Instant::now();
        let result = statement.await;
        self.times.record(began.elapsed());
        if result.is_err() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.end(part, result.is_ok());
        if !self.listed.load(Ordering::Relaxed) && !self.listed.swap(true, Ordering::Relaxed) {
            let mut listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
            listed.push(self);
        }
        result
    }

    /// Waits for a statement that is run for several requests.
    pub async fn wait<T, E>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let part = Part::of_request(self.name, Kind::Client);
        let result = answer.await;
        self.end(part, result.is_ok());
        result
    }

    fn end(&self, part: Option<Part>, well: bool) {
        let Some(part) = part else { return };
        part.end(|span| {
            span.set("db.system.name", "postgresql");
            span.set("db.query.summary", self.name);
            // What it says may quote values; the log has it.
            span.error = (!well).then(|| "the statement failed".to_owned());
        });
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long it took.
    pub const fn times(&self) -> &Times {
        &self.times
    }

    /// How often it failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Those that ran so far, by name.
    pub fn all() -> Vec<&'static Self> {
        let listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = listed.clone();
        all.sort_by_key(|query| query.name);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ran_is_listed() {
        static RAN: Query = Query::new("test.ran");
        static DID_NOT: Query = Query::new("test.did_not");
        let _ = RAN.run(async { Ok::<_, ()>(1) }).await;
        let _ = RAN.run(async { Err::<(), _>(2) }).await;
        let names: Vec<_> = Query::all().iter().map(|query| query.name()).collect();
        assert!(names.contains(&"test.ran") && !names.contains(&DID_NOT.name()));
        assert_eq!((RAN.times().count(), RAN.errors()), (2, 1));
    }
}
