//! The domain stays free of everything that is about how it is called or stored.

use std::fs;
use std::path::{Path, PathBuf};

const FOREIGN: [&str; 10] = [
    "transport",
    "service",
    "store",
    "cache",
    "pb",
    "tonic",
    "axum",
    "sqlx",
    "redis",
    "prost",
];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The foreign modules and crates that the code names in a path or in a `use`.
fn foreign(code: &str) -> Vec<&'static str> {
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .fold(String::new(), |code, line| code + line + "\n");
    let mut names = Vec::new();
    let separator = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
    for path in code.split(separator).filter(|word| word.contains("::")) {
        names.extend(path.split("::"));
    }
    for statement in code.split(';') {
        if let Some(tree) = statement.trim_start().strip_prefix("use ") {
            names.extend(tree.split(|c: char| !c.is_alphanumeric() && c != '_'));
        }
    }
    FOREIGN
        .into_iter()
        .filter(|foreign| names.contains(foreign))
        .collect()
}

#[test]
fn the_domain_knows_neither_transport_nor_store() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("domain.rs")];
    sources(&source.join("domain"), &mut files);
    assert!(files.len() > 5, "the domain has moved");
    for file in files {
        let code = fs::read_to_string(&file).expect("a readable source");
        assert_eq!(foreign(&code), Vec::<&str>::new(), "{}", file.display());
    }
}

#[test]
fn foreign_names_are_seen() {
    assert_eq!(
        foreign("use crate::{domain, store::PgProducts};"),
        ["store"]
    );
    assert_eq!(foreign("fn f() -> tonic::Status {}"), ["tonic"]);
    assert_eq!(foreign("let store = 1; // sqlx::query"), Vec::<&str>::new());
}
