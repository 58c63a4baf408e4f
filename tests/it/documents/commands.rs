//! The commands in the documents can be given: targets of make, and the options of both programs.

use std::ffi::OsString;

use catalog_service::cli::Cli;
use regex::Regex;

use super::{pages, root};
use crate::support::program;

/// The lines of code of a page, without comments.
fn commands(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            code = !code && ["sh", "bash"].contains(&language);
        } else if code {
            let comment = line
                .find("# ")
                .filter(|at| *at == 0 || line[..*at].ends_with(' '));
            found.push(line[..comment.unwrap_or(line.len())].trim().to_owned());
        }
    }
    found
}

/// The words of a command, as a shell would see them, up to where the next one begins.
fn words(command: &str) -> Vec<String> {
    let word = Regex::new(r#"(?:[^\s"']|"[^"]*"|'[^']*')+"#).expect("a pattern");
    let words = word.find_iter(command).map(|it| it.as_str());
    let own = words.take_while(|it| !["|", "||", "&&", ">", "&", ";", "#"].contains(it));
    own.map(|word| word.replace(['"', '\''], "")).collect()
}

/// The arguments of a program, where a command starts it.
fn arguments(command: &str, program: &str) -> Option<Vec<String>> {
    let words = words(command);
    let name = |word: &str| word.rsplit(['/', '(']).next() == Some(program);
    // Where programs are; a chart has the same name.
    let is_path = |word: &str| {
        let path = word.rsplit('(').next().unwrap_or(word);
        ["./", "bin/", "target/"]
            .iter()
            .any(|it| path.starts_with(it))
    };
    let first = words
        .iter()
        .position(|word| !word.contains('=') || word.contains("$("))?;
    let at = words
        .iter()
        .position(|word| name(word) && is_path(word))
        .or_else(|| name(&words[first]).then_some(first))?;
    let inner = words[at].contains("$(");
    let arguments = words[at + 1..].iter();
    let end = |word: &String| {
        if inner {
            word.trim_end_matches(')').to_owned()
        } else {
            word.clone()
        }
    };
    Some(arguments.map(end).collect())
}

fn all() -> Vec<(String, String)> {
    let mut files = Vec::new();
    pages(root(), &mut files);
    let texts = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).expect("text");
        (file.display().to_string(), text)
    });
    texts
        .flat_map(|(file, text)| {
            commands(&text)
                .into_iter()
                .map(move |it| (file.clone(), it))
        })
        .collect()
}

#[test]
fn commands_of_the_service_are_understood() {
    let mut seen = 0;
    for (file, command) in all() {
        let Some(arguments) = arguments(&command, "catalog-service") else {
            continue;
        };
        // Where a value stands for many.
        let arguments = arguments.into_iter().filter(|it| it != "…");
        let line = ["catalog-service".to_owned()].into_iter().chain(arguments);
        let parsed = Cli::parse_args(line.map(OsString::from));
        assert!(parsed.is_ok(), "{file}: {command}: {}", parsed.unwrap_err());
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn commands_of_migrate_have_options_that_it_has() {
    let help = program::migrate().arg("-help").output();
    let help = help.expect("its help");
    let help = String::from_utf8_lossy(&help.stdout) + String::from_utf8_lossy(&help.stderr);
    let mut seen = 0;
    for (file, command) in all() {
        let Some(arguments) = arguments(&command, "migrate") else {
            continue;
        };
        let options = arguments
            .iter()
            .filter(|it| it.starts_with('-') && it.parse::<i64>().is_err());
        for option in options {
            assert!(
                help.contains(option.as_str()),
                "{file}: {command}: {option}"
            );
        }
        let command_of = arguments.iter().position(|it| it == "-command");
        if let Some(at) = command_of {
            let known = ["up", "down", "version", "force"];
            assert!(
                known.contains(&arguments[at + 1].as_str()),
                "{file}: {command}"
            );
        }
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn make_has_the_targets() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let target = Regex::new(r"(?m)^([a-z][a-z-]*):").expect("a pattern");
    let targets: Vec<_> = target
        .captures_iter(&makefile)
        .map(|it| it[1].to_owned())
        .collect();
    let mut files = Vec::new();
    pages(root(), &mut files);
    let called = Regex::new(r"`make ([a-z][a-z -]*)[^`]*`").expect("a pattern");
    let mut seen = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        let in_prose = called.captures_iter(&text).map(|it| it[1].to_owned());
        let in_code = commands(&text);
        let in_code = in_code.iter().filter_map(|it| arguments(it, "make"));
        let words = in_prose.chain(in_code.map(|it| it.join(" ")));
        for line in words {
            for word in line
                .split(' ')
                .take_while(|it| !it.is_empty() && !it.contains(['=', '(']))
            {
                assert!(
                    targets.iter().any(|it| it == word),
                    "{}: make {word}",
                    file.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_command_is_taken_apart() {
    let command = r#"TOKEN=$(target/debug/catalog-service token --scope "a b" --sub user_456)"#;
    let expected = ["token", "--scope", "a b", "--sub", "user_456"];
    assert_eq!(arguments(command, "catalog-service").unwrap(), expected);
    let command = "A=b ./bin/migrate -command version | cat";
    assert_eq!(
        arguments(command, "migrate").unwrap(),
        ["-command", "version"]
    );
    assert_eq!(
        arguments("docker compose up catalog-service", "catalog-service"),
        None
    );
    let page = "```sh\na \\\n  b   # c\n```\n```text\nd\n```\n";
    assert_eq!(commands(page), ["a    b"]);
}
