//! That what `docs/specification-coverage.md` names is there: files, folders and tests.

use std::fs;
use std::path::Path;

#[test]
fn what_shows_a_promise_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/specification-coverage.md")).expect("the page");
    let mut rows = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, places, shown] = cells[..] else {
            panic!("three cells: {row}");
        };
        if places == "where" || places == "---" {
            continue;
        }
        rows += 1;
        assert!(shown.contains('`') || shown == "declined", "{row}");
        for name in quoted(places).chain(quoted(shown)) {
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let path = root.join(file);
            assert!(path.exists(), "{file} is not there: {row}");
            if !test.is_empty() {
                let source = fs::read_to_string(path).expect("a file");
                let definition = format!("fn {test}(");
                assert!(source.contains(&definition), "{name} is not there: {row}");
            }
        }
    }
    assert!(rows > 40, "{rows} rows");
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
