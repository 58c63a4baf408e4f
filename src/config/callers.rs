//! Who may call, as it is written: the permission matrix of services, and where an issuer publishes its keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use url::Url;

use super::parse::{Input, Parsed, http_url, readable_file, refusal};
use super::show::Show;
use super::suggest;
use crate::pb::DESCRIPTOR_SET;

/// Where the keys of tokens are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Url),
}

impl Show for Jwks {
    fn show(&self) -> Value {
        match self {
            Self::File(path) => path.show(),
            Self::Url(url) => url.show(),
        }
    }
}

/// A file or a URL.
pub(super) fn jwks(input: &Input) -> Parsed<Jwks> {
    let is_url = input.scalar().is_some_and(|text| text.contains("://"));
    if is_url {
        http_url(input).map(Jwks::Url)
    } else {
        readable_file(input).map(Jwks::File)
    }
}

/// Services with what they may call: names of RPCs that there are, or of services with `/*` for all their RPCs. In an
/// environment variable as YAML, which JSON is too.
pub(super) fn permissions(input: &Input) -> Parsed<BTreeMap<String, Vec<String>>> {
    const ALLOWED: &str = "services with lists of RPCs, such as {order-service: [catalog.v1.CatalogService/GetProduct]}";
    let lists = match input {
        Input::Lists(lists) => lists.iter().cloned().collect(),
        _ => (input.scalar())
            .and_then(|text| serde_yaml_ng::from_str::<BTreeMap<String, Vec<String>>>(text).ok())
            .ok_or_else(|| refusal(ALLOWED))?,
    };
    if lists.keys().any(|name| name.trim().is_empty()) {
        return Err(refusal(ALLOWED));
    }
    let known = patterns();
    let mut written = lists.values().flatten();
    match written.find(|pattern| !known.contains(*pattern)) {
        None => Ok(lists),
        Some(unknown) => {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = match suggest::nearest(unknown, &names) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("there are {}", names.join(", ")),
            };
            Err(refusal(format!("{ALLOWED}; there is no {unknown}: {hint}")))
        }
    }
}

/// Everything that a list may name, as the contract has it.
fn patterns() -> Vec<String> {
    let mut patterns = Vec::new();
    // What is built in can be read; a test does.
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap_or_default();
    for file in &set.file {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            let rpcs = service.method.iter();
            patterns.extend(rpcs.map(|rpc| format!("{service_name}/{}", rpc.name())));
            patterns.push(format!("{service_name}/*"));
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    #[test]
    fn every_rpc_of_the_contract_can_be_named() {
        let known = patterns();
        for method in crate::pb::METHODS.iter().copied().flatten() {
            assert!(
                known.contains(&method.path[1..].to_owned()),
                "{}",
                method.path
            );
        }
        assert!(known.contains(&"catalog.v1.CatalogService/*".to_owned()));
    }

    #[test]
    fn permissions_are_a_map_of_lists() {
        let get = "catalog.v1.CatalogService/GetProduct";
        let list = vec![get.to_owned()];
        let expected = BTreeMap::from([("order-service".to_owned(), list.clone())]);
        let written = Input::Lists(vec![("order-service".to_owned(), list)]);
        assert_eq!(permissions(&written).as_ref(), Ok(&expected));
        let yaml = text(&format!("{{order-service: [{get}]}}"));
        assert_eq!(permissions(&yaml).as_ref(), Ok(&expected));
        let json = text(&format!(r#"{{"order-service": ["{get}"]}}"#));
        assert_eq!(permissions(&json), Ok(expected));
        for bad in [
            "order-service",
            "[order-service]",
            "{order-service: 7}",
            "{'': []}",
        ] {
            assert!(permissions(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_rpc_that_is_not_there_is_told_with_what_was_meant() {
        let refused = |rpc: &str| {
            let refused = permissions(&text(&format!("{{a: ['{rpc}']}}")));
            refused.unwrap_err().allowed
        };
        for (written, meant) in [
            (
                "catalog.v1.CatalogService/GetProdukt",
                "catalog.v1.CatalogService/GetProduct",
            ),
            (
                "/catalog.v1.CatalogService/GetProduct",
                "catalog.v1.CatalogService/GetProduct",
            ),
            (
                "catalog.v1.CatalogServices/*",
                "catalog.v1.CatalogService/*",
            ),
        ] {
            let hint = format!("there is no {written}: did you mean {meant}?");
            assert!(refused(written).ends_with(&hint), "{}", refused(written));
        }
        assert!(refused("*").contains("there are "));
    }
}
