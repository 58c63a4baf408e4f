//! What is deployed is what the service has: ports, probes, variables, images, components, topics.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use catalog_service::config::{Config, ENVIRONMENT};
use catalog_service::events::cloud_event::SOURCE;
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

/// The resources in a folder, without those in folders of it.
fn resources(folder: &str) -> Vec<Value> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let files: BTreeSet<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    assert!(!files.is_empty(), "{folder}");
    files.iter().flat_map(documents).collect()
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

/// Panics unless what comes from each pubsub component is tried again a bounded number of times.
fn check_resiliency(resources: &[Value], pubsubs: &[&str]) {
    let [resiliency] = of_kind(resources, "Resiliency")[..] else {
        panic!("one Resiliency");
    };
    assert_eq!(list(&resiliency["scopes"]), [SOURCE]);
    let spec = &resiliency["spec"];
    for pubsub in pubsubs {
        let policy = text(&spec["targets"]["components"][pubsub]["inbound"]["retry"]);
        let retries = spec["policies"]["retries"][policy]["maxRetries"].as_i64();
        assert!(
            retries.is_some_and(|count| count > 0),
            "{pubsub}: {retries:?}"
        );
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
    let mut paths = BTreeSet::new();
    for resource in resources("deploy/kubernetes") {
        let template = &resource["spec"]["template"];
        let annotation = &template["metadata"]["annotations"]["dapr.io/app-health-check-path"];
        paths.extend(annotation.as_str().map(str::to_owned));
        for container in list(&template["spec"]["containers"]) {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let get = &container[probe]["httpGet"];
                paths.extend(get["path"].as_str().map(str::to_owned));
            }
        }
    }
    let compose = &documents("docker-compose.yml")[0];
    for argument in list(&compose["services"]["catalog-service-dapr"]["command"]) {
        let path = text(argument).strip_prefix("--app-health-check-path=");
        paths.extend(path.map(str::to_owned));
    }
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
}

#[test]
fn kubernetes_starts_the_service_as_it_is() {
    let resources = resources("deploy/kubernetes");
    let [deployment] = of_kind(&resources, "Deployment")[..] else {
        panic!("one Deployment");
    };
    let template = &deployment["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    let [container] = list(&template["spec"]["containers"]) else {
        panic!("one container");
    };
    let variables = list(&container["env"]).iter().map(|variable| {
        let value = variable["value"].as_str().map(str::to_owned);
        (text(&variable["name"]).to_owned(), value)
    });
    let config = check_variables(&variables.collect());
    let [http, grpc] = ports(&config);
    let opened: Vec<_> = list(&container["ports"])
        .iter()
        .map(|port| (text(&port["name"]), port["containerPort"].as_u64()))
        .collect();
    assert_eq!(opened, [("http", Some(http)), ("grpc", Some(grpc))]);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], http, "{probe}");
    }

    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["dapr.io/app-id"], SOURCE);
    assert_eq!(annotations["dapr.io/app-port"], http.to_string());
    let dapr = self::resources("deploy/dapr/kubernetes");
    let configurations = of_kind(&dapr, "Configuration").into_iter();
    let mut names = configurations.map(|it| &it["metadata"]["name"]);
    assert!(names.any(|name| *name == annotations["dapr.io/config"]));
    let components = check_components(&dapr);
    assert!(components.contains(&config.dapr.pubsub_name));
    assert!(components.contains(&config.dapr.state_store_name));
    assert_eq!(config.publisher().name(), "dapr");

    let [service] = of_kind(&resources, "Service")[..] else {
        panic!("one Service");
    };
    assert_eq!(service["metadata"]["name"], SOURCE);
    for selector in [
        &service["spec"]["selector"],
        &deployment["spec"]["selector"]["matchLabels"],
    ] {
        for (label, value) in selector.as_object().expect("labels") {
            assert_eq!(labels[label], *value, "{label}");
        }
    }
    for (port, number) in list(&service["spec"]["ports"]).iter().zip([http, grpc]) {
        assert_eq!(port["port"], number);
        assert!(opened.iter().any(|(name, _)| port["targetPort"] == *name));
    }

    // What the service reads is a configuration, too.
    let [map] = of_kind(&resources, "ConfigMap")[..] else {
        panic!("one ConfigMap");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = text(&map["data"]["config.yaml"]);
    std::fs::write(folder.path().join("config.yaml"), yaml).expect("written");
    Config::load(Some(folder.path()), &|_| None).expect("a configuration");
}

#[test]
fn the_migration_runs_the_binary_that_is_in_the_image() {
    let resources = resources("deploy/kubernetes");
    let [job] = of_kind(&resources, "Job")[..] else {
        panic!("one Job");
    };
    let [container] = list(&job["spec"]["template"]["spec"]["containers"]) else {
        panic!("one container");
    };
    let [deployment] = of_kind(&resources, "Deployment")[..] else {
        panic!("one Deployment");
    };
    let service = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], service["image"]);

    let compose = &documents("docker-compose.yml")[0];
    let migration = &compose["services"]["catalog-migration"];
    let dockerfile = read("Dockerfile");
    let arguments = list(&container["command"])
        .iter()
        .chain(list(&container["args"]));
    for command in [
        arguments.collect(),
        list(&migration["command"]).iter().collect::<Vec<_>>(),
    ] {
        let command: Vec<_> = command.into_iter().map(text).collect();
        let binary = command[0]
            .strip_prefix("./")
            .expect("in the working directory");
        assert!(dockerfile.contains(&format!("target/release/{binary}")));
        assert_eq!(command[1], "-database-url");
        assert_eq!(command[3..], ["-command", "up"]);
    }
}

#[test]
fn compose_starts_the_service_as_it_is() {
    let compose = &documents("docker-compose.yml")[0];
    let services = compose["services"].as_object().expect("services");
    let service = &services["catalog-service"];
    let variables = list(&service["environment"]).iter().map(|variable| {
        let (name, value) = text(variable).split_once('=').expect("name=value");
        (name.to_owned(), Some(value.to_owned()))
    });
    let config = check_variables(&variables.collect());
    let [http, grpc] = ports(&config);
    let published: Vec<_> = list(&service["ports"]).iter().map(text).collect();
    assert_eq!(published, [http, grpc].map(|port| format!("{port}:{port}")));
    assert!(read("Dockerfile").contains(&format!("\nEXPOSE {http} {grpc}\n")));
    assert_eq!(service["image"], services["catalog-migration"]["image"]);
    let conditions = &service["depends_on"];
    assert_eq!(
        conditions["catalog-migration"]["condition"],
        "service_completed_successfully"
    );

    let sidecar = &services["catalog-service-dapr"];
    let option = |name: &str| -> String {
        let mut arguments = list(&sidecar["command"]).iter().map(text);
        let value = arguments.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    assert_eq!(sidecar["network_mode"], format!("service:{SOURCE}"));
    assert_eq!(option("--app-id"), SOURCE);
    assert_eq!(option("--app-port"), http.to_string());
    let port = |port: Option<u16>| port.map(|port| port.to_string());
    assert_eq!(
        Some(option("--dapr-http-port")),
        port(config.dapr.http_port)
    );
    assert_eq!(
        Some(option("--dapr-grpc-port")),
        port(config.dapr.grpc_port)
    );
    // What is mounted is there, and what is read is mounted.
    let mounted: BTreeMap<_, _> = list(&sidecar["volumes"])
        .iter()
        .map(|volume| {
            let mut parts = text(volume).split(':');
            let (source, target) = (parts.next().expect("a source"), parts.next());
            (target.expect("a target").to_owned(), source)
        })
        .collect();
    let components = check_components(&resources(mounted[&option("--resources-path")]));
    assert!(components.contains(&config.dapr.pubsub_name));
    assert!(components.contains(&config.dapr.state_store_name));
    of_kind(&documents(mounted[&option("--config")]), "Configuration");

    // The names of hosts are those of services.
    let redis = config.data.redis.addr.expect("an address");
    let database = config.data.database.source.expect("a URL");
    assert!(database.expose().contains("@postgres:5432/"));
    let folder = mounted[&option("--resources-path")];
    for component in of_kind(&resources(folder), "Component") {
        let entries = list(&component["spec"]["metadata"]);
        let host = entries.iter().find(|entry| entry["name"] == "redisHost");
        let (host, port) = text(&host.expect("a host")["value"])
            .split_once(':')
            .expect("a port");
        assert_eq!(
            redis.nodes,
            [(host.to_owned(), port.parse().expect("a port"))]
        );
    }
    for host in [redis.nodes[0].0.as_str(), "postgres"] {
        assert!(services.contains_key(host), "{host}");
        assert!(service["depends_on"][host].is_object(), "{host}");
    }
}
