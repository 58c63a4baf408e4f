//! HTTP rules: those that can't be, and which may stand beside each other.

use super::{contract, error, folder, rpc};

#[test]
fn rules_that_can_not_be() {
    let at = "test.proto:10:3: test.v1.Test.Call: ";
    for (rule, message) in [
        (r#"get: "/v1/{nope}""#, "`nope` is no field of Req"),
        (r#"get: "/v1/{inner.nope}""#, "`nope` is no field of Inner"),
        (
            r#"get: "/v1/{many}""#,
            "`many` can't be a path variable: it must hold one scalar",
        ),
        (
            r#"get: "/v1/{pairs}""#,
            "`pairs` can't be a path variable: it must hold one scalar",
        ),
        (
            r#"get: "/v1/{inner}""#,
            "`inner` can't be a path variable: it must hold one scalar",
        ),
        (
            r#"get: "/v1/{number=a/*}""#,
            "`number` covers several segments: it must be a string",
        ),
        (
            r#"get: "/v1/{name""#,
            "`/v1/{name`: column 10 of the path template: expected `}`",
        ),
        (
            r#"get: "v1""#,
            "`v1`: column 1 of the path template: expected `/`",
        ),
        (r#"get: "/v1" body: "*""#, "GET takes no body"),
        (
            r#"post: "/v1" body: "nope""#,
            "body names `nope`, which is no field of the request",
        ),
        (
            r#"get: "/v1" response_body: "nope""#,
            "response_body names `nope`, which is no field of the answer",
        ),
        (
            r#"get: "/v1" response_body: "this""#,
            "response_body names `this`, which is one of a oneof",
        ),
        (
            r#"post: "/v1/{raw.content_type}" body: "raw""#,
            "`raw.content_type` can't be a path variable: it is in the google.api.HttpBody that is the body",
        ),
        (
            r#"get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }"#,
            "additional_bindings can't have additional_bindings",
        ),
        (
            r#"get: "/v1/{name}" additional_bindings { get: "/v1/{inner.id}" }"#,
            "GET /v1/{inner.id} matches the same requests as /v1/{name} of test.v1.Test.Call",
        ),
        (
            r#"get: "/v1/{name=a/*}" additional_bindings { get: "/v1/a/{inner.id}" }"#,
            "GET /v1/a/{inner.id} matches the same requests as /v1/{name=a/*} of test.v1.Test.Call",
        ),
        (
            r#"get: "/v1/*/a" additional_bindings { get: "/v1/b/*" }"#,
            "GET /v1/b/* matches some of the same requests as /v1/*/a of test.v1.Test.Call, and neither is the more particular",
        ),
        (
            r#"custom: { kind: "head" path: "/v1/x" }"#,
            "`head` is no HTTP method",
        ),
    ] {
        assert_eq!(error(&rpc(rule)), format!("{at}{message}"), "{rule}");
    }
}

#[test]
fn a_more_particular_rule_may_stand_beside_a_general_one() {
    let folder = folder(&rpc(
        r#"get: "/v1/{name}" additional_bindings { get: "/v1/special" } additional_bindings { post: "/v1/{name}" }
           additional_bindings { get: "/v1/{name}:verb" } additional_bindings { custom: { kind: "*" path: "/v1/{name}" } }"#,
    ));
    assert!(
        transcode_build::configure()
            .root(folder.path())
            .api()
            .is_ok()
    );
}

#[test]
fn a_pattern_may_keep_two_rules_apart() {
    let ids = |rules: &str, pattern: &str| {
        let message = format!(
            r#"message Ids {{ string id = 1 [(buf.validate.field).string.pattern = "{pattern}"]; string sku = 2; }}"#
        );
        let rpc = format!(
            "  rpc Call(Ids) returns (Req) {{ option (google.api.http) = {{ {rules} }}; option (transcode.v1.method).public = true; }}"
        );
        contract(&rpc, &message)
    };
    let rules = r#"get: "/v1/{id}/parts" additional_bindings { get: "/v1/sku/{sku}" }"#;
    let built = folder(&ids(rules, "^id_"));
    let built = transcode_build::configure().root(built.path()).api();
    assert!(built.is_ok(), "sku is no id");
    // The pattern takes the word; or it is not what the router decides by.
    for (rules, pattern) in [
        (rules, "^s"),
        (
            r#"get: "/v1/{sku}/parts" additional_bindings { get: "/v1/sku/{id}" }"#,
            "^id_",
        ),
    ] {
        assert!(
            error(&ids(rules, pattern)).contains("matches some of the same requests"),
            "{rules}"
        );
    }
}

#[test]
fn rules_of_others_may_share_some_requests() {
    let folder = folder(&rpc(
        r#"get: "/v1/{name}" additional_bindings { get: "/v1/*/a" } additional_bindings { get: "/v1/b/*" }"#,
    ));
    let config = || transcode_build::configure().root(folder.path());
    assert!(config().api().is_err());
    let overlaps = transcode_build::Overlaps::FirstSegmentDecides;
    assert!(config().overlaps(overlaps).api().is_ok());
}
