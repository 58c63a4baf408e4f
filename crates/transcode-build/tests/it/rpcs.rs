//! RPCs: what they must say, what they can't be, and whose they are.

use std::fs;

use super::{contract, error, folder};

#[test]
fn rpcs_that_say_too_little_or_too_much() {
    for (options, message) in [
        (
            "",
            "has no (transcode.v1.method): say its scopes, or that it is public",
        ),
        (
            "option (transcode.v1.method).audit = true;",
            "needs scopes or `public: true`, one of them",
        ),
        (
            r#"option (transcode.v1.method) = { public: true scopes: "a" };"#,
            "needs scopes or `public: true`, one of them",
        ),
        (
            "option (transcode.v1.method) = { public: true success_status: 404 };",
            "success_status must be between 200 and 299",
        ),
        (
            r#"option (transcode.v1.method) = { public: true reasons: "NOPE" };"#,
            "no error enum has the reason `NOPE`",
        ),
        (
            r#"option (transcode.v1.method) = { public: true location: "/v1/{number}" };"#,
            "location names `number`, which is no string",
        ),
        (
            r#"option (google.api.http) = { post: "/v1" body: "*" }; option (transcode.v1.method) = { public: true max_request_bytes: 0 };"#,
            "max_request_bytes must be at least 1",
        ),
        (
            r#"option (google.api.http) = { post: "/v1" body: "*" }; option (transcode.v1.method) = { public: true max_request_bytes: -1 };"#,
            "max_request_bytes must be at least 1",
        ),
        (
            r#"option (google.api.http).get = "/v1"; option (transcode.v1.method) = { public: true max_request_bytes: 1 };"#,
            "max_request_bytes is for an RPC that takes a body in REST",
        ),
        (
            "option (transcode.v1.method) = { public: true links: {} };",
            "links names no fields",
        ),
        (
            r#"option (transcode.v1.method) = { public: true links: { page: "number" } };"#,
            "links.page_count names ``, which is no integer field of the answer",
        ),
        (
            r#"option (transcode.v1.method) = { public: true links: { page: "name" page_count: "number" } };"#,
            "links.page names `name`, which is no integer field of the request",
        ),
        (
            r#"option (transcode.v1.method) = { public: true links: { page_token: "name" next_page_token: "inner" } };"#,
            "links.next_page_token names `inner`, which is no string field of the answer",
        ),
    ] {
        let contract = contract(
            &format!("  rpc Call(Req) returns (Req) {{ {options} }}"),
            "",
        );
        assert_eq!(
            error(&contract),
            format!("test.proto:10:3: test.v1.Test.Call: {message}"),
            "{options}"
        );
    }
}

#[test]
fn tags_that_can_not_be() {
    for (options, rule, message) in [
        (
            r#"etag: "nope""#,
            r#"get: "/v1/x""#,
            "etag names `nope`, which is no string field of the answer",
        ),
        (
            r#"etag: "inner""#,
            r#"get: "/v1/x""#,
            "etag names `inner`, which is no string field of the answer",
        ),
        (
            r#"etag: "number""#,
            r#"get: "/v1/x""#,
            "etag names `number`, which is no string field of the answer",
        ),
        (
            r#"if_match: "name""#,
            r#"delete: "/v1/x""#,
            "if_match names `name`, which is no repeated string field of the request",
        ),
        (
            r#"if_match: "many""#,
            r#"post: "/v1/x" body: "*""#,
            "if_match names `many`, which stands in the body",
        ),
    ] {
        let rpc = format!(
            "  rpc Call(Req) returns (Req) {{ option (google.api.http) = {{ {rule} }}; \
             option (transcode.v1.method) = {{ public: true {options} }}; }}"
        );
        let error = error(&contract(&rpc, ""));
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn streams_that_can_not_be() {
    let ids = r#"sse_id: "name" last_event_id: "name""#;
    let streamed = "rpc Call(Req) returns (stream Req)";
    for (rpc, options, message) in [
        (
            "rpc Call(stream Req) returns (Req)",
            "idempotency_key: true".to_owned(),
            "idempotency_key is not for a request that is a stream",
        ),
        (
            "rpc Call(stream Req) returns (stream Req)",
            ids.to_owned(),
            "last_event_id is not for a request that is a stream",
        ),
        (
            "rpc Call(stream Req) returns (Req)",
            r#"if_match: "many""#.to_owned(),
            "if_match is not for a request that is a stream",
        ),
        (
            "rpc Call(stream Req) returns (Req)",
            r#"links: { page: "number" page_count: "number" }"#.to_owned(),
            "links is not for a request that is a stream",
        ),
        (
            "rpc Call(stream Req) returns (Req)",
            r#"}; option (google.api.http) = { get: "/v1/x""#.to_owned(),
            "a request that is a stream needs a body",
        ),
        (
            "rpc Call(stream Req) returns (stream Req)",
            "success_status: 201".to_owned(),
            "success_status is not for an answer that is a stream",
        ),
        (
            "rpc Call(Req) returns (Req)",
            ids.to_owned(),
            "sse_id and last_event_id are for an answer that is a stream",
        ),
        (
            streamed,
            r#"sse_id: "nope""#.to_owned(),
            "sse_id names `nope`, which is no string field of the answer",
        ),
        (
            streamed,
            r#"sse_id: "number""#.to_owned(),
            "sse_id names `number`, which is no string field of the answer",
        ),
        (
            streamed,
            r#"sse_id: "name" last_event_id: "many""#.to_owned(),
            "last_event_id names `many`, which is no string field of the request",
        ),
        (
            streamed,
            r#"last_event_id: "name""#.to_owned(),
            "last_event_id needs an sse_id: without ids there is no last one",
        ),
        (
            streamed,
            format!(r#"{ids} }}; option (google.api.http) = {{ get: "/v1/{{name}}""#),
            "last_event_id names `name`, which stands in the path",
        ),
        (
            "rpc Call(Req) returns (stream google.api.HttpBody)",
            r#"sse_id: "content_type" }; option (google.api.http) = { get: "/v1/x""#.to_owned(),
            "sse_id is not for an answer that is google.api.HttpBody",
        ),
        (
            streamed,
            "success_status: 201".to_owned(),
            "success_status is not for an answer that is a stream",
        ),
        (
            streamed,
            r#"cache_control: "public""#.to_owned(),
            "cache_control is not for an answer that is a stream",
        ),
    ] {
        let contract = contract(
            &format!("  {rpc} {{ option (transcode.v1.method) = {{ public: true {options} }}; }}"),
            "",
        );
        assert_eq!(
            error(&contract),
            format!("test.proto:10:3: test.v1.Test.Call: {message}"),
            "{rpc} {options}"
        );
    }
}

#[test]
fn who_may_call_can_be_decided_outside_of_the_contract() {
    use transcode_build::Undeclared;
    let rpcs = r#"
  rpc Nothing(Req) returns (Req) {}
  rpc Scoped(Req) returns (Req) { option (transcode.v1.method).scopes = "a"; }
  rpc Open(Req) returns (Req) { option (transcode.v1.method).public = true; }"#;
    let folder = folder(&contract(rpcs, ""));
    for (undeclared, public) in [(Undeclared::NotPublic, false), (Undeclared::Public, true)] {
        let api = transcode_build::configure()
            .root(folder.path())
            .undeclared(undeclared)
            .api()
            .expect("it builds");
        let methods = api.services[0].methods.iter();
        let access: Vec<_> = methods
            .map(|method| (method.options.public, method.options.scopes.len()))
            .collect();
        assert_eq!(access, [(public, 0), (false, 1), (true, 0)]);
    }
}

/// What is imported from a folder of others has messages, and services that are theirs.
#[test]
fn what_is_included_is_not_served() {
    let others = tempfile::tempdir().expect("a folder");
    let theirs = r#"syntax = "proto3"; package their.v1; message Thing { string id = 1; }
        service Theirs { rpc Get(Thing) returns (Thing); } message Unused {}"#;
    fs::create_dir_all(others.path().join("their/type")).expect("a folder");
    fs::write(others.path().join("their/type/theirs.proto"), theirs).expect("a file");
    fs::write(others.path().join("broken.proto"), "never looked at").expect("a file");
    let ours = tempfile::tempdir().expect("a folder");
    let text = r#"syntax = "proto3"; package our.type.v1; import "their/type/theirs.proto";
        import "google/protobuf/empty.proto"; import "google/protobuf/api.proto";
        message Holder { google.protobuf.Api api = 1; }
        service Ours { rpc Get(their.v1.Thing) returns (google.protobuf.Empty); rpc Hold(Holder) returns (Holder); }"#;
    fs::write(ours.path().join("ours.proto"), text).expect("a file");
    let out = tempfile::tempdir().expect("a folder");
    let contract = || {
        transcode_build::configure()
            .root(ours.path())
            .include(others.path())
            .undeclared(transcode_build::Undeclared::Public)
            .out_dir(out.path())
    };
    let api = contract().api().expect("it builds");
    let services: Vec<_> = api.services.iter().map(|service| &service.name).collect();
    assert_eq!(services, ["Ours"]);
    contract().compile().expect("it builds");
    let read = |name: &str| fs::read_to_string(out.path().join(name)).expect(name);
    assert!(!read("their.v1.rs").contains("theirs_server"));
    assert!(read("our.r#type.v1.rs").contains("ours_server"));
    // prost-types has it, but no JSON for it.
    assert!(read("google.protobuf.rs").contains("impl ::transcode::json::Message for Api"));
    assert!(read("pb.rs").contains(r#"include!(concat!(env!("OUT_DIR"), "/our.r#type.v1.rs"));"#));
    let error = contract().grpc_only("our.type.v1.Ours.Nope").api();
    assert_eq!(
        error.map(|_| ()).map_err(|error| error.to_string()),
        Err("grpc_only names `our.type.v1.Ours.Nope`, which is no RPC that is served".to_owned())
    );
}
