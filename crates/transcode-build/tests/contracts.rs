//! Contracts that can't be built, and what is said of them; and the code made of one that can.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

/// A contract around some RPCs and messages.
fn contract(rpcs: &str, messages: &str) -> String {
    format!(
        r#"syntax = "proto3";
package test.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/source_context.proto";
import "google/protobuf/struct.proto";
import "transcode/v1/annotations.proto";
service Test {{
{rpcs}
}}
message Req {{
  string name = 1;
  repeated string many = 2;
  map<string, string> pairs = 3;
  Inner inner = 4;
  int32 number = 5;
  oneof either {{ string this = 6; }}
  google.api.HttpBody raw = 7;
}}
message Inner {{ string id = 1; }}
{messages}
"#
    )
}

fn folder(contract: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("test.proto"), contract).expect("a file");
    folder
}

fn error(contract: &str) -> String {
    let folder = folder(contract);
    let result = transcode_build::configure().root(folder.path()).api();
    result.err().map_or_else(
        || panic!("it builds:\n{contract}"),
        |error| error.to_string(),
    )
}

/// An RPC with a rule, on line 10.
fn rpc(rule: &str) -> String {
    contract(
        &format!(
            "  rpc Call(Req) returns (Req) {{ option (google.api.http) = {{ {rule} }}; option (transcode.v1.method).public = true; }}"
        ),
        "",
    )
}

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
fn fields_and_rules_that_do_not_fit() {
    for (field, message) in [
        (
            "string f = 1 [(buf.validate.field).int32.gte = 1];",
            "the rules are not those of the field's type",
        ),
        (
            "int64 f = 1 [(buf.validate.field).int32.gte = 1];",
            "the rules are not those of the field's type",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).string.min_len = 1];",
            "the rules are not those of a list or a map",
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = \"(\"];",
            "the pattern does not compile",
        ),
        (
            "int32 f = 1 [(transcode.v1.field).decimal = {integer_digits: 1}];",
            "only a string can hold a decimal",
        ),
        (
            "string f = 1 [(transcode.v1.field).decimal = {integer_digits: 0}];",
            "a decimal has 1 to 18 integer digits",
        ),
        (
            "int32 f = 1 [(transcode.v1.field).no_null_characters = true];",
            "no_null_characters is for one string or one Struct",
        ),
    ] {
        let error = error(&contract("", &format!("message M {{ {field} }}")));
        assert!(
            error.starts_with("test.proto:22:13: test.v1.M.f: ") && error.contains(message),
            "{field}: {error}"
        );
    }
    // A rule that is not compiled is no rule of the bundled file, so that it is never silently left out.
    let unsupported = error(&contract(
        "",
        "message M { string f = 1 [(buf.validate.field).string.uuid = true]; }",
    ));
    assert!(unsupported.contains("uuid"), "{unsupported}");
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

/// A contract may bring the whole file of rules along, which knows more of them than are compiled.
#[test]
fn no_rule_is_left_out_in_silence() {
    let rules = r#"syntax = "proto2"; package buf.validate; import "google/protobuf/descriptor.proto";
        extend google.protobuf.MessageOptions { optional MessageRules message = 1159; }
        extend google.protobuf.OneofOptions { optional OneofRules oneof = 1159; }
        extend google.protobuf.FieldOptions { optional FieldRules field = 1159; }
        message MessageRules { repeated string cel_expression = 5; }
        message OneofRules { optional bool required = 1; optional bool other = 2; }
        message FieldRules { repeated string cel_expression = 29; optional bool required = 25;
          oneof type { StringRules string = 14; TimestampRules timestamp = 22; } }
        message StringRules { optional uint64 min_len = 2; oneof well_known { bool uuid = 22; } }
        message TimestampRules { optional bool lt_now = 7; }"#;
    for (message, text) in [
        (
            "message M { string f = 1 [(buf.validate.field).string = {min_len: 1 uuid: true}]; }",
            "test.v1.M.f: the rule `string.uuid` is not supported",
        ),
        (
            r#"message M { string f = 1 [(buf.validate.field).cel_expression = "true"]; }"#,
            "test.v1.M.f: the rule `cel_expression` is not supported",
        ),
        (
            "message M { int32 f = 1 [(buf.validate.field).timestamp.lt_now = true]; }",
            "test.v1.M.f: the rule `timestamp` is not supported",
        ),
        (
            "message M { oneof o { option (buf.validate.oneof).other = true; int32 f = 1; } }",
            "test.v1.M.o: the rule `other` is not supported",
        ),
        (
            r#"message M { option (buf.validate.message).cel_expression = "true"; }"#,
            "test.v1.M: rules of a whole message, (buf.validate.message), are not supported",
        ),
    ] {
        let folder = folder(&contract("", message));
        fs::create_dir_all(folder.path().join("buf/validate")).expect("a folder");
        fs::write(folder.path().join("buf/validate/validate.proto"), rules).expect("a file");
        let error = transcode_build::configure().root(folder.path()).api();
        let error = error.map(|_| ()).expect_err(message).to_string();
        assert!(error.ends_with(text), "{error}");
    }
    let kept = "message M { string f = 1 [(buf.validate.field) = {required: true string: {min_len: 2}}]; }";
    let folder = folder(&contract("", kept));
    fs::create_dir_all(folder.path().join("buf/validate")).expect("a folder");
    fs::write(folder.path().join("buf/validate/validate.proto"), rules).expect("a file");
    let api = transcode_build::configure().root(folder.path()).api();
    assert!(api.expect("it builds").messages["test.v1.M"].fields[0].required());
}

#[test]
fn an_error_enum_names_every_code_once() {
    let error = error(&contract(
        "",
        "enum E { E_UNSPECIFIED = 0; E_BAD = 1 [(transcode.v1.enum_value).grpc_codes = 3]; }",
    ));
    assert_eq!(
        error,
        "test.proto:22:1: test.v1.E: gRPC code 1 must have one reason, it has 0"
    );
}

/// The code made of a small contract. `UPDATE_GOLDEN=1 cargo test -p transcode-build` writes it anew.
#[test]
fn the_code_is_what_it_was() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let out = tempfile::tempdir().expect("a folder");
    transcode_build::configure()
        .root(golden.join("proto"))
        .out_dir(out.path())
        .compile()
        .expect("it builds");
    for (made, kept) in [
        ("golden.v1.rs", "golden.v1.rs"),
        ("openapi.yaml", "openapi.yaml"),
        ("asyncapi.yaml", "asyncapi.yaml"),
    ] {
        let mut text = fs::read_to_string(out.path().join(made)).expect("made");
        if made == "golden.v1.rs" {
            // What prost and tonic make is theirs to test.
            let ours = text.find("impl ::transcode::").expect("our part");
            text.replace_range(..ours, "");
        }
        compare(&golden.join(kept), &text);
    }
}

/// The pages on the events of the same contract.
#[test]
fn the_pages_are_what_they_were() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let api = transcode_build::configure()
        .root(golden.join("proto"))
        .api()
        .expect("it builds");
    let pages = transcode_build::event_pages::pages(&api).expect("pages");
    let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["README.md", "ShelfMoved.md", "BookShelved.md"]);
    for (name, text) in &pages {
        compare(&golden.join("events").join(name), text);
    }
}

#[test]
fn a_contract_without_events_has_no_pages() {
    let folder = folder(&contract("", ""));
    let api = transcode_build::configure().root(folder.path()).api();
    let api = api.expect("it builds");
    assert!(
        transcode_build::event_pages::pages(&api)
            .expect("none")
            .is_empty()
    );
    let description = transcode_build::asyncapi::document(&api);
    assert_eq!(description["channels"], serde_json::json!({}));
}

#[test]
fn each_service_has_errors_of_its_shape() {
    let rpc = |name: &str| {
        format!(
            r#"rpc {name}(Req) returns (Req) {{ option (google.api.http) = {{ get: "/v1/{name}" }}; option (transcode.v1.method).public = true; }}"#
        )
    };
    let services = |envelopes: [bool; 2]| {
        let [first, second] = envelopes
            .map(|envelope| format!("option (transcode.v1.service).envelope = {envelope};"));
        let rpcs = format!(
            "{first} {} }} service Other {{ {second} {}",
            rpc("First"),
            rpc("Second")
        );
        let folder = folder(&contract(&rpcs, ""));
        let api = transcode_build::configure().root(folder.path()).api();
        transcode_build::openapi::document(&api.expect("it builds"))
    };
    let schema = |document: &Value, path: &str| {
        let error = &document["paths"][path]["get"]["responses"]["400"]["$ref"];
        let error = error.as_str().expect("a reference").trim_start_matches('#');
        let error = document.pointer(error).expect("a component");
        error["content"]["application/json"]["schema"]["$ref"].clone()
    };
    for envelopes in [[true, false], [false, true], [true, true], [false, false]] {
        let document = services(envelopes);
        for (path, envelope) in ["/v1/First", "/v1/Second"].into_iter().zip(envelopes) {
            let name = if envelope { "ErrorEnvelope" } else { "Error" };
            assert_eq!(
                schema(&document, path),
                format!("#/components/schemas/{name}"),
                "{path} of {envelopes:?}"
            );
        }
        // Nothing is described that no operation refers to.
        let responses = document["components"]["responses"].as_object();
        let text = document["paths"].to_string();
        for name in responses.expect("responses").keys() {
            let reference = format!("\"#/components/responses/{name}\"");
            assert!(text.contains(&reference), "{name} of {envelopes:?}");
        }
    }
}

/// Compares with what is kept, or keeps it.
fn compare(kept: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(kept.parent().expect("a folder")).expect("made");
        fs::write(kept, text).expect("written");
    }
    let expected = fs::read_to_string(kept).unwrap_or_default();
    assert!(
        text == expected,
        "{} differs: look at it with UPDATE_GOLDEN=1 and git diff",
        kept.display()
    );
}
