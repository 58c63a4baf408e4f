//! What Prometheus asks, alarms and shows, and Grafana with it: names and labels are those of `/metrics`.

use regex::Regex;

use super::*;

/// The labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["job", "instance"];

/// The metrics of the service by name, with the labels of each; none where no sample was there to tell.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// The metrics of a service that is configured with all of its neighbours.
async fn metrics() -> Metrics {
    let service = Service::start_with(&[
        ("AUTO_MIGRATE", "true"),
        // Nobody is there; that is told too.
        ("CONSUL_ADDRESS", "127.0.0.1:1"),
        ("DAPR_HTTP_PORT", "1"),
    ])
    .await;
    service.ready().await;
    // Some metrics are there from the first request on.
    let token = service.token("catalog:read");
    assert_eq!(
        service.get("/v1/catalog/products", &token).await.status(),
        200
    );
    let request = http::Request::post("/catalog.v1.CatalogService/ListProducts");
    let request = request.header("content-type", "application/grpc-web");
    service.send_raw(request, vec![0; 5]).await;
    let page = Service::send_to(&service.grpc, http::Request::get("/metrics"), "").await;
    let page = String::from_utf8(page.into_body()).expect("text");

    let mut metrics = Metrics::new();
    let mut histograms = BTreeSet::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').expect("a type");
            metrics.entry(name.to_owned()).or_default();
            if kind == "histogram" {
                histograms.insert(name.to_owned());
            }
        }
    }
    for name in &histograms {
        for end in ["_bucket", "_sum", "_count"] {
            metrics.insert(format!("{name}{end}"), BTreeSet::new());
        }
    }
    let sample = Regex::new(r"^([a-z_]+)(?:\{(.*)\})? ").expect("a pattern");
    let label = Regex::new(r#"([a-z_]+)="(?:[^"\\]|\\.)*""#).expect("a pattern");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let parts = sample.captures(line).unwrap_or_else(|| panic!("{line}"));
        let labels = parts.get(2).map_or("", |it| it.as_str());
        let labels = label.captures_iter(labels).map(|it| it[1].to_owned());
        metrics
            .entry(parts[1].to_owned())
            .or_default()
            .extend(labels);
    }
    // What a scrape itself tells.
    metrics.insert("up".to_owned(), BTreeSet::new());
    metrics
}

/// The names in a query, with the labels that are asked of each.
fn selectors(query: &str) -> Vec<(String, Vec<String>)> {
    let string = Regex::new(r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"#).expect("a pattern");
    let query = string.replace_all(query, "''");
    let range = Regex::new(r"\[[^\]]*\]").expect("a pattern");
    let query = range.replace_all(&query, "");
    let grouping = Regex::new(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
        .expect("a pattern");
    let query = grouping.replace_all(&query, "");
    let name = Regex::new(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{[^}]*\})?").expect("a pattern");
    let label = Regex::new(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)").expect("a pattern");
    let words = ["and", "or", "unless", "bool", "offset"];
    let mut found = Vec::new();
    for parts in name.captures_iter(&query) {
        let after = parts.get(2).map_or("", |it| it.as_str());
        if after != "(" && !words.contains(&&parts[1]) {
            let labels = label.captures_iter(after).map(|it| it[1].to_owned());
            found.push((parts[1].to_owned(), labels.collect()));
        }
    }
    found
}

#[test]
fn a_query_names_its_metrics() {
    let query = r#"histogram_quantile(0.95, sum by (job, le) (rate(a_bucket{job="x{y}", le=~"b"}[5m]) or c:d:e)) > bool 1e3 and on (job) f"#;
    let names: Vec<_> = selectors(query).into_iter().collect();
    assert_eq!(
        names,
        [
            (
                "a_bucket".to_owned(),
                vec!["job".to_owned(), "le".to_owned()]
            ),
            ("c:d:e".to_owned(), vec![]),
            ("f".to_owned(), vec![]),
        ]
    );
}

/// All rules.
fn rules() -> Vec<Value> {
    let files = [
        "deploy/prometheus/rules/slo.yml",
        "deploy/prometheus/rules/alerts.yml",
    ];
    let groups = files.into_iter().flat_map(documents);
    groups
        .flat_map(|file| list(&file["groups"]).to_vec())
        .flat_map(|group| list(&group["rules"]).to_vec())
        .collect()
}

/// All queries of the dashboard.
fn dashboard_queries(dashboard: &Value) -> Vec<String> {
    let targets = list(&dashboard["panels"])
        .iter()
        .flat_map(|panel| list(&panel["targets"]));
    let annotations = list(&dashboard["annotations"]["list"]).iter();
    targets
        .chain(annotations)
        .map(|it| text(&it["expr"]).to_owned())
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/dashboards/catalog-service.json")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboards_ask_for_what_the_service_tells() {
    let metrics = metrics().await;
    let rules = rules();
    let recorded: BTreeSet<_> = rules
        .iter()
        .filter_map(|rule| rule["record"].as_str())
        .collect();
    let queries = rules.iter().map(|rule| text(&rule["expr"]).to_owned());
    let mut used = 0;
    for query in queries.chain(dashboard_queries(&dashboard())) {
        for (name, labels) in selectors(&query) {
            if name.contains(':') {
                assert!(
                    recorded.contains(name.as_str()),
                    "{name} is not recorded: {query}"
                );
                continue;
            }
            let known = metrics
                .get(&name)
                .unwrap_or_else(|| panic!("the service has no {name}: {query}"));
            let own = labels.iter().filter(|it| !ADDED.contains(&it.as_str()));
            for label in own {
                assert!(
                    known.is_empty() || known.contains(label),
                    "{name} has no {label}: {query}"
                );
            }
            used += 1;
        }
    }
    assert!(used > 60, "{used}");
}

#[test]
fn every_alert_says_what_to_do() {
    let alerts: Vec<_> = rules()
        .into_iter()
        .filter(|rule| rule["alert"].is_string())
        .collect();
    assert!(alerts.len() > 15);
    let tested: String = ["availability", "latency", "parts"]
        .map(|name| read(format!("deploy/prometheus/tests/{name}.yml")))
        .concat();
    for alert in alerts {
        let name = text(&alert["alert"]);
        assert!(
            ["page", "ticket"].contains(&text(&alert["labels"]["severity"])),
            "{name}"
        );
        let (page, heading) = text(&alert["annotations"]["runbook"])
            .split_once('#')
            .expect("a heading");
        let headings: Vec<_> = read(page)
            .lines()
            .filter_map(|line| line.strip_prefix("## ").map(crate::documents::anchor))
            .collect();
        assert!(
            headings.iter().any(|it| it == heading),
            "{name}: {page}#{heading}"
        );
        assert!(
            tested.contains(&format!("alertname: {name}\n")),
            "{name} has no test"
        );
    }
}

#[test]
fn prometheus_asks_where_the_service_tells() {
    let prometheus = &documents("deploy/prometheus/prometheus.yml")[0];
    let addresses = compose::addresses();
    let mut asked = BTreeSet::new();
    for scrape in list(&prometheus["scrape_configs"]) {
        let name = text(&scrape["job_name"]);
        for target in list(&scrape["dns_sd_configs"]) {
            let host = text(&target["names"][0]);
            let address = format!("{host}:{}", target["port"]);
            assert!(host == "kong" || addresses.contains(&address), "{address}");
        }
        asked.insert(name);
    }
    // The name that the rules ask for.
    assert!(asked.contains(SOURCE));
    // The same in Kubernetes: the label that becomes the name.
    let resources = resources("deploy/kubernetes");
    let template = &only(&resources, "Deployment")["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["app"], SOURCE);
    let kubernetes = read("deploy/prometheus/kubernetes.yml");
    assert!(kubernetes.contains("__meta_kubernetes_pod_label_app]\n        target_label: job\n"));
}

#[test]
fn the_dashboard_asks_a_source_that_is_provisioned() {
    let sources =
        &documents("deploy/grafana/provisioning/datasources/prometheus.yml")[0]["datasources"];
    let sources: BTreeSet<_> = list(sources).iter().map(|it| text(&it["uid"])).collect();
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        assert!(
            ids.insert(panel["id"].as_u64().expect("a number")),
            "{panel}"
        );
        for target in list(&panel["targets"]) {
            for asked in [panel, target] {
                assert!(sources.contains(text(&asked["datasource"]["uid"])));
            }
        }
    }
}
