//! What it costs to find the binding of a request, among few routes and among many.
//!
//! `cargo bench -p transcode-tests`, or `make bench`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use transcode::router::{Match, Router};
use transcode::{Binding, Body, Segment};
use transcode_tests::pb::METHODS;

const ROUNDS: usize = 31;
const CALLS: u32 = 20_000;

/// A table of so many routes, five for each collection, as a resource-oriented API has them; and paths that lead to all.
fn table(routes: usize) -> (Router, Vec<(&'static str, String)>) {
    let spec = METHODS.iter().copied().flatten().next().copied().unwrap();
    let mut router = Router::new();
    let mut paths = Vec::new();
    for n in 0..routes / 5 {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let word = leak(format!("{}s{n}", ["item", "order", "shelf", "user"][n % 4]));
        let (v1, all, verb) = (
            Segment::Literal("v1"),
            Segment::Literal(word),
            Some("undelete"),
        );
        let many: &'static [Segment] = Box::leak(Box::new([v1, all]));
        let one: &'static [Segment] = Box::leak(Box::new([v1, all, Segment::Single]));
        for (method, segments, verb) in [
            ("GET", many, None),
            ("POST", many, None),
            ("GET", one, None),
            ("PATCH", one, None),
            ("POST", one, verb),
        ] {
            let binding = Box::leak(Box::new(Binding {
                method,
                template: "",
                segments,
                verb,
                variables: &[],
                body: Body::None,
                spec,
            }));
            router.add(binding, paths.len());
            let mut path = format!("/v1/{word}");
            if segments.len() == 3 {
                path.push_str("/01hm6xkqz0e8s8a3kq5w2v9t4c");
            }
            if let Some(verb) = verb {
                path.push(':');
                path.push_str(verb);
            }
            paths.push((method, path));
        }
    }
    (router, paths)
}

fn main() {
    println!("| routes | ns for a match, median of {ROUNDS} rounds |\n| --- | --- |");
    for routes in [10, 100, 1_000, 10_000] {
        let (router, paths) = table(routes);
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|round| {
                let begun = Instant::now();
                for n in 0..CALLS as usize {
                    // In no order that a processor could foresee.
                    let number = (n + round).wrapping_mul(7919) % paths.len();
                    let (method, path) = &paths[number];
                    let found = router.find(method, path);
                    assert!(
                        matches!(black_box(found), Match::Found(_, target) if target == number)
                    );
                }
                begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        println!("| {routes} | {:.0} |", times[ROUNDS / 2]);
    }
}
