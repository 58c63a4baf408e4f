//! Path tables: template, path, captured text.

use super::*;
use crate::spec::{Body, Idempotency, MethodSpec, RateClass, ReasonTable, Segment::*};

static SPEC: MethodSpec = spec(false, false);
static UPLOAD: MethodSpec = spec(true, false);
static WATCH: MethodSpec = spec(false, true);

const fn spec(client_streaming: bool, server_streaming: bool) -> MethodSpec {
    MethodSpec {
        service: "test.v1.Test",
        name: "Test",
        path: "/test.v1.Test/Test",
        client_streaming,
        server_streaming,
        scopes: &[],
        public: true,
        rate_class: RateClass::Default,
        audit: false,
        idempotency: Idempotency::Unknown,
        idempotency_key: false,
        max_request_bytes: None,
        success_status: 200,
        cache_control: "",
        envelope: None,
        reasons: &ReasonTable::CANONICAL,
    }
}

fn binding(
    method: &'static str,
    segments: &'static [Segment],
    verb: Option<&'static str>,
    variables: &'static [Variable],
) -> &'static Binding {
    binding_of(&SPEC, method, segments, verb, variables)
}

fn binding_of(
    spec: &'static MethodSpec,
    method: &'static str,
    segments: &'static [Segment],
    verb: Option<&'static str>,
    variables: &'static [Variable],
) -> &'static Binding {
    Box::leak(Box::new(Binding {
        method,
        template: "",
        segments,
        verb,
        variables,
        body: Body::None,
        spec,
    }))
}

fn router(bindings: &[&'static Binding]) -> Router {
    let mut router = Router::new();
    for (target, binding) in bindings.iter().enumerate() {
        router.add(binding, target);
    }
    router
}

fn target(router: &Router, method: &str, path: &str) -> Option<usize> {
    match router.find(method, path) {
        Match::Found(_, target) => Some(target),
        _ => None,
    }
}

const ID: &[Variable] = &[Variable {
    field: "id",
    start: 1,
    end: 2,
}];

#[test]
fn literals_win_over_wildcards_and_all_candidates_are_tried() {
    let router = router(&[
        binding("GET", &[Literal("a"), Single], None, ID),
        binding("GET", &[Literal("a"), Literal("b")], None, &[]),
        binding(
            "POST",
            &[Literal("a"), Literal("b"), Literal("c")],
            None,
            &[],
        ),
        binding("GET", &[Literal("a"), Single, Literal("c")], None, ID),
        binding("GET", &[Literal("a"), Multi], None, &[]),
    ]);
    assert_eq!(target(&router, "GET", "/a/x"), Some(0));
    assert_eq!(target(&router, "GET", "/a/b"), Some(1));
    assert_eq!(target(&router, "HEAD", "/a/b"), Some(1));
    assert_eq!(target(&router, "POST", "/a/b/c"), Some(2));
    // The literal `b` leads to POST only: the walk comes back for the wildcard.
    assert_eq!(target(&router, "GET", "/a/b/c"), Some(3));
    assert_eq!(target(&router, "GET", "/a/b/c/d"), Some(4));
    assert_eq!(target(&router, "GET", "/a"), Some(4));
    assert_eq!(target(&router, "GET", "/b"), None);
    assert_eq!(target(&router, "GET", "a/b"), None);
}

#[test]
fn a_method_that_no_candidate_takes_is_told_with_all_that_some_take() {
    let router = router(&[
        binding("GET", &[Literal("a"), Single], None, ID),
        binding("PATCH", &[Literal("a"), Literal("b")], None, &[]),
    ]);
    match router.find("PUT", "/a/b") {
        Match::MethodNotAllowed(methods) => {
            assert_eq!(methods, ["GET", "HEAD", "OPTIONS", "PATCH"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(router.find("PUT", "/b"), Match::NotFound));
    assert!(
        matches!(router.find("GET", "/a/"), Match::NotFound),
        "a segment is never empty"
    );
}

#[test]
fn a_stream_is_found_by_its_path_alone() {
    let upload = |method, segments| binding_of(&UPLOAD, method, segments, None, ID);
    let watch = |method, segments| binding_of(&WATCH, method, segments, None, ID);
    let router = router(&[
        binding("GET", &[Literal("a"), Single], None, ID),
        upload("PUT", &[Literal("a"), Single]),
        upload("POST", &[Literal("a"), Single]),
        binding("GET", &[Literal("a"), Literal("b")], None, &[]),
        upload("SEND", &[Literal("b"), Single]),
        upload("POST", &[Literal("c"), Single]),
        watch("GET", &[Literal("c"), Single]),
        binding("GET", &[Literal("d"), Single], None, ID),
        binding_of(&WATCH, "POST", &[Literal("d"), Single], Some("watch"), ID),
    ]);
    let found = |path: &str| match router.find_stream(path) {
        Some(Match::Found(_, target)) => Some(target),
        _ => None,
    };
    // Of several methods the usual order decides, not that of the contract.
    assert_eq!(found("/a/x"), Some(2));
    // What does not stream is not in the way.
    assert_eq!(found("/a/b"), Some(2));
    assert_eq!(found("/b/x"), Some(4));
    assert_eq!(found("/c/x"), Some(6));
    assert_eq!(found("/d/x:watch"), Some(8));
    for nothing in ["/d/x", "/e", "a/x", ""] {
        assert_eq!(found(nothing), None, "{nothing}");
    }
}

#[test]
fn verbs_and_colons_in_values() {
    let plain = binding("GET", &[Literal("a"), Single], None, ID);
    let verb = binding("GET", &[Literal("a"), Single], Some("undelete"), ID);
    let router = router(&[plain, verb]);
    for (path, number, text) in [
        ("/a/x", 0, "x"),
        ("/a/x:undelete", 1, "x"),
        ("/a/x:other", 0, "x:other"),
        ("/a/x:y:undelete", 1, "x:y"),
        ("/a/x%3Aundelete", 0, "x:undelete"),
        ("/a/x%2Fy", 0, "x/y"),
        ("/a/%E2%82%AC", 0, "€"),
    ] {
        let Match::Found(binding, target) = router.find("GET", path) else {
            panic!("{path}")
        };
        assert_eq!(target, number, "{path}");
        assert_eq!(
            capture(binding, &binding.variables[0], path).as_deref(),
            Ok(text),
            "{path}"
        );
    }
    assert!(capture(plain, &ID[0], "/a/%FF").is_err());
}

#[test]
fn variables_of_several_segments() {
    const NAME: &[Variable] = &[
        Variable {
            field: "name",
            start: 1,
            end: 3,
        },
        Variable {
            field: "rest",
            start: 3,
            end: 4,
        },
    ];
    let tail = binding(
        "GET",
        &[Literal("v1"), Literal("shelves"), Single, Multi],
        None,
        NAME,
    );
    const MIDDLE: &[Variable] = &[
        Variable {
            field: "mid",
            start: 1,
            end: 2,
        },
        Variable {
            field: "last",
            start: 3,
            end: 4,
        },
    ];
    let middle = binding(
        "GET",
        &[Literal("v2"), Multi, Literal("x"), Single],
        None,
        MIDDLE,
    );
    let router = router(&[tail, middle]);
    for (path, first, second) in [
        ("/v1/shelves/1/a/b", "shelves/1", "a/b"),
        ("/v1/shelves/a%2Fb/c%20d%2fe", "shelves/a%2Fb", "c d%2fe"),
        ("/v1/shelves/1", "shelves/1", ""),
        ("/v2/a/b/x/9", "a/b", "9"),
        ("/v2/a/x/x/x", "a/x", "x"),
        ("/v2/x/9", "", "9"),
    ] {
        let Match::Found(binding, _) = router.find("GET", path) else {
            panic!("{path}")
        };
        assert_eq!(
            capture(binding, &binding.variables[0], path).as_deref(),
            Ok(first),
            "{path}"
        );
        assert_eq!(
            capture(binding, &binding.variables[1], path).as_deref(),
            Ok(second),
            "{path}"
        );
    }
}
