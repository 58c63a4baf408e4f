//! The committed description of the events, and their pages, are those of the contract; and so are the events.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::program;
use catalog_service::pb::catalog::v1::EVENTS;
use catalog_service::pb::{ASYNCAPI_JSON, ASYNCAPI_YAML, EVENT_PAGES};
use serde_json::Value;

/// The names and texts of a folder.
fn files(folder: &Path) -> BTreeSet<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("text");
            (name.into_owned(), text)
        })
        .collect()
}

#[test]
fn the_committed_files_are_not_stale() {
    let made = tempfile::tempdir().expect("a folder");
    let written = program::service()
        .arg("asyncapi")
        .arg("--write")
        .arg(made.path())
        .status()
        .expect("a command");
    assert!(written.success());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events");
    let (made, committed) = (files(made.path()), files(&committed));
    let stale: Vec<_> = made.symmetric_difference(&committed).collect();
    let names: BTreeSet<_> = stale.iter().map(|(name, _)| name).collect();
    assert!(names.is_empty(), "run `make asyncapi`: {names:?}");
    assert_eq!(made.len(), EVENT_PAGES.len() + 2);
}

#[test]
fn both_notations_say_the_same() {
    let json: Value = serde_json::from_str(ASYNCAPI_JSON).expect("JSON");
    let yaml: Value = serde_yaml_ng::from_str(ASYNCAPI_YAML).expect("YAML");
    assert_eq!(json, yaml);
    for (format, text) in [("json", ASYNCAPI_JSON), ("yaml", ASYNCAPI_YAML)] {
        let printed = program::service()
            .args(["asyncapi", "--format", format])
            .output()
            .expect("a command");
        assert_eq!(printed.stdout, text.as_bytes());
    }
}

#[test]
fn every_event_of_the_contract_is_described() {
    let description: Value = serde_json::from_str(ASYNCAPI_JSON).expect("JSON");
    for event in EVENTS {
        let name = event.event_type;
        let channel = &description["channels"][event.topic];
        assert_eq!(channel["address"], event.topic);
        assert!(channel["messages"][name].is_object(), "{name}");
        if let Some(topic) = event.dead_letter_topic {
            assert!(description["channels"][topic]["messages"][name].is_object());
        }
        let message = &description["components"]["messages"][name];
        assert_eq!(message["x-version"], event.version);
        assert_eq!(message["examples"][0]["payload"]["eventType"], name);
        let page = EVENT_PAGES
            .iter()
            .find(|(page, _)| *page == format!("{name}.md"));
        let (_, page) = page.expect("a page");
        assert!(page.contains(&format!("`{}`", event.topic)), "{page}");
    }
}
