//! What a user of the transcoder has in its build script.

use std::env::var_os;

fn main() -> Result<(), transcode_build::Error> {
    let mut contract = transcode_build::configure().root("proto");
    for (feature, folder) in [
        ("CARGO_FEATURE_CONFORMANCE", "CONFORMANCE_PROTOS"),
        (
            "CARGO_FEATURE_CONNECT_CONFORMANCE",
            "CONNECT_CONFORMANCE_PROTOS",
        ),
    ] {
        println!("cargo:rerun-if-env-changed={folder}");
        // Features can be on without a suite, as when all are.
        if let (Some(_), Some(folder)) = (var_os(feature), var_os(folder)) {
            contract = contract.root(folder).omit_defaults();
        }
    }
    contract.compile()
}
