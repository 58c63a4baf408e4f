//! What a user of the transcoder has in its build script.

fn main() -> Result<(), transcode_build::Error> {
    let contract = transcode_build::configure().root("proto");
    println!("cargo:rerun-if-env-changed=CONFORMANCE_PROTOS");
    let suite = std::env::var_os("CONFORMANCE_PROTOS");
    match suite.filter(|_| std::env::var_os("CARGO_FEATURE_CONFORMANCE").is_some()) {
        Some(folder) => contract.root(folder).omit_defaults().compile(),
        None => contract.compile(),
    }
}
