//! Makes of `proto/` everything that can be derived from it.

fn main() -> Result<(), transcode_build::Error> {
    // They are built into the binary, and a new one is no change of a source file.
    println!("cargo:rerun-if-changed=migrations");
    transcode_build::configure().root("proto").compile()
}
