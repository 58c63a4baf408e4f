//! Logs, one JSON line an event or text for people; and [`metrics`].

pub mod metrics;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;

/// Begins to log to standard error.
pub fn init(level: Level, format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(level))
        .with_writer(std::io::stderr);
    // A second call, as tests make it, finds the first one's subscriber and changes nothing.
    let _ = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
    };
}
