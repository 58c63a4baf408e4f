//! Facts about paths, from the tests of other transcoders: `tests/data/paths` has them, and says what its lines mean.

use std::fs;
use std::path::Path;

use percent_encoding::percent_decode_str;
use transcode::router::{Match, Router, capture};
use transcode_build::template::Template;
use transcode_tests::routes;

#[test]
fn paths_go_where_they_go_elsewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/paths");
    let mut failures = Vec::new();
    for (name, least) in [
        ("aspnetcore.txt", 35),
        ("envoy.txt", 150),
        ("grpc_gateway.txt", 80),
        ("vanguard.txt", 50),
    ] {
        let text = fs::read_to_string(folder.join(name)).expect(name);
        let rows = table(&text, |line, error| {
            failures.push(format!("{name}: {line}: {error}"));
        });
        assert!(rows >= least, "{name} has {rows} rows");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs the rows of a file and counts them.
fn table(text: &str, mut fail: impl FnMut(&str, String)) -> usize {
    let mut rows = 0;
    let mut templates: Vec<Template> = Vec::new();
    let mut router = Router::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let result = match word.trim_end_matches('!') {
            "set" => {
                templates.clear();
                router = Router::new();
                continue;
            }
            "rule" => match Template::parse(rest) {
                Ok(template) => {
                    router.add(routes::binding("GET", &template), templates.len());
                    templates.push(template);
                    continue;
                }
                Err(error) => Err(error.to_string()),
            },
            "accept" => Template::parse(rest)
                .map(|_| ())
                .map_err(|error| error.to_string()),
            "refuse" => Template::parse(rest).map_or(Ok(()), |_| Err("is accepted".to_owned())),
            "call" => call(&router, &templates, rest),
            _ => Err("says nothing".to_owned()),
        };
        rows += 1;
        if let Err(error) = result {
            fail(line, error);
        }
    }
    rows
}

fn call(router: &Router, templates: &[Template], row: &str) -> Result<(), String> {
    let (path, expected) = row.split_once(" => ").ok_or("has no result")?;
    let (expected, encoded) = expected
        .strip_suffix("~decoded")
        .map_or((expected, false), |expected| (expected, true));
    let mut words = expected.split(' ');
    let expected = words.next().unwrap_or_default();
    let mut values: Vec<(String, String)> = words
        .map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let value = if encoded {
                percent_decode_str(value).decode_utf8_lossy().into_owned()
            } else {
                value.to_owned()
            };
            (name.to_owned(), value)
        })
        .collect();
    match router.find("GET", path) {
        Match::Found(binding, at) if templates[at].text == expected => {
            let found = binding.variables.iter().map(|variable| {
                let value = capture(binding, variable, path).map_err(|error| error.to_string())?;
                Ok::<_, String>((variable.field.to_owned(), value.into_owned()))
            });
            let mut found: Vec<_> = found.collect::<Result<_, _>>()?;
            found.sort();
            values.sort();
            if found == values {
                Ok(())
            } else {
                Err(format!("the variables are {found:?}"))
            }
        }
        Match::NotFound if expected == "none" => Ok(()),
        Match::Found(_, at) => Err(format!("goes to {}", templates[at].text)),
        other => Err(format!("is {other:?}")),
    }
}
