//! The Dockerfile.

use super::*;

/// Its instructions, each in one line.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|it| !it.is_empty());
    lines
        .map(|line| {
            let (name, rest) = line.split_once(' ').expect("an instruction");
            (name.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

/// The arguments of an instruction, once for each time it is there.
fn all(name: &str) -> Vec<String> {
    let found = instructions().into_iter().filter(|(it, _)| it == name);
    found.map(|(_, rest)| rest).collect()
}

/// The arguments of one that is there once, written as a list.
fn command(text: &str) -> Vec<String> {
    serde_json::from_str(text).expect("a list")
}

#[test]
fn the_image_has_what_it_starts() {
    let [cmd] = &all("CMD")[..] else {
        panic!("one CMD")
    };
    let cmd = command(cmd);
    assert_eq!(cmd, ["./catalog-service", "-conf", "../configs"]);
    let started = check_command(cmd.iter().map(String::as_str));
    assert_eq!(started, Some(Command::Serve));
    let [check] = &all("HEALTHCHECK")[..] else {
        panic!("one HEALTHCHECK")
    };
    let check = command(check.split_once("CMD ").expect("a command").1);
    let asked = check_command(check.iter().map(String::as_str));
    let Some(Command::Healthcheck { url }) = asked else {
        panic!("{check:?}")
    };
    let [http, grpc] = ports(&Config::default());
    assert_eq!(url, None, "that of the same configuration");
    assert_eq!(all("EXPOSE"), [format!("{http} {grpc} 9090")]);

    // Both programs, in the folder where they are started, and beside it what they read.
    let [build] = &all("RUN")[..] else {
        panic!("one RUN")
    };
    assert!(build.contains("cargo build --locked --release --no-default-features --bins"));
    for name in [SOURCE, "migrate"] {
        assert!(build.contains(&format!(" target/release/{name}")), "{name}");
    }
    assert!(root().join("src/bin/migrate.rs").is_file());
    let ignored = read(".dockerignore");
    for copy in all("COPY")
        .iter()
        .filter(|copy| !copy.starts_with("--from="))
    {
        let (source, _) = copy.split_once(' ').expect("a target");
        assert!(root().join(source).exists(), "{source}");
        let rules = [source.to_owned(), format!("/{source}")];
        assert!(
            ignored
                .lines()
                .all(|line| !rules.iter().any(|rule| rule == line)),
            "{source}"
        );
    }
    let copies = all("COPY").join("\n");
    for copy in [
        "/out/bin ./bin",
        "configs ./configs",
        "migrations ./migrations",
    ] {
        assert!(copies.contains(copy), "{copy}");
    }
    assert_eq!(all("WORKDIR"), ["/src", "/app", "/app/bin"]);
}

#[test]
fn the_image_is_made_to_be_safe() {
    // Whoever starts it, it is not root, and Kubernetes can tell.
    let [user] = &all("USER")[..] else {
        panic!("one USER")
    };
    assert!(user.parse::<u32>().is_ok_and(|user| user > 0), "{user}");
    let manifests = resources("deploy/kubernetes");
    let pod = &only(&manifests, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"].to_string(), *user);
    let [build, run] = &all("FROM")[..] else {
        panic!("two stages")
    };
    assert!(
        run.contains("distroless") && run.ends_with(":nonroot"),
        "{run}"
    );
    // The compiler is at least the one that the manifest asks for.
    let tag = build.split(&[':', '-'][..]).nth(1).expect("a version");
    let version = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|it| it.parse().expect("a number"))
            .collect()
    };
    assert!(
        version(tag) >= version(env!("CARGO_PKG_RUST_VERSION")),
        "{build}"
    );
}

#[test]
fn the_image_sets_variables_of_the_service() {
    for setting in all("ENV").iter().flat_map(|it| it.split_whitespace()) {
        let (name, value) = setting.split_once('=').expect("name=value");
        let known = ENVIRONMENT.iter().any(|(known, _)| *known == name);
        match name {
            "SQLX_OFFLINE" => assert_eq!(value, "true"),
            // Of the specification; the base image has the files of all zones.
            "TZ" => assert_eq!(value, "Asia/Ho_Chi_Minh"),
            _ => assert!(known, "{name}"),
        }
    }
}
