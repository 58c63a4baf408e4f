//! docker-compose.yml.

use super::*;

fn compose() -> Value {
    documents("docker-compose.yml").remove(0)
}

/// An option of a command, `--name=value`.
fn option(command: &Value, name: &str) -> String {
    let mut arguments = list(command).iter().map(text);
    let value = arguments.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// The variables of a service. `${NAME:-default}` has its default.
fn variables(service: &Value) -> BTreeMap<String, Option<String>> {
    let variables = list(&service["environment"]).iter().map(|variable| {
        let (name, value) = text(variable).split_once('=').expect("name=value");
        let given = value.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        let value = given.map_or(value, |it| it.split_once(":-").expect("a default").1);
        (name.to_owned(), Some(value.to_owned()))
    });
    variables.collect()
}

/// What is mounted: where, and from where.
fn mounted(service: &Value) -> BTreeMap<String, String> {
    let volumes = list(&service["volumes"]).iter().map(|volume| {
        let mut parts = text(volume).split(':').map(str::to_owned);
        let source = parts.next().expect("a source");
        (parts.next().expect("a target"), source)
    });
    volumes.collect()
}

pub(super) fn probes() -> BTreeSet<String> {
    let sidecar = &compose()["services"]["catalog-service-dapr"];
    BTreeSet::from([option(&sidecar["command"], "--app-health-check-path")])
}

/// The names by which a service is found, with the ports it listens on.
pub(super) fn addresses() -> BTreeSet<String> {
    let compose = compose();
    let service = &compose["services"][SOURCE];
    let config = check_variables(&variables(service));
    let metrics = config.metrics.prometheus_port.expect("a port");
    let networks = object(&service["networks"]).values();
    let aliases = networks
        .flat_map(|network| list(&network["aliases"]))
        .map(text);
    let sidecar = &compose["services"]["catalog-service-dapr"]["command"];
    let sidecar: u64 = option(sidecar, "--metrics-port").parse().expect("a port");
    let [http, grpc] = ports(&config);
    let ports = [http, grpc, metrics.into(), sidecar];
    let names = aliases.chain([SOURCE]);
    names
        .flat_map(|name| ports.map(|port| format!("{name}:{port}")))
        .collect()
}

#[test]
fn compose_starts_the_service_as_it_is() {
    let compose = compose();
    let services = object(&compose["services"]);
    let service = &services[SOURCE];
    let config = check_variables(&variables(service));
    let [http, grpc] = ports(&config);
    let grace = text(&service["stop_grace_period"]);
    let grace = grace.strip_suffix('s').expect("seconds").parse();
    assert!(Duration::from_secs(grace.expect("a number")) > stop_time(&config));
    let published: Vec<_> = list(&service["ports"]).iter().map(text).collect();
    assert_eq!(published, [http, grpc].map(|port| format!("{port}:{port}")));
    assert_eq!(service["image"], services["catalog-migration"]["image"]);
    let conditions = &service["depends_on"];
    assert_eq!(
        conditions["catalog-migration"]["condition"],
        "service_completed_successfully"
    );
    check_command(
        list(&services["catalog-migration"]["command"])
            .iter()
            .map(text),
    );

    let sidecar = &services["catalog-service-dapr"];
    let option = |name: &str| option(&sidecar["command"], name);
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
    // They share the network.
    assert_ne!(
        Some(option("--metrics-port")),
        port(config.metrics.prometheus_port)
    );
    let mounted = mounted(sidecar);
    let components = check_components(&resources(&mounted[&option("--resources-path")]));
    assert!(components.contains(&config.dapr.pubsub_name));
    assert!(components.contains(&config.dapr.state_store_name));
    of_kind(&documents(&mounted[&option("--config")]), "Configuration");

    // The names of hosts are those of services.
    let redis = config.data.redis.addr.expect("an address");
    let consul = config.consul.address.expect("an address");
    let consul = consul.split_once(':').expect("a port").0;
    let database = config.data.database.source.expect("a URL");
    assert!(database.expose().contains("@postgres:5432/"));
    let folder = &mounted[&option("--resources-path")];
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
    for host in [redis.nodes[0].0.as_str(), "postgres", consul] {
        assert!(services.contains_key(host), "{host}");
        assert_eq!(
            service["depends_on"][host]["condition"], "service_healthy",
            "{host}"
        );
    }
}

#[test]
fn compose_names_what_there_is() {
    let compose = compose();
    let services = object(&compose["services"]);
    let mut published = BTreeSet::new();
    for (name, service) in services {
        let image = text(&service["image"]);
        check_pinned(image);
        let profiles = list(&service["profiles"]);
        // Started with those that are there whatever was asked for, or with the same.
        let depends = service["depends_on"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let plain = list(&service["depends_on"])
            .iter()
            .map(|other| (text(other), "service_started"));
        let conditions = depends
            .iter()
            .map(|(other, it)| (other.as_str(), text(&it["condition"])));
        for (other, condition) in conditions.chain(plain) {
            let other = services
                .get(other)
                .unwrap_or_else(|| panic!("{name}: {other}"));
            let with = list(&other["profiles"]);
            assert!(with.is_empty() || with == profiles, "{name}");
            // Our own image has a check of its own.
            let healthy = other["healthcheck"].is_object() || other["image"] == SOURCE;
            assert!(condition != "service_healthy" || healthy, "{name}");
        }
        for (target, source) in mounted(service) {
            if source.starts_with("./") {
                assert!(root().join(&source).exists(), "{name}: {source}");
            } else {
                assert!(
                    object(&compose["volumes"]).contains_key(&source),
                    "{name}: {source}"
                );
            }
            assert!(target.starts_with('/'));
        }
        for port in list(&service["ports"]) {
            let port = text(port).rsplit(':').nth(1).expect("a port");
            assert!(published.insert(port.to_owned()), "{port} twice");
        }
        let networks = &service["networks"];
        let names = networks
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys);
        for network in names
            .map(String::as_str)
            .chain(list(networks).iter().map(text))
        {
            assert!(
                object(&compose["networks"]).contains_key(network),
                "{name}: {network}"
            );
        }
        // One that others wait for, or that serves people, says how it is.
        let exempt = [SOURCE, "catalog-service-dapr", "jaeger"];
        assert!(
            service["healthcheck"].is_object() || exempt.contains(&name.as_str()),
            "{name}"
        );
    }
}

#[test]
fn what_is_mounted_is_what_is_read() {
    let compose = compose();
    let services = &compose["services"];
    let kong = &services["kong"];
    let file = variables(kong)["KONG_DECLARATIVE_CONFIG"]
        .clone()
        .expect("a path");
    assert_eq!(mounted(kong)[&file], "./deploy/kong/kong.yml");
    let prometheus = mounted(&services["prometheus"]);
    assert_eq!(
        prometheus["/etc/prometheus/prometheus.yml"],
        "./deploy/prometheus/prometheus.yml"
    );
    assert_eq!(
        prometheus["/etc/prometheus/rules"],
        "./deploy/prometheus/rules"
    );
    let grafana = mounted(&services["grafana"]);
    assert_eq!(
        grafana["/etc/grafana/provisioning"],
        "./deploy/grafana/provisioning"
    );
    let provider =
        &documents("deploy/grafana/provisioning/dashboards/dashboards.yml")[0]["providers"][0];
    let folder = &grafana[text(&provider["options"]["path"])];
    let home = variables(&services["grafana"])["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].clone();
    let home = home.expect("a path");
    let name = home.rsplit('/').next().expect("a name");
    assert!(root().join(folder).join(name).is_file(), "{home}");
    for source in
        list(&documents("deploy/grafana/provisioning/datasources/prometheus.yml")[0]["datasources"])
    {
        let url = text(&source["url"]).strip_prefix("http://").expect("a URL");
        let host = url.split_once(':').expect("a port").0;
        assert!(services[host].is_object(), "{url}");
    }
}
