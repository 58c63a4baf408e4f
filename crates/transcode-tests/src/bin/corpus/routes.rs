//! Calls every rule of an API through the router, with values that are hard to tell from the rest of a path.

use transcode::router::{Match, Router, capture};
use transcode_build::ir;
use transcode_build::template::{Segment, Template};
use transcode_tests::routes;

/// What came of the rules of an API.
#[derive(Default)]
pub struct Routed {
    /// Rules that were called.
    pub rules: usize,
    /// Requests that were made.
    pub requests: usize,
    /// Those whose `**` stands for nothing, so that another rule is the right one.
    pub taken: usize,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// Segments, and the texts that they are.
const SINGLE: &[(&str, &str)] = &[
    ("plain-1", "plain-1"),
    ("a%2Fb", "a/b"),
    ("x%3Acancel", "x:cancel"),
    ("x:neither", "x:neither"),
    ("%E2%82%AC", "€"),
    ("a%20b+c", "a b+c"),
    ("%25%3F%23", "%?#"),
    ("~!$&'()*,;=@", "~!$&'()*,;=@"),
];

/// The same where the variable has several: an escaped slash stays.
const AMONG: &[(&str, &str)] = &[
    ("plain-1", "plain-1"),
    ("a%2Fb", "a%2Fb"),
    ("x%3Acancel", "x:cancel"),
    ("x:neither", "x:neither"),
    ("%E2%82%AC", "€"),
    ("a%20b+c", "a b+c"),
    ("%25%3F%23", "%?#"),
    ("~!$&'()*,;=@", "~!$&'()*,;=@"),
];

/// How many segments stand for `**`.
const LENGTHS: &[usize] = &[1, 0, 3];

/// What may happen to a request whose `**` stands for nothing: it is one of a rule without `**`.
fn is_less(template: &Template, other: &Template, path: &str) -> bool {
    let fits = |segment: &Segment, text: &str| match segment {
        Segment::Literal(word) => word == text,
        Segment::Single => true,
        Segment::Multi => false,
    };
    let path = path.trim_start_matches('/').split('/');
    template.segments.contains(&Segment::Multi)
        && path.clone().count() == other.segments.len()
        && other.segments.iter().zip(path).all(|(a, b)| fits(a, b))
}

/// Calls every rule.
pub fn check(api: &ir::Api) -> Routed {
    let methods = api.services.iter().flat_map(|service| {
        let name = service.full_name();
        let methods = service.methods.iter();
        methods.map(move |method| (format!("{name}.{}", method.name), method))
    });
    let bindings: Vec<_> = methods
        .flat_map(|(name, method)| {
            let bindings = method.bindings.iter();
            bindings.map(move |binding| {
                (
                    name.clone(),
                    binding,
                    routes::binding(&binding.method, &binding.template),
                )
            })
        })
        .collect();
    let mut router = Router::new();
    for (target, (_, _, binding)) in bindings.iter().enumerate() {
        router.add(binding, target);
    }
    let mut routed = Routed::default();
    for (target, (name, binding, _)) in bindings.iter().enumerate() {
        routed.rules += 1;
        for turn in 0..SINGLE.len() {
            let (path, expected) = expand(&binding.template, turn);
            routed.requests += 1;
            if let Match::Found(_, other) = router.find(&binding.method, &path)
                && other != target
                && LENGTHS[turn % LENGTHS.len()] == 0
                && is_less(&binding.template, &bindings[other].1.template, &path)
            {
                routed.taken += 1;
                continue;
            }
            if let Err(error) = request(&router, target, binding, &path, &expected) {
                routed
                    .failures
                    .push(format!("{name}: {} {path}: {error}", binding.method));
            }
        }
    }
    routed
}

/// Makes a request of each kind.
fn request(
    router: &Router,
    target: usize,
    binding: &ir::Binding,
    path: &str,
    expected: &[String],
) -> Result<(), String> {
    let found = |method: &str| match router.find(method, path) {
        Match::Found(found, at) if at == target => {
            let values = found.variables.iter().map(|variable| {
                let value = capture(found, variable, path).map_err(|error| error.to_string())?;
                Ok::<_, String>(value.into_owned())
            });
            let values: Vec<_> = values.collect::<Result<_, _>>()?;
            if values == expected {
                Ok(())
            } else {
                Err(format!(
                    "the variables are {values:?} instead of {expected:?}"
                ))
            }
        }
        Match::Found(other, _) => Err(format!("goes to {}", other.template)),
        Match::MethodNotAllowed(methods) => Err(format!("405, allowed are {methods:?}")),
        // A router knows bindings alone.
        Match::Rpc(..) | Match::NotFound => Err("404".to_owned()),
    };
    found(&binding.method)?;
    if binding.method == "GET" {
        found("HEAD")?;
    }
    match router.find("BREW", path) {
        Match::MethodNotAllowed(methods)
            if methods.contains(&binding.method.as_str()) && methods.contains(&"OPTIONS") =>
        {
            Ok(())
        }
        other => Err(format!("another method comes to {other:?}")),
    }
}

/// A path of a template, and the values of its variables.
fn expand(template: &Template, turn: usize) -> (String, Vec<String>) {
    let mut next = turn;
    let mut segments: Vec<Vec<(String, String)>> = Vec::new();
    for segment in &template.segments {
        let count = match segment {
            Segment::Literal(word) => {
                segments.push(vec![(word.clone(), word.clone())]);
                continue;
            }
            Segment::Single => 1,
            Segment::Multi => LENGTHS[turn % LENGTHS.len()],
        };
        segments.push(
            (0..count)
                .map(|_| {
                    next += 1;
                    let at = next % SINGLE.len();
                    (SINGLE[at].0.to_owned(), AMONG[at].1.to_owned())
                })
                .collect(),
        );
    }
    let raw: Vec<_> = segments.iter().flatten().map(|(raw, _)| &**raw).collect();
    let mut path = format!("/{}", raw.join("/"));
    if let Some(verb) = &template.verb {
        path.push(':');
        path.push_str(verb);
    }
    let values = template.variables.iter().map(|variable| {
        let covered = &segments[variable.start..variable.end];
        if let [Segment::Single] = template.segments[variable.start..variable.end] {
            let raw = &covered[0][0].0;
            let known = SINGLE.iter().find(|(word, _)| word == raw);
            return known.map_or_else(String::new, |(_, text)| (*text).to_owned());
        }
        let texts: Vec<_> = covered.iter().flatten().map(|(_, text)| &**text).collect();
        texts.join("/")
    });
    (path, values.collect())
}
