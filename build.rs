//! Makes of `proto/` everything that can be derived from it.

fn main() -> Result<(), transcode_build::Error> {
    transcode_build::configure().root("proto").compile()
}
