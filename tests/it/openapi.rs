//! The committed API description is that of the contract.

use catalog_service::pb::{OPENAPI_JSON, OPENAPI_YAML};

#[test]
fn the_committed_description_is_not_stale() {
    for (file, generated) in [
        ("openapi/openapi.json", OPENAPI_JSON),
        ("openapi/openapi.yaml", OPENAPI_YAML),
    ] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(&path).expect(file);
        assert!(
            committed == generated,
            "{file} is stale: run `make openapi`"
        );
    }
}

#[test]
fn both_notations_say_the_same() {
    let json: serde_json::Value = serde_json::from_str(OPENAPI_JSON).expect("JSON");
    let yaml: serde_json::Value = serde_yaml_ng::from_str(OPENAPI_YAML).expect("YAML");
    assert_eq!(json, yaml);
}
