//! Kong's declarative configuration.

use catalog_service::pb::DESCRIPTOR_SET;
use prost::Message as _;

use super::*;

fn kong() -> Value {
    documents("deploy/kong/kong.yml").remove(0)
}

pub(super) fn probes() -> BTreeSet<String> {
    let kong = kong();
    let upstreams = list(&kong["upstreams"]).iter();
    let paths = upstreams.filter_map(|it| it["healthchecks"]["active"]["http_path"].as_str());
    paths.map(str::to_owned).collect()
}

fn routes(kong: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let services = list(&kong["services"]).iter();
    services.flat_map(|service| list(&service["routes"]).iter().map(move |it| (service, it)))
}

/// What is let through by HTTP, but for gRPC-Web.
pub(super) fn public_paths() -> Vec<String> {
    let kong = kong();
    let paths = routes(&kong)
        .flat_map(|(_, route)| list(&route["paths"]))
        .map(text);
    paths
        .filter(|path| !path.ends_with('/'))
        .map(str::to_owned)
        .collect()
}

/// Panics unless all keys are those of Kong 3.
fn check_keys(value: &Value, known: &[&str]) {
    for key in object(value).keys() {
        assert!(known.contains(&key.as_str()), "Kong knows no {key}");
    }
}

#[test]
fn kong_can_read_it() {
    let kong = kong();
    check_keys(
        &kong,
        &["_format_version", "upstreams", "services", "plugins"],
    );
    assert_eq!(kong["_format_version"], "3.0");
    let mut names = BTreeSet::new();
    for upstream in list(&kong["upstreams"]) {
        check_keys(upstream, &["name", "algorithm", "targets", "healthchecks"]);
        let checks = &upstream["healthchecks"];
        check_keys(checks, &["active", "passive"]);
        for kind in ["active", "passive"]
            .map(|kind| &checks[kind])
            .into_iter()
            .filter(|it| it.is_object())
        {
            check_keys(
                kind,
                &["type", "http_path", "timeout", "healthy", "unhealthy"],
            );
            let type_ = text(&kind["type"]);
            assert!(["http", "https", "tcp", "grpc", "grpcs"].contains(&type_));
            // Kong refuses those of HTTP with the other types.
            let http = type_.starts_with("http");
            for state in ["healthy", "unhealthy"]
                .map(|it| &kind[it])
                .into_iter()
                .filter(|it| it.is_object())
            {
                let known = [
                    "interval",
                    "http_statuses",
                    "successes",
                    "http_failures",
                    "tcp_failures",
                    "timeouts",
                ];
                check_keys(state, &known);
                let of_http = state.get("http_statuses").or(state.get("http_failures"));
                assert!(http || of_http.is_none(), "{upstream}");
            }
        }
        names.insert(text(&upstream["name"]));
    }
    for service in list(&kong["services"]) {
        let known = [
            "name",
            "protocol",
            "host",
            "port",
            "connect_timeout",
            "write_timeout",
            "read_timeout",
            "retries",
            "routes",
        ];
        check_keys(service, &known);
        assert!(
            names.contains(text(&service["host"])),
            "{}",
            service["host"]
        );
    }
    let mut names = BTreeSet::new();
    for (service, route) in routes(&kong) {
        let known = [
            "name",
            "protocols",
            "methods",
            "paths",
            "strip_path",
            "preserve_host",
            "request_buffering",
            "response_buffering",
        ];
        check_keys(route, &known);
        assert!(names.insert(text(&route["name"])));
        // Kong takes away what it matched unless it is told not to; and gRPC goes to gRPC.
        assert_eq!(route["strip_path"], false);
        let grpc = list(&route["protocols"])
            .iter()
            .all(|it| text(it).starts_with("grpc"));
        assert_eq!(grpc, service["protocol"] == "grpc");
        // Routes of gRPC have no methods of HTTP.
        assert!(!grpc || route["methods"].is_null());
    }
    for plugin in list(&kong["plugins"]) {
        check_keys(plugin, &["name", "config"]);
    }
}

#[test]
fn kong_finds_the_service() {
    let kong = kong();
    let addresses = compose::addresses();
    for (service, _) in routes(&kong) {
        let mut upstreams = list(&kong["upstreams"]).iter();
        let upstream = upstreams.find(|it| it["name"] == service["host"]);
        for target in list(&upstream.expect("an upstream")["targets"]) {
            let target = text(&target["target"]);
            assert!(addresses.contains(target), "{target}");
            let port = target.rsplit_once(':').expect("a port").1;
            assert_eq!(service["port"].to_string(), port);
        }
    }
    // The RPCs of all services of the contract come through, and no others but those that are in common use.
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("descriptors");
    let known: BTreeSet<_> = set
        .file
        .iter()
        .flat_map(|file| {
            file.service
                .iter()
                .map(move |it| format!("/{}.{}/", file.package(), it.name()))
        })
        .collect();
    let paths = |grpc: bool| -> BTreeSet<String> {
        let paths = routes(&kong).filter(|(service, _)| (service["protocol"] == "grpc") == grpc);
        let paths = paths.flat_map(|(_, route)| list(&route["paths"])).map(text);
        paths
            .filter(|path| path.ends_with('/'))
            .map(str::to_owned)
            .collect()
    };
    let common = [
        "/grpc.health.v1.Health/",
        "/grpc.reflection.v1.ServerReflection/",
    ];
    let expected: BTreeSet<_> = known
        .iter()
        .cloned()
        .chain(common.map(str::to_owned))
        .collect();
    assert_eq!(paths(true), expected);
    assert_eq!(paths(false), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_request_is_the_one_of_the_gateway() {
    let kong = kong();
    let mut plugins = list(&kong["plugins"]).iter();
    let plugin = plugins.find(|plugin| plugin["name"] == "correlation-id");
    let header = text(&plugin.expect("the plugin")["config"]["header_name"]);
    let id = "3f0c1e9a-5a35-4b1f-8f4e-4f4f5d2c1b0a#1".replace('#', "-");
    let service = Service::start().await;
    let request = http::Request::get("/v1/catalog/products").header(header, &id);
    let answer = service.send(request, "").await;
    assert_eq!(answer.headers()[header], id);
    assert_eq!(answer.body()["meta"]["requestId"], id);
}
