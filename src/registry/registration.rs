//! This instance in Consul: registered, kept alive, registered again when Consul forgot it, and removed at the end.
//!
//! Two checks say how it is. Consul calls `/ready`, so that nobody is sent to an instance that can't answer; and the
//! instance calls Consul, so that one that died is removed after a while. Only the second removes: a service whose
//! database is away stays registered, and is found again as soon as it is ready.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::consul::{Check, Consul, ConsulError, Service, TaggedAddress, go_duration, host_port};
use crate::domain::Environment;
use crate::lifecycle::{Readiness, State};

/// Longest time that leaving Consul may take.
const LEAVE: Duration = Duration::from_secs(1);

/// The pause after the first failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause before an instance that was forgotten comes back: all of them were forgotten at the same time.
const SPREAD: Duration = Duration::from_secs(4);

/// The shortest and the longest life of a session that Consul allows.
const SESSION_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_hours(24);

/// The shortest time after which Consul removes a service that is critical.
pub const SHORTEST_REMOVAL: Duration = Duration::from_mins(1);

/// What is registered, and how it is watched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unique at the agent, and the same after a restart.
    pub id: String,
    /// What others look for.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// Where the service listens.
    pub http: SocketAddr,
    /// The same of gRPC.
    pub grpc: SocketAddr,
    /// Whether both speak TLS.
    pub tls: bool,
    /// The host that others dial; none for the address of this host that leads to Consul.
    pub advertise: Option<String>,
    /// How often the instance calls Consul, and Consul the instance.
    pub interval: Duration,
    /// How Consul watches; none for not at all.
    pub watch: Option<Watch>,
}

/// How Consul watches an instance.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// How long an answer may take.
    pub timeout: Duration,
    /// After how long a dead instance is removed; none for never.
    pub remove_after: Option<Duration>,
}

/// How it stands between this instance and Consul.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether Consul has it, as far as is known.
    pub registered: bool,
    /// The session it holds.
    pub session: Option<Arc<str>>,
}

impl Status {
    /// Whether all is as it should be.
    pub const fn is_healthy(&self) -> bool {
        self.registered && self.session.is_some()
    }
}

/// Keeps this instance in Consul.
#[derive(Debug)]
pub struct Registration<E> {
    consul: Consul,
    settings: Settings,
    environment: E,
    readiness: Readiness,
    status: watch::Sender<Status>,
    session: Option<Session>,
    /// What was last logged to be wrong.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Session {
    id: Arc<str>,
    renewed: Instant,
}

impl<E: Environment> Registration<E> {
    /// Nothing is registered yet.
    pub fn new(consul: Consul, settings: Settings, environment: E, readiness: Readiness) -> Self {
        Self {
            consul,
            settings,
            environment,
            readiness,
            status: watch::Sender::default(),
            session: None,
            trouble: None,
        }
    }

    /// Follows how it stands.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Registers, and keeps it so until the service stops; then leaves.
    pub async fn run(mut self) {
        let readiness = self.readiness.clone();
        let mut states = readiness.subscribe();
        tokio::select! {
            // While requests are still taken: those who look now are not sent here any more.
            _ = states.wait_for(|state| *state == State::Stopping) => {}
            () = self.stay() => {}
        }
        if timeout(LEAVE, self.leave()).await.is_err() {
            tracing::warn!(
                "stopping: Consul did not answer in time, and removes this instance later"
            );
        }
    }

    async fn stay(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.register().await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    let lost = self.live().await;
                    self.registered(false);
                    if lost.is_not_found() {
                        tracing::warn!("Consul has forgotten this instance, which registers again");
                        sleep(self.spread(SPREAD)).await;
                        continue;
                    }
                    self.failed(&lost);
                }
                Err(error) => self.failed(&error),
            }
            sleep(pause + self.spread(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn register(&mut self) -> Result<(), ConsulError> {
        let ready = self.readiness.state() == State::Ready;
        let service = service(&self.settings, &self.host().await, ready);
        self.consul.register(&service).await?;
        if self.trouble.take().is_some() || !self.status.borrow().registered {
            tracing::info!(
                id = service.id,
                address = service.address,
                "registered in Consul"
            );
        }
        self.registered(true);
        Ok(())
    }

    /// Calls Consul every now and then, until it does not answer or does not know this instance.
    async fn live(&mut self) -> ConsulError {
        loop {
            let known = match self.settings.watch {
                Some(_) => self.consul.pass(&heartbeat(&self.settings.id)).await,
                None => self.consul.has(&self.settings.id).await,
            };
            if let Err(error) = known {
                return error;
            }
            self.keep_session().await;
            sleep(self.settings.interval).await;
        }
    }

    /// Renews the session, or opens one. Without one the instance is registered all the same.
    async fn keep_session(&mut self) {
        let ttl = self.session_ttl();
        if let Some(session) = &mut self.session {
            match self.consul.renew_session(&session.id).await {
                Ok(()) => {
                    session.renewed = Instant::now();
                    return;
                }
                Err(error) if error.is_not_found() => self.session = None,
                Err(error) => {
                    self.failed(&error);
                    self.forget_old_session();
                    return;
                }
            }
        }
        match self.consul.open_session(&self.settings.id, ttl).await {
            Ok(id) => {
                let renewed = Instant::now();
                self.session = Some(Session {
                    id: id.into(),
                    renewed,
                });
                if self.trouble.take().is_some() {
                    tracing::info!("Consul has opened a session");
                }
            }
            Err(error) => self.failed(&error),
        }
        self.show_session();
    }

    fn session_ttl(&self) -> Duration {
        (2 * self.settings.interval).clamp(*SESSION_TTL.start(), *SESSION_TTL.end())
    }

    /// A session that was not renewed for its whole life is none any more.
    fn forget_old_session(&mut self) {
        let ttl = self.session_ttl();
        self.session
            .take_if(|session| session.renewed.elapsed() >= ttl);
        self.show_session();
    }

    fn show_session(&self) {
        let session = self.session.as_ref().map(|session| session.id.clone());
        self.status.send_if_modified(|status| {
            let changed = status.session != session;
            status.session = session;
            changed
        });
    }

    fn registered(&self, registered: bool) {
        self.status.send_if_modified(|status| {
            let changed = status.registered != registered;
            status.registered = registered;
            changed
        });
    }

    /// Logs what is wrong, unless it was wrong before.
    fn failed(&mut self, error: &ConsulError) {
        self.forget_old_session();
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(
                error = text,
                "this instance is not in Consul as it should be"
            );
            self.trouble = Some(text);
        }
    }

    async fn leave(&mut self) {
        let left = self.consul.deregister(&self.settings.id).await;
        if let Some(session) = self.session.take() {
            // One that is not ended ends by itself.
            let _ = self.consul.end_session(&session.id).await;
        }
        self.registered(false);
        self.show_session();
        match left {
            Ok(()) => tracing::info!("stopping: removed from Consul"),
            // Forgotten, or never registered.
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                tracing::warn!(%error, "stopping: not removed from Consul, which does so later");
            }
        }
    }

    /// A time up to the given one.
    fn spread(&self, most: Duration) -> Duration {
        // The last bits of an id are random.
        let [.., high, low] = *self.environment.new_uuid().as_bytes();
        most * u32::from(u16::from_be_bytes([high, low])) / u32::from(u16::MAX)
    }

    /// The host that others dial.
    async fn host(&self) -> String {
        if let Some(host) = &self.settings.advertise {
            return host.clone();
        }
        let listening = self.settings.http.ip();
        if !listening.is_unspecified() {
            return listening.to_string();
        }
        let to_consul = route(self.consul.address()).await;
        // An agent on this host is reached from here only. Others come by the way that leads out; nothing is sent there.
        let found = match to_consul.filter(|ip| !ip.is_loopback()) {
            Some(ip) => Some(ip),
            None => route("192.0.2.1:9").await.or(to_consul),
        };
        found.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string()
    }
}

/// The address of this host on the way to another.
async fn route(to: &str) -> Option<IpAddr> {
    for address in tokio::net::lookup_host(to).await.ok()? {
        let any: SocketAddr = if address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        if let Ok(socket) = UdpSocket::bind(any).await
            && socket.connect(address).await.is_ok()
            && let Ok(local) = socket.local_addr()
        {
            return Some(local.ip());
        }
    }
    None
}

/// The check by which an instance says that it lives, named as go-kratos names it.
fn heartbeat(id: &str) -> String {
    format!("service:{id}")
}

/// What is registered. Endpoints and version are where clients of go-kratos look for them.
fn service(settings: &Settings, host: &str, ready: bool) -> Service {
    let schemes = if settings.tls {
        ["https", "grpcs"]
    } else {
        ["http", "grpc"]
    };
    let endpoint = |scheme: &str, port| TaggedAddress {
        address: format!("{scheme}://{}", host_port(host, port)),
        port,
    };
    let (http, grpc) = (settings.http.port(), settings.grpc.port());
    let meta = [
        ("version", settings.version.to_owned()),
        ("service_type", "application".to_owned()),
        ("service_role", "business-logic".to_owned()),
        ("http_port", http.to_string()),
        ("grpc_port", grpc.to_string()),
    ];
    let interval = settings.interval;
    let checks = settings.watch.map(|watch| {
        let ready = Check {
            id: format!("{}:ready", settings.id),
            name: "Requests can be answered".to_owned(),
            status: if ready { "passing" } else { "critical" },
            http: Some(format!("{}://{}/ready", schemes[0], host_port(host, http))),
            // It is called by its address, which the certificate need not name.
            any_certificate: settings.tls,
            interval: Some(go_duration(interval)),
            timeout: Some(go_duration(watch.timeout)),
            ..Check::default()
        };
        let alive = Check {
            id: heartbeat(&settings.id),
            name: "The process lives".to_owned(),
            status: "passing",
            ttl: Some(go_duration(2 * interval)),
            deregister_critical_service_after: watch
                .remove_after
                .map(|after| go_duration(after.max(SHORTEST_REMOVAL))),
            ..Check::default()
        };
        vec![ready, alive]
    });
    Service {
        id: settings.id.clone(),
        name: settings.name.to_owned(),
        // Consul allows no dots in names of metadata, but anything in tags.
        tags: vec![
            format!("version={}", settings.version),
            "service.type=application".to_owned(),
            "service.role=business-logic".to_owned(),
        ],
        address: host.to_owned(),
        port: http,
        meta: Map::from_iter(meta.map(|(name, value)| (name.to_owned(), value.into()))),
        tagged_addresses: BTreeMap::from([
            (schemes[0], endpoint(schemes[0], http)),
            (schemes[1], endpoint(schemes[1], grpc)),
        ]),
        checks: checks.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(watch: Option<Watch>) -> Settings {
        Settings {
            id: "catalog-service-host-8001".to_owned(),
            name: "catalog-service",
            version: "v1.0.0",
            http: ([0, 0, 0, 0], 8001).into(),
            grpc: ([0, 0, 0, 0], 9001).into(),
            tls: false,
            advertise: None,
            interval: Duration::from_secs(10),
            watch,
        }
    }

    #[test]
    fn what_is_registered() {
        let watch = Watch {
            timeout: Duration::from_secs(3),
            remove_after: Some(Duration::from_secs(30)),
        };
        let shown = serde_json::to_value(service(&settings(Some(watch)), "10.0.0.5", false));
        let id = "catalog-service-host-8001";
        assert_eq!(
            shown.unwrap(),
            serde_json::json!({
                "ID": id,
                "Name": "catalog-service",
                "Tags": ["version=v1.0.0", "service.type=application", "service.role=business-logic"],
                "Address": "10.0.0.5",
                "Port": 8001,
                "Meta": {
                    "version": "v1.0.0", "service_type": "application", "service_role": "business-logic",
                    "http_port": "8001", "grpc_port": "9001",
                },
                "TaggedAddresses": {
                    "http": {"Address": "http://10.0.0.5:8001", "Port": 8001},
                    "grpc": {"Address": "grpc://10.0.0.5:9001", "Port": 9001},
                },
                "Checks": [
                    {
                        "CheckID": format!("{id}:ready"), "Name": "Requests can be answered", "Status": "critical",
                        "HTTP": "http://10.0.0.5:8001/ready", "Interval": "10000ms", "Timeout": "3000ms",
                    },
                    {
                        "CheckID": format!("service:{id}"), "Name": "The process lives", "Status": "passing",
                        "TTL": "20000ms", "DeregisterCriticalServiceAfter": "60000ms",
                    },
                ],
            })
        );
    }

    #[test]
    fn an_ipv6_host_has_brackets_in_urls_only() {
        let service = service(&settings(None), "fd00::5", true);
        assert_eq!(service.address, "fd00::5");
        assert_eq!(
            service.tagged_addresses["grpc"].address,
            "grpc://[fd00::5]:9001"
        );
        assert!(service.checks.is_empty());
    }

    #[test]
    fn with_tls_everything_says_so() {
        let watch = Watch {
            timeout: Duration::from_secs(3),
            remove_after: None,
        };
        let settings = Settings {
            tls: true,
            ..settings(Some(watch))
        };
        let shown = serde_json::to_value(service(&settings, "10.0.0.5", true)).unwrap();
        let addresses = shown["TaggedAddresses"].as_object().unwrap();
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses["https"]["Address"], "https://10.0.0.5:8001");
        assert_eq!(addresses["grpcs"]["Address"], "grpcs://10.0.0.5:9001");
        let [ready, alive] = &shown["Checks"].as_array().unwrap()[..] else {
            panic!("{shown}");
        };
        assert_eq!(ready["HTTP"], "https://10.0.0.5:8001/ready");
        assert_eq!(ready["TLSSkipVerify"], true);
        assert!(alive.get("DeregisterCriticalServiceAfter").is_none());
    }

    #[tokio::test]
    async fn the_way_to_this_host_is_its_own() {
        let local = route("127.0.0.1:8500").await;
        assert_eq!(local, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(route("no.such.host.invalid:1").await, None);
    }
}
