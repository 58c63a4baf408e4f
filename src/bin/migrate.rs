//! Applies and rolls back database migrations; see `migrate -help`.

use std::process::ExitCode;

use catalog_service::migrate::cli;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    cli::run(arguments, |name| std::env::var(name).ok()).await
}
