//! Fields, their rules, and the enum that names errors.

use std::fs;

use super::{contract, error, folder};

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
