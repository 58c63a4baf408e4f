//! What is deployed is what the service has: ports, probes, variables, images, commands, components, topics, metrics.

mod compose;
mod gateway;
mod helm;
mod image;
mod kubernetes;
mod monitoring;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog_service::cli::{Cli, Command};
use catalog_service::config::{Config, ENVIRONMENT};
use catalog_service::events::cloud_event::SOURCE;
use catalog_service::lifecycle::DRAIN;
use catalog_service::pb::catalog::v1::EVENTS;
use serde::Deserialize as _;
use serde_json::Value;
use transcode::Direction;

use crate::support::service::Service;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: impl AsRef<Path>) -> String {
    let file = root().join(file);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The documents of a YAML file.
fn documents(file: impl AsRef<Path>) -> Vec<Value> {
    let text = read(file);
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

/// The YAML files of resources in a folder, without those in folders of it.
fn resource_files(folder: &str) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let files: BTreeSet<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .filter(|path| !path.ends_with("kustomization.yaml"))
        .collect();
    assert!(!files.is_empty(), "{folder}");
    files
}

fn resources(folder: &str) -> Vec<Value> {
    resource_files(folder).iter().flat_map(documents).collect()
}

/// The one resource of a kind.
fn only<'a>(resources: &'a [Value], kind: &str) -> &'a Value {
    let [resource] = of_kind(resources, kind)[..] else {
        panic!("one {kind}");
    };
    resource
}

fn of_kind<'a>(resources: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let found: Vec<_> = resources.iter().filter(|it| it["kind"] == kind).collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("no map: {value}"))
}

/// Panics unless an image is of one version for ever. Our own is named by whoever deploys.
fn check_pinned(image: &str) {
    if image == SOURCE || image.starts_with("catalog-service:") {
        return;
    }
    let (name, tag) = image.rsplit_once(':').expect("a version");
    let version = tag.trim_start_matches('v').split('-').next().expect("one");
    let numbers = version.split('.').filter(|it| it.parse::<u32>().is_ok());
    // A release of PostgreSQL has two.
    let needed = if name == "postgres" { 2 } else { 3 };
    assert_eq!(numbers.count(), needed, "{image}");
}

/// Panics unless the image has the command, which runs in its working directory, and the command can be understood.
fn check_command<'a>(command: impl IntoIterator<Item = &'a str>) -> Option<Command> {
    let command: Vec<_> = command.into_iter().collect();
    let dockerfile = read("Dockerfile");
    let binary = command[0].strip_prefix("./").expect("beside it");
    assert!(dockerfile.contains(&format!("target/release/{binary}")));
    if binary == SOURCE {
        let cli = Cli::parse_args(command.iter().map(OsString::from)).expect("a command");
        return Some(cli.command);
    }
    assert_eq!(command[..2], ["./migrate", "-database-url"]);
    assert_eq!(command[3..], ["-command", "up"]);
    None
}

/// Panics unless the variables are those of the service, and their values a configuration.
fn check_variables(variables: &BTreeMap<String, Option<String>>) -> Config {
    for name in variables.keys() {
        let known = ENVIRONMENT.iter().any(|(known, _)| known == name);
        assert!(known, "the service has no variable {name}");
    }
    // Files are elsewhere, and secrets are not known here.
    let value = |name: &str| variables.get(name)?.clone();
    let env = |name: &str| value(name).filter(|_| !name.ends_with("_PATH"));
    Config::load(None, &env).expect("a configuration")
}

fn ports(config: &Config) -> [u64; 2] {
    [config.server.http.addr, config.server.grpc.addr].map(|addr: SocketAddr| addr.port().into())
}

/// How long the service takes to end: until everybody knows, its requests, its events.
fn stop_time(config: &Config) -> Duration {
    config.server.shutdown_delay + DRAIN + Duration::from_secs(1)
}

/// The components that a folder has, and whether they fit the service.
fn check_components(resources: &[Value]) -> BTreeSet<String> {
    let names = of_kind(resources, "Component")
        .into_iter()
        .map(|component| {
            assert_eq!(list(&component["scopes"]), [SOURCE]);
            let entries = list(&component["spec"]["metadata"]);
            let entries: BTreeMap<_, _> = entries
                .iter()
                .map(|entry| (text(&entry["name"]), entry["value"].as_str()))
                .collect();
            let scope = |name: &str| -> BTreeSet<String> {
                let (app, topics) = entries[name].and_then(|it| it.split_once('=')).expect(name);
                assert_eq!(app, SOURCE);
                topics.split(',').map(str::to_owned).collect()
            };
            if text(&component["spec"]["type"]).starts_with("pubsub.") {
                let topics = |direction| {
                    let events = EVENTS
                        .iter()
                        .filter(move |event| event.direction == direction);
                    events.map(|event| event.topic.to_owned())
                };
                // The sidecar publishes to the dead letter topics in the name of the service.
                let dead = EVENTS.iter().filter_map(|event| event.dead_letter_topic);
                let published: BTreeSet<_> = topics(Direction::Published)
                    .chain(dead.map(str::to_owned))
                    .collect();
                assert_eq!(scope("publishingScopes"), published);
                let subscribed: BTreeSet<_> = topics(Direction::Subscribed).collect();
                assert_eq!(scope("subscriptionScopes"), subscribed);
                let both = ["maxLenApprox", "streamTTL"];
                assert!(
                    !both.iter().all(|name| entries.contains_key(name)),
                    "one of them"
                );
            }
            text(&component["metadata"]["name"]).to_owned()
        });
    names.collect()
}

/// Panics unless what comes from each pubsub component is tried again for ever: the service gives up, not the sidecar.
fn check_resiliency(resources: &[Value], pubsubs: &[&str]) {
    let resiliency = only(resources, "Resiliency");
    assert_eq!(list(&resiliency["scopes"]), [SOURCE]);
    let spec = &resiliency["spec"];
    for pubsub in pubsubs {
        let policy = text(&spec["targets"]["components"][pubsub]["inbound"]["retry"]);
        let retries = &spec["policies"]["retries"][policy];
        assert_eq!(retries["policy"], "constant", "{pubsub}: others end");
        assert_eq!(retries["maxRetries"], -1, "{pubsub}");
    }
}

#[test]
fn the_dapr_resources_are_those_that_the_service_names() {
    let defaults = Config::default().dapr;
    let named = [defaults.pubsub_name, defaults.state_store_name];
    let version = "dapr.io/v1alpha1";
    for folder in ["deploy/dapr/self-hosted/redis", "deploy/dapr/kubernetes"] {
        let resources = resources(folder);
        assert!(resources.iter().all(|it| it["apiVersion"] == version));
        assert_eq!(check_components(&resources), BTreeSet::from(named.clone()));
        check_resiliency(&resources, &[&named[0], "pubsub-kafka"]);
    }
    for folder in [
        "deploy/dapr/self-hosted/kafka",
        "deploy/dapr/kubernetes/kafka",
    ] {
        let names = check_components(&resources(folder));
        assert_eq!(names, BTreeSet::from(["pubsub-kafka".to_owned()]));
    }
}

/// The paths that something asks whether the service is well.
fn probes() -> BTreeSet<String> {
    let mut paths = kubernetes::probes();
    paths.extend(compose::probes());
    paths.extend(gateway::probes());
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_ask_for_what_there_is() {
    let probes = probes();
    assert_eq!(probes.iter().collect::<Vec<_>>(), ["/health", "/ready"]);
    let service = Service::start().await;
    for path in probes {
        assert_eq!(service.get(&path, "").await.status(), 200, "{path}");
    }
    // Whatever a gateway lets through has an answer of the service: its own, but not that there is no such path.
    for path in kubernetes::public_paths()
        .into_iter()
        .chain(gateway::public_paths())
    {
        let path = match path.as_str() {
            "/v1/catalog" => "/v1/catalog/products".to_owned(),
            "/v1/identity" => "/v1/identity/me".to_owned(),
            "/docs" => "/docs/catalog".to_owned(),
            _ => path,
        };
        let request = http::Request::get(&path);
        let status = service.send_raw(request, "").await.status();
        assert!(status == 200 || status == 401, "{path}: {status}");
    }
}
