//! What a user of the transcoder has in its build script.

fn main() -> Result<(), transcode_build::Error> {
    transcode_build::configure().root("proto").compile()
}
