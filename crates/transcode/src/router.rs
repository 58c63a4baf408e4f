//! Finds the binding of a request: a trie over the segments of the raw path.
//!
//! The path is split before anything is decoded, so `%2F` and `%3A` are data. All candidates are tried, literals before
//! `*` before `**`, and a candidate must match path, verb and method together; that a path exists under other methods
//! only is known when all have failed.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::spec::{Binding, MethodSpec, Segment, Variable};

/// The method of a binding for whichever method a request has.
const ANY: &str = "*";

/// A table of bindings.
#[derive(Debug, Default)]
pub struct Router {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted: faster to search than to hash a word, also among a thousand.
    literals: Vec<(&'static str, usize)>,
    single: Option<usize>,
    multi: Option<usize>,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    binding: &'static Binding,
    target: usize,
}

/// What a request came to.
#[derive(Debug)]
pub enum Match {
    /// A binding, and the number it was added under.
    Found(&'static Binding, usize),
    /// The path of an RPC, and the number it was added under: a call by Connect, by whichever method.
    Rpc(&'static MethodSpec, usize),
    /// The path is there, for these methods only.
    MethodNotAllowed(Vec<&'static str>),
    /// No such path.
    NotFound,
}

struct Search<'a> {
    /// HEAD is answered by GET, unless a rule is for HEAD. None for any whose RPC streams.
    methods: Option<&'a [&'a str]>,
    found: Option<&'a Leaf>,
    allowed: Vec<&'static str>,
}

impl Router {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }

    /// Adds a binding under a number of the caller's.
    pub fn add(&mut self, binding: &'static Binding, target: usize) {
        let mut node = 0;
        for segment in binding.segments {
            let next = self.nodes.len();
            let entry = &mut self.nodes[node];
            node = match segment {
                Segment::Literal(word) => match entry.literal(word) {
                    Ok(known) => entry.literals[known].1,
                    Err(place) => {
                        entry.literals.insert(place, (word, next));
                        next
                    }
                },
                Segment::Single => *entry.single.get_or_insert(next),
                Segment::Multi => *entry.multi.get_or_insert(next),
            };
            if node == next {
                self.nodes.push(Node::default());
            }
        }
        self.nodes[node].leaves.push(Leaf { binding, target });
    }

    /// Finds the binding for a method and a raw path. HEAD is answered by GET.
    pub fn find(&self, method: &str, path: &str) -> Match {
        let methods: &[&str] = match method {
            "HEAD" => &["HEAD", "GET", ANY],
            _ => &[method, ANY],
        };
        let search = self.search(Some(methods), path);
        match search.found {
            Some(leaf) => Match::Found(leaf.binding, leaf.target),
            None if search.allowed.is_empty() => Match::NotFound,
            None => Match::MethodNotAllowed(complete(search.allowed)),
        }
    }

    /// Finds the binding of an RPC that streams for a raw path, whatever its method is. Of several for the same path it is
    /// that of GET, then of POST, and so on as in [`METHODS`].
    pub fn find_stream(&self, path: &str) -> Option<Match> {
        let leaf = self.search(None, path).found?;
        Some(Match::Found(leaf.binding, leaf.target))
    }

    fn search<'a>(&'a self, methods: Option<&'a [&'a str]>, path: &str) -> Search<'a> {
        let mut search = Search {
            methods,
            found: None,
            allowed: Vec::new(),
        };
        let Some(path) = path.strip_prefix('/') else {
            return search;
        };
        let rest = |path| Some(path).filter(|path: &&str| !path.is_empty());
        // A verb is what follows the last colon of the last segment; a path without one may still hold colons.
        let last = path.rfind('/').map_or(0, |slash| slash + 1);
        if let Some(colon) = path[last..].rfind(':') {
            let (path, verb) = (&path[..last + colon], &path[last + colon + 1..]);
            self.walk(0, rest(path), Some(&literal(verb)), &mut search);
        }
        if search.found.is_none() {
            self.walk(0, rest(path), None, &mut search);
        }
        search
    }

    /// Matches the rest of a path, `None` when it has ended.
    fn walk<'a>(
        &'a self,
        node: usize,
        rest: Option<&str>,
        verb: Option<&str>,
        search: &mut Search<'a>,
    ) {
        let node = &self.nodes[node];
        let Some(rest) = rest else {
            node.finish(verb, search);
            // `**` also matches nothing at all.
            if let (None, Some(multi)) = (search.found, node.multi) {
                self.walk(multi, None, verb, search);
            }
            return;
        };
        let (head, tail) = split(rest);
        if let Ok(known) = node.literal(&literal(head)) {
            self.walk(node.literals[known].1, tail, verb, search);
        }
        if let (None, Some(single), false) = (search.found, node.single, head.is_empty()) {
            self.walk(single, tail, verb, search);
        }
        if let (None, Some(multi)) = (search.found, node.multi) {
            let mut rest = Some(rest);
            loop {
                self.walk(multi, rest, verb, search);
                match rest {
                    Some(text) if search.found.is_none() => {
                        rest = split(text).1;
                    }
                    _ => break,
                }
            }
        }
    }
}

impl Node {
    /// Where a literal is, or has its place.
    fn literal(&self, word: &str) -> Result<usize, usize> {
        self.literals
            .binary_search_by(|(known, _)| (*known).cmp(word))
    }

    fn finish<'a>(&'a self, verb: Option<&str>, search: &mut Search<'a>) {
        let leaves = || self.leaves.iter().filter(|leaf| leaf.binding.verb == verb);
        let Some(methods) = search.methods else {
            let streams = leaves().filter(|leaf| leaf.binding.spec.is_streaming());
            search.found = streams.min_by_key(|leaf| rank(leaf.binding.method));
            return;
        };
        for method in methods {
            if let Some(leaf) = leaves().find(|leaf| leaf.binding.method == *method) {
                search.found = Some(leaf);
                return;
            }
        }
        search
            .allowed
            .extend(leaves().map(|leaf| leaf.binding.method));
    }
}

/// The first segment of a path and what follows it. Segments are so short that to look at each byte takes less time than
/// to prepare a search.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

/// A segment as a literal of a template would match it.
fn literal(segment: &str) -> Cow<'_, str> {
    if segment.contains('%') {
        percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    }
}

/// Methods, that which a WebSocket comes to first.
pub const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The place of a method among [`METHODS`]; others come last, by their names.
fn rank(method: &str) -> (usize, &str) {
    let place = METHODS.iter().position(|known| *known == method);
    (place.unwrap_or(METHODS.len()), method)
}

/// The methods of an Allow header.
fn complete(mut methods: Vec<&'static str>) -> Vec<&'static str> {
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods
}

/// The text of a variable in a path that its binding matched: one segment fully decoded; of several, `%2F` and `%2f`
/// stay as they are, since a slash in them would be taken for a separator. Fails on bytes that are not UTF-8.
pub fn capture<'a>(
    binding: &Binding,
    variable: &Variable,
    path: &'a str,
) -> Result<Cow<'a, str>, std::str::Utf8Error> {
    let mut path = path.strip_prefix('/').unwrap_or(path);
    if binding.verb.is_some() {
        path = path.rsplit_once(':').map_or(path, |(path, _)| path);
    }
    // Where a template segment begins in the path: after `**`, counted from the end.
    let multi = binding
        .segments
        .iter()
        .position(|segment| *segment == Segment::Multi);
    let position = |index: usize| match multi {
        Some(multi) if index > multi => {
            let total = path.split('/').count();
            (total + index).saturating_sub(binding.segments.len())
        }
        _ => index,
    };
    let (start, end) = (position(variable.start), position(variable.end));
    let raw = slice_segments(path, start, end);
    let single = matches!(
        binding.segments[variable.start..variable.end],
        [Segment::Single | Segment::Literal(_)]
    );
    if !raw.bytes().any(|byte| byte == b'%') {
        return Ok(Cow::Borrowed(raw));
    }
    if single {
        return percent_decode_str(raw).decode_utf8();
    }
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = find_escaped_slash(rest) {
        decoded.push_str(&percent_decode_str(&rest[..at]).decode_utf8()?);
        decoded.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    decoded.push_str(&percent_decode_str(rest).decode_utf8()?);
    Ok(Cow::Owned(decoded))
}

fn find_escaped_slash(text: &str) -> Option<usize> {
    text.match_indices("%2")
        .map(|(at, _)| at)
        .find(|at| matches!(text.as_bytes().get(at + 2), Some(b'F' | b'f')))
}

/// The segments from `start` to before `end`, with the slashes between them.
fn slice_segments(path: &str, start: usize, end: usize) -> &str {
    if start >= end {
        return "";
    }
    let mut rest = path;
    for _ in 0..start {
        match split(rest) {
            (_, Some(tail)) => rest = tail,
            (_, None) => return "",
        }
    }
    let mut slashes = rest.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
    let length = slashes.nth(end - start - 1);
    &rest[..length.map_or(rest.len(), |(at, _)| at)]
}

#[cfg(test)]
mod tests;
