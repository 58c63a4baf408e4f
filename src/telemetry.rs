//! Logs, one JSON line an event or text for people; and [`metrics`].

mod json;
pub mod metrics;
pub mod query;
pub mod request;
pub mod trace;
mod writer;

use std::time::Duration;

use tokio::sync::watch;
use tonic::Code;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use transcode::ReasonTable;

use crate::config::LogFormat;
use crate::registry::Status;
use json::{JsonLayer, Line};
use request::RequestRecord;
use writer::LogWriter;

/// The name of this instance: that of its host, which in a cluster is its pod.
pub fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    host.trim().to_owned()
}

/// Writes a line for each request that was answered. Clones write to the same place.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// None where lines are for people, or for nobody.
    writer: Option<LogWriter>,
    /// How it stands between this instance and Consul, where it is to be there.
    consul: Option<watch::Receiver<Status>>,
}

/// What a line says of an answered request, beside its record.
#[derive(Debug)]
pub struct Access<'a> {
    /// How it came: `rest`, `grpc`, `grpc-web` or `connect`.
    pub protocol: &'static str,
    /// Its HTTP method.
    pub method: &'a str,
    /// The path of its URL.
    pub path: &'a str,
    /// The HTTP status of its answer.
    pub status: u16,
    /// The gRPC status, of a call.
    pub grpc_status: Option<Code>,
    /// Until the answer began; until it ended, of a call by gRPC or Connect.
    pub duration: Duration,
}

/// Begins to log to standard error.
pub fn init(level: Level, format: LogFormat) -> AccessLog {
    let filter = LevelFilter::from_level(level);
    let registry = tracing_subscriber::registry().with(filter);
    // A second call, as tests make it, finds the first one's subscriber and changes nothing.
    match format {
        LogFormat::Json => {
            let writer = LogWriter::start();
            log_panics(writer.clone());
            let _ = registry.with(JsonLayer(writer.clone())).try_init();
            AccessLog::new((Level::INFO <= level).then_some(writer))
        }
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
            let _ = registry.with(text).try_init();
            AccessLog::new(None)
        }
    }
}

/// Writes panics as lines, each before its thread unwinds.
fn log_panics(writer: LogWriter) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map_or(("", 0), |at| (at.file(), at.line()));
        let request = RequestRecord::current();
        let mut bytes = Vec::new();
        let mut line = Line::begin(&mut bytes, Level::ERROR, request.as_deref(), place);
        line.message("a panic");
        line.data("panic", panic.payload_as_str().unwrap_or_default());
        if let Some(request) = &request {
            line.request(request);
        }
        line.end();
        writer.at_once(bytes);
    }));
}

impl AccessLog {
    const fn new(writer: Option<LogWriter>) -> Self {
        let consul = None;
        Self { writer, consul }
    }

    /// A log whose lines name the session that this instance holds in Consul.
    #[must_use]
    pub fn with_consul(self, consul: Option<watch::Receiver<Status>>) -> Self {
        Self { consul, ..self }
    }

    /// Writes a line.
    pub fn log(&self, request: &RequestRecord, access: &Access<'_>) {
        // For people, or for nobody.
        let Some(writer) = &self.writer else {
            let Access {
                protocol,
                method,
                path,
                status,
                grpc_status,
                duration,
            } = access;
            let (id, grpc_status) = (&request.context.request_id, grpc_status.map(i32::from));
            tracing::info!(
                protocol,
                method,
                path,
                status,
                grpc_status,
                ?duration,
                id,
                "request"
            );
            return;
        };
        writer.line(false, |bytes| {
            let caller = (file!(), line!());
            let mut line = Line::begin(bytes, Level::INFO, Some(request), caller);
            line.message("request");
            line.request(request);
            line.data("protocol", access.protocol);
            line.data("method", access.method);
            line.data("path", access.path);
            line.number("status", access.status.into());
            if let Some(code) = access.grpc_status {
                line.data("grpcStatus", ReasonTable::CANONICAL.name(code));
            }
            line.duration("duration", access.duration);
            if let Some(consul) = &self.consul
                && let Some(session) = &consul.borrow().session
            {
                line.data("consul.session", session);
            }
            line.end();
        });
    }

    /// Writes the lines that wait, before the process ends.
    pub fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush();
        }
    }
}
