//! What is made of a contract: code, descriptions, pages.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{contract, folder};

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
