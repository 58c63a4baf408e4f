//! The Helm chart. It is rendered where `HELM` names the program, as built by
//! `go install helm.sh/helm/v3/cmd/helm@latest`.

use super::*;

const CHART: &str = "deploy/helm/catalog-service";

/// What the chart renders, with options such as `--set`; the message of Helm where it refuses.
fn render(options: &[&str]) -> Option<Result<Vec<Value>, String>> {
    let Some(helm) = std::env::var_os("HELM") else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "HELM does not name Helm"
        );
        println!("skipped: HELM does not name Helm");
        return None;
    };
    let output = std::process::Command::new(helm)
        .args(["template", SOURCE])
        .arg(root().join(CHART))
        .args(["--kube-version", "1.33"])
        .args(options)
        .output()
        .expect("Helm");
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout).expect("text");
    let documents = serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"));
    Some(Ok(documents.filter(|it| !it.is_null()).collect()))
}

#[test]
fn the_values_are_those_of_the_specification() {
    let values = &documents(format!("{CHART}/values.yaml"))[0];
    assert_eq!(values["replicaCount"], 3);
    assert_eq!(
        values["image"],
        serde_json::json!({"repository": "catalog-service", "tag": "latest", "pullPolicy": "IfNotPresent"})
    );
    assert_eq!(values["service"]["type"], "ClusterIP");
    assert_eq!(values["service"]["port"], 8080);
    let ingress = &values["ingress"];
    assert_eq!(ingress["enabled"], true);
    assert_eq!(
        ingress["annotations"]["kubernetes.io/ingress.class"],
        "nginx"
    );
    assert_eq!(ingress["hosts"][0]["host"], "api.domain.com");
    let path = serde_json::json!({"path": "/v1/catalog", "pathType": "Prefix"});
    assert_eq!(ingress["hosts"][0]["paths"][0], path);
    let chart = &documents(format!("{CHART}/Chart.yaml"))[0];
    assert_eq!(chart["name"], SOURCE);
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_chart_renders_what_the_manifests_say() {
    let Some(rendered) = render(&[]) else { return };
    let rendered = rendered.expect("rendered");
    let config = kubernetes::check_deployment(&rendered);
    kubernetes::check_restricted(&rendered);
    kubernetes::check_references(&rendered);
    kubernetes::check_selectors(&rendered);
    kubernetes::check_network(&rendered, &config);
    kubernetes::check_scale(&rendered, &config);
    kubernetes::check_migration(&rendered);

    // Line by line the same, but for the order of variables and what is Helm's own.
    let manifests = resources("deploy/kubernetes");
    for kind in ["Deployment", "Job"] {
        let [chart, manifest] = [&rendered, &manifests].map(|resources| {
            let mut template = only(resources, kind)["spec"]["template"].clone();
            let annotations = template["metadata"]["annotations"].as_object_mut();
            annotations.expect("annotations").remove("checksum/config");
            for container in template["spec"]["containers"]
                .as_array_mut()
                .expect("containers")
            {
                let variables = container["env"].as_array_mut().expect("variables");
                variables.sort_by_key(|variable| text(&variable["name"]).to_owned());
            }
            template
        });
        assert_eq!(chart, manifest, "{kind}");
    }
    for kind in [
        "NetworkPolicy",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ] {
        let [chart, manifest] = [&rendered, &manifests].map(|it| &only(it, kind)["spec"]);
        assert_eq!(chart, manifest, "{kind}");
    }
    let [chart, manifest] = [&rendered, &manifests].map(|resources| {
        let yaml = text(&only(resources, "ConfigMap")["data"]["config.yaml"]);
        serde_yaml_ng::from_str::<Value>(yaml).expect("YAML")
    });
    assert_eq!(chart, manifest);
}

#[test]
fn values_have_their_effect_or_are_refused() {
    let Some(rendered) = render(&[
        "--set",
        "autoscaling.enabled=false,replicaCount=5,image.tag=v1.2.3,env.LOG_LEVEL=debug,dapr.enabled=false,ingress.className=internal",
    ]) else {
        return;
    };
    let rendered = rendered.expect("rendered");
    let deployment = only(&rendered, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 5);
    assert!(
        rendered
            .iter()
            .all(|it| it["kind"] != "HorizontalPodAutoscaler")
    );
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["image"], "catalog-service:v1.2.3");
    let mut variables = list(&container["env"]).iter();
    assert!(variables.any(|it| it["name"] == "LOG_LEVEL" && it["value"] == "debug"));
    let annotations = object(&template["metadata"]["annotations"]);
    assert!(annotations.keys().all(|name| !name.starts_with("dapr.io/")));
    let ingress = only(&rendered, "Ingress");
    assert_eq!(ingress["spec"]["ingressClassName"], "internal");
    assert!(ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_null());

    let secured = render(&["--set", "tls.secretName=catalog-tls"]).expect("Helm");
    let secured = secured.expect("rendered");
    let template = &only(&secured, "Deployment")["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS");
    }
    let protocol = &template["metadata"]["annotations"]["dapr.io/app-protocol"];
    assert_eq!(protocol, "https");
    let mut mounts = list(&container["volumeMounts"]).iter();
    let mount = mounts
        .find(|mount| mount["name"] == "tls")
        .expect("the secret");
    let mut volumes = list(&template["spec"]["volumes"]).iter();
    let volume = volumes.find(|volume| volume["name"] == "tls");
    assert_eq!(
        volume.expect("the secret")["secret"]["secretName"],
        "catalog-tls"
    );
    let paths = list(&container["env"]).iter().filter(|variable| {
        let name = text(&variable["name"]);
        let known = ENVIRONMENT.iter().any(|(known, _)| *known == name);
        assert!(known, "the service has no variable {name}");
        name.starts_with("SERVER_TLS_")
    });
    let folder = text(&mount["mountPath"]);
    let files: Vec<_> = paths
        .map(|it| text(&it["value"]).strip_prefix(folder))
        .collect();
    // What a secret of that type has.
    assert_eq!(files, [Some("/tls.crt"), Some("/tls.key")]);

    for wrong in [
        "replicaCount=0",
        "image.pullPolicy=Sometimes",
        "service.port=80800",
        "replicas=3",
        "env.DATABASE_URL=postgresql://here",
        "ingress.hosts=null",
    ] {
        let refused = render(&["--set", wrong]).expect("Helm");
        assert!(refused.is_err(), "{wrong}");
    }
}
