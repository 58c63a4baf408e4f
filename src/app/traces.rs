//! Where spans go, and that those which wait are sent at the end.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::system::SystemEnvironment;
use crate::telemetry;
use crate::telemetry::trace::{Exporter, Tracer, collector};

/// Longest time the last spans get when the service stops.
const FLUSH: Duration = Duration::from_secs(1);

/// The tracer, and what sends its spans.
pub(super) struct Traces {
    pub(super) tracer: Tracer,
    exporter: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Traces {
    /// Sends spans where the configuration says, if it says so.
    pub(super) fn start(config: &Config) -> Self {
        let Some(endpoint) = &config.trace.endpoint else {
            return Self {
                tracer: Tracer::off(SystemEnvironment),
                exporter: None,
            };
        };
        let url = collector(endpoint);
        if url.port_or_known_default() != endpoint.port_or_known_default() {
            tracing::info!(%endpoint, %url, "Jaeger's old collector stands for its OTLP receiver");
        }
        let (tracer, spans) = Tracer::on(SystemEnvironment, config.trace.sample_ratio);
        let exporter = Exporter::new(spans, url, &telemetry::instance());
        let (stop, stopped) = oneshot::channel::<()>();
        let run = exporter.run(async move {
            // A sender that is gone says the same.
            let _ = stopped.await;
        });
        Self {
            tracer,
            exporter: Some((stop, tokio::spawn(run))),
        }
    }

    /// Sends the spans that wait, and ends.
    pub(super) async fn stop(self) {
        if let Some((stop, exporter)) = self.exporter {
            // One that has ended already needs no word.
            let _ = stop.send(());
            if tokio::time::timeout(FLUSH, exporter).await.is_err() {
                tracing::info!("stopping: the last spans were not sent");
            }
        }
    }
}
