//! Serves what client libraries are tried with, on a free port, and tells its URL. `scripts/test-compliance.sh` runs it.

use std::error::Error;

use transcode::rest::{Settings, Transcoder};
use transcode_tests::compliance;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rest = Transcoder::new(Settings::default(), compliance::services());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, axum::Router::new().fallback_service(rest)).await?;
    Ok(())
}
