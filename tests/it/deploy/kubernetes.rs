//! The manifests of Kubernetes.

use std::time::Duration;

use super::*;

const FOLDER: &str = "deploy/kubernetes";

pub(super) fn probes() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for resource in resources(FOLDER) {
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
    paths
}

/// What the ingress lets through.
pub(super) fn public_paths() -> Vec<String> {
    let resources = resources(FOLDER);
    let ingress = only(&resources, "Ingress");
    let rules = list(&ingress["spec"]["rules"]).iter();
    rules
        .flat_map(|rule| list(&rule["http"]["paths"]))
        .map(|path| text(&path["path"]).to_owned())
        .collect()
}

/// The pods of the service, of the manifests or of the chart.
pub(super) fn check_deployment(resources: &[Value]) -> Config {
    let deployment = only(resources, "Deployment");
    let template = &deployment["spec"]["template"];
    let [container] = list(&template["spec"]["containers"]) else {
        panic!("one container");
    };
    let variables = list(&container["env"]).iter().map(|variable| {
        let value = variable["value"].as_str().map(str::to_owned);
        (text(&variable["name"]).to_owned(), value)
    });
    let config = check_variables(&variables.collect());
    let [http, grpc] = ports(&config);
    let metrics = u64::from(config.metrics.prometheus_port.expect("a port"));
    let opened: Vec<_> = list(&container["ports"])
        .iter()
        .map(|port| (text(&port["name"]), port["containerPort"].as_u64()))
        .collect();
    let expected = [("http", http), ("grpc", grpc), ("metrics", metrics)];
    assert_eq!(opened, expected.map(|(name, port)| (name, Some(port))));
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], http, "{probe}");
    }

    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], metrics.to_string());
    assert_eq!(annotations["dapr.io/app-id"], SOURCE);
    assert_eq!(annotations["dapr.io/app-port"], http.to_string());
    // They share the network.
    assert_ne!(annotations["dapr.io/metrics-port"], metrics.to_string());
    let dapr = self::resources("deploy/dapr/kubernetes");
    let configurations = of_kind(&dapr, "Configuration").into_iter();
    let mut names = configurations.map(|it| &it["metadata"]["name"]);
    assert!(names.any(|name| *name == annotations["dapr.io/config"]));
    let components = check_components(&dapr);
    assert!(components.contains(&config.dapr.pubsub_name));
    assert!(components.contains(&config.dapr.state_store_name));
    assert_eq!(config.publisher().name(), "dapr");

    // Enough time to stop: for the service, and for the sidecar through which it publishes its last events.
    let needed = stop_time(&config);
    let block = text(&annotations["dapr.io/block-shutdown-duration"]);
    let block = block.strip_suffix('s').expect("seconds").parse();
    let block = Duration::from_secs(block.expect("a number"));
    assert!(block >= needed, "{block:?} {needed:?}");
    let grace = template["spec"]["terminationGracePeriodSeconds"].as_u64();
    let grace = Duration::from_secs(grace.expect("a number"));
    // Dapr takes five seconds of its own after that.
    assert!(grace >= block + Duration::from_secs(5), "{grace:?}");
    config
}

/// The Pod Security Standard `restricted`, in all pods.
pub(super) fn check_restricted(resources: &[Value]) {
    for resource in resources
        .iter()
        .filter(|it| it["spec"]["template"].is_object())
    {
        let spec = &resource["spec"]["template"]["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let containers = list(&spec["initContainers"])
            .iter()
            .chain(list(&spec["containers"]));
        for container in containers {
            let name = &container["name"];
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(list(&context["capabilities"]["drop"]), ["ALL"], "{name}");
            for kind in ["requests", "limits"] {
                for resource in ["memory", "cpu"] {
                    assert!(container["resources"][kind][resource].is_string(), "{name}");
                }
            }
            check_pinned(text(&container["image"]));
        }
    }
}

/// What is referred to is there.
pub(super) fn check_references(resources: &[Value]) {
    let secret = &documents(format!("{FOLDER}/secret.example.yaml"))[0];
    let keys = object(&secret["stringData"]);
    let check_key = |reference: &Value, name: &str| {
        assert_eq!(reference[name], secret["metadata"]["name"]);
        assert!(keys.contains_key(text(&reference["key"])), "{reference}");
    };
    let map = only(resources, "ConfigMap");
    for resource in resources
        .iter()
        .filter(|it| it["spec"]["template"].is_object())
    {
        let spec = &resource["spec"]["template"]["spec"];
        if let Some(account) = spec["serviceAccountName"].as_str() {
            assert_eq!(
                only(resources, "ServiceAccount")["metadata"]["name"],
                account
            );
        }
        let containers = list(&spec["initContainers"])
            .iter()
            .chain(list(&spec["containers"]));
        for container in containers {
            for variable in list(&container["env"]) {
                let from = &variable["valueFrom"];
                assert!(from.is_null() != variable["value"].is_null(), "{variable}");
                if from["secretKeyRef"].is_object() {
                    check_key(&from["secretKeyRef"], "name");
                }
                // A path is below something that is mounted.
                if text(&variable["name"]).ends_with("_PATH") {
                    let path = text(&variable["value"]);
                    let file = mounted_file(spec, container, path);
                    assert!(file, "{path} is not mounted");
                }
            }
        }
        for volume in list(&spec["volumes"]) {
            if volume["configMap"].is_object() {
                assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
            }
            for item in list(&volume["secret"]["items"]) {
                let mut item = item.clone();
                item["name"] = volume["secret"]["secretName"].clone();
                check_key(&item, "name");
            }
        }
    }

    // What the service reads is a configuration, too.
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = text(&map["data"]["config.yaml"]);
    std::fs::write(folder.path().join("config.yaml"), yaml).expect("written");
    Config::load(Some(folder.path()), &|_| None).expect("a configuration");
}

/// Whether a volume has the file.
fn mounted_file(spec: &Value, container: &Value, path: &str) -> bool {
    let mut mounts = list(&container["volumeMounts"]).iter();
    mounts.any(|mount| {
        let file = path.strip_prefix(text(&mount["mountPath"]));
        let file = file.and_then(|it| it.strip_prefix('/'));
        let mut volumes = list(&spec["volumes"]).iter();
        let volume = volumes.find(|volume| volume["name"] == mount["name"]);
        let mut items = list(&volume.expect("a volume")["secret"]["items"]).iter();
        items.any(|item| item["path"].as_str() == file)
    })
}

/// Everything that selects pods selects those of the deployment.
pub(super) fn check_selectors(resources: &[Value]) {
    let deployment = only(resources, "Deployment");
    let labels = object(&deployment["spec"]["template"]["metadata"]["labels"]);
    for selector in [
        &only(resources, "Service")["spec"]["selector"],
        &deployment["spec"]["selector"]["matchLabels"],
        &only(resources, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &only(resources, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ] {
        for (label, value) in object(selector) {
            assert_eq!(labels.get(label), Some(value), "{label}");
        }
        // The pods of the migration are none of them.
        assert!(selector["component"].is_string());
    }
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let service = only(resources, "Service");
    for port in list(&service["spec"]["ports"]) {
        let mut opened = list(&container["ports"]).iter();
        assert!(
            opened.any(|opened| opened["name"] == port["targetPort"]),
            "{port}"
        );
    }
    let ingress = only(resources, "Ingress");
    for rule in list(&ingress["spec"]["rules"]) {
        for path in list(&rule["http"]["paths"]) {
            let backend = &path["backend"]["service"];
            assert_eq!(backend["name"], service["metadata"]["name"]);
            let mut ports = list(&service["spec"]["ports"]).iter();
            assert!(ports.any(|port| port["name"] == backend["port"]["name"]));
        }
    }
    let scaler = only(resources, "HorizontalPodAutoscaler");
    let target = &scaler["spec"]["scaleTargetRef"];
    assert_eq!(target["name"], deployment["metadata"]["name"]);
    for metric in list(&scaler["spec"]["metrics"]) {
        assert_eq!(metric["containerResource"]["container"], container["name"]);
    }
}

/// The policy lets the service hear and speak as it is configured to.
pub(super) fn check_network(resources: &[Value], config: &Config) {
    let policy = &only(resources, "NetworkPolicy")["spec"];
    let open = |direction: &str| -> BTreeSet<u64> {
        let rules = list(&policy[direction]).iter();
        let ports = rules.flat_map(|rule| list(&rule["ports"]));
        ports.filter_map(|port| port["port"].as_u64()).collect()
    };
    let annotations = &only(resources, "Deployment")["spec"]["template"]["metadata"]["annotations"];
    let sidecar = text(&annotations["dapr.io/metrics-port"]).parse();
    let metrics = config.metrics.prometheus_port.expect("a port");
    let [http, grpc] = ports(config);
    let incoming = [http, grpc, metrics.into(), sidecar.expect("a port")];
    assert!(open("ingress").is_superset(&incoming.into()));
    let redis = config.data.redis.addr.as_ref().expect("an address");
    let consul = config.consul.address.as_ref().expect("an address");
    let consul = consul.rsplit_once(':').expect("a port").1.parse();
    let outgoing = [53, 5432, redis.nodes[0].1.into(), consul.expect("a port")];
    assert!(open("egress").is_superset(&outgoing.into()));
}

/// The most instances have room in the database.
pub(super) fn check_scale(resources: &[Value], config: &Config) {
    let scaler = &only(resources, "HorizontalPodAutoscaler")["spec"];
    assert_eq!(scaler["minReplicas"], 3);
    let most = scaler["maxReplicas"].as_u64().expect("a number");
    // PostgreSQL has a hundred, and keeps three for administrators; each instance listens on one more.
    assert!(most * (u64::from(config.data.database.max_connections) + 1) <= 97);
}

pub(super) fn check_migration(resources: &[Value]) {
    let job = only(resources, "Job");
    let [container] = list(&job["spec"]["template"]["spec"]["containers"]) else {
        panic!("one container");
    };
    let deployment = only(resources, "Deployment");
    let service = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], service["image"]);
    let command = list(&container["command"])
        .iter()
        .chain(list(&container["args"]));
    check_command(command.map(text));
    let [waits] = list(&job["spec"]["template"]["spec"]["initContainers"]) else {
        panic!("one container");
    };
    assert_eq!(waits["name"], "wait-for-db");
}

#[test]
fn kubernetes_starts_the_service_as_it_is() {
    let resources = resources(FOLDER);
    let config = check_deployment(&resources);
    let service = only(&resources, "Service");
    assert_eq!(service["metadata"]["name"], SOURCE);
    let [http, grpc] = ports(&config);
    let metrics = config.metrics.prometheus_port.expect("a port").into();
    let numbers = list(&service["spec"]["ports"])
        .iter()
        .map(|port| port["port"].as_u64());
    assert!(numbers.eq([http, grpc, metrics].map(Some)));
    check_restricted(&resources);
    check_references(&resources);
    check_selectors(&resources);
    check_network(&resources, &config);
    check_scale(&resources, &config);
    check_migration(&resources);
}

#[test]
fn everything_but_the_secret_is_applied() {
    for folder in [FOLDER, "deploy/dapr/kubernetes"] {
        let kustomization = &documents(format!("{folder}/kustomization.yaml"))[0];
        let (folders, files): (Vec<_>, Vec<_>) = list(&kustomization["resources"])
            .iter()
            .map(text)
            .partition(|name| name.starts_with("../"));
        for other in folders {
            let file = root().join(folder).join(other).join("kustomization.yaml");
            assert!(file.is_file(), "{}", file.display());
        }
        let there = resource_files(folder);
        let there = there.iter().map(|path| path.file_name().expect("a name"));
        let there: BTreeSet<_> = there.filter_map(|name| name.to_str()).collect();
        let applied: BTreeSet<_> = files.into_iter().chain(["secret.example.yaml"]).collect();
        let expected = if folder == FOLDER {
            applied
        } else {
            applied
                .into_iter()
                .filter(|it| !it.starts_with("secret"))
                .collect()
        };
        assert_eq!(expected, there);
        for image in list(&kustomization["images"]) {
            assert_eq!(image["name"], SOURCE);
        }
    }
}
