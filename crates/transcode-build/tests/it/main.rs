//! Contracts that can't be built, and what is said of them; and the code made of one that can.

mod fields;
mod made;
mod rpcs;
mod rules;

use std::fs;

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
