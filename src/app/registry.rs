//! This instance in Consul, where Consul is configured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{BadConfiguration, Error};
use crate::auth::{Lifetimes, Permissions, Services};
use crate::config::{self, Config, Scheme};
use crate::lifecycle::{NAME, Readiness, VERSION};
use crate::registry::registration::{SHORTEST_REMOVAL, Settings, Watch};
use crate::registry::{Consul, Registration, consul};
use crate::system::SystemEnvironment;
use crate::telemetry;
use crate::telemetry::metrics::Metrics;
use crate::transport::ConsulProbe;

/// Longest wait for the end of the registration, which bounds itself.
const STOP: Duration = Duration::from_secs(2);

/// The task that keeps the instance registered.
pub(super) struct Registry {
    probe: ConsulProbe,
    task: JoinHandle<()>,
}

impl Registry {
    /// Registers an instance that listens for HTTP and gRPC at these addresses; none where no Consul is configured.
    pub(super) fn start(
        config: &Config,
        [http, grpc]: [SocketAddr; 2],
        readiness: &Readiness,
        metrics: &Metrics,
    ) -> Result<Option<Self>, Error> {
        let Some(consul) = client(&config.consul)? else {
            return Ok(None);
        };
        let registration = Registration::new(
            consul,
            settings(config, http, grpc),
            SystemEnvironment,
            readiness.clone(),
        );
        let probe = ConsulProbe(registration.status());
        metrics.add(probe.clone());
        Ok(Some(Self {
            probe,
            task: tokio::spawn(registration.run()),
        }))
    }

    /// Looks at how it stands.
    pub(super) fn probe(&self) -> ConsulProbe {
        self.probe.clone()
    }

    /// Waits for the registration to end, as it does when the service stops.
    pub(super) async fn stop(self) {
        // One that panicked has ended too.
        let _ = tokio::time::timeout(STOP, self.task).await;
    }
}

/// A client of the Consul that is configured.
///
/// # Errors
/// When it can't be called as it is configured.
pub fn client(config: &config::Consul) -> Result<Option<Consul>, Error> {
    let Some(address) = &config.address else {
        return Ok(None);
    };
    let settings = consul::Settings {
        address: address.clone(),
        tls: config.scheme == Scheme::Https,
        ca_file: config.ca_file.clone(),
        datacenter: config.datacenter.clone(),
        token: (config.token.as_ref()).map(|token| token.expose().to_owned()),
    };
    match Consul::new(&settings) {
        Ok(consul) => Ok(Some(consul)),
        Err(error) => Err(BadConfiguration(format!("consul: {error}")).into()),
    }
}

/// Whether the service would start with what is said of Consul.
///
/// # Errors
/// When it would not.
pub fn check(config: &Config) -> Result<(), Error> {
    client(&config.consul)?;
    services(config).map(drop)
}

/// Who checks the Consul tokens of services, where there are services that may call.
pub(super) fn services(config: &Config) -> Result<Option<Arc<Services<SystemEnvironment>>>, Error> {
    if config.auth.services.is_empty() {
        return Ok(None);
    }
    let consul = client(&config.consul)?.ok_or_else(|| {
        let unset = "auth.services is set, and consul.address (CONSUL_ADDRESS) is not";
        BadConfiguration(unset.to_owned())
    })?;
    let permissions = Permissions::new(&config.auth.services);
    let lifetimes = Lifetimes {
        usual: config.auth.service_token_ttl,
        away: config.auth.service_token_grace,
    };
    let services = Services::new(consul, SystemEnvironment, permissions, lifetimes);
    Ok(Some(Arc::new(services)))
}

fn settings(config: &Config, http: SocketAddr, grpc: SocketAddr) -> Settings {
    let tls = config.server.tls.scheme() == "https";
    let config = &config.consul;
    let remove_after = config.deregister_critical_service_after_duration;
    let remove_after = (config.deregister_critical_service_after).then_some(remove_after);
    if let Some(after) = remove_after
        && config.health_check
        && after < SHORTEST_REMOVAL
    {
        tracing::info!(
            "consul.deregister_critical_service_after_duration is {after:?}; Consul takes at least {SHORTEST_REMOVAL:?}"
        );
    }
    Settings {
        id: format!("{NAME}-{}-{}", telemetry::instance(), http.port()),
        name: NAME,
        version: VERSION,
        http,
        grpc,
        tls,
        advertise: config.advertise_address.clone(),
        interval: config.health_check_interval,
        watch: config.health_check.then_some(Watch {
            timeout: config.health_check_timeout,
            remove_after,
        }),
    }
}
