//! What the two ports answer with.

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;
use tonic::Code;
use transcode::ReasonTable;
use transcode::connect;
use transcode::rest::{BoxFuture, Compression, Settings, Transcoder, WebSockets};

use super::background::Background;
use super::limits;
use super::observability::{self, Shown};
use super::stores::Stores;
use super::{Error, Parts, identity, registry};
use crate::auth::VerifiedTokens;
use crate::config::{Config, PublisherKind};
use crate::domain::Catalog;
use crate::events::subscriber::{Subscriber, dapr};
use crate::lifecycle::{Readiness, State};
use crate::pb::METHODS;
use crate::pb::catalog::v1 as pb;
use crate::pb::catalog::v1::catalog_service_server::CatalogServiceServer;
use crate::pb::identity::v1::identity_service_server::IdentityServiceServer;
use crate::pb::identity::v1::{IdentityServiceStack, identity_service};
use crate::service::CatalogHandler;
use crate::store::{PgInbox, PgOutbox};
use crate::system::SystemEnvironment;
use crate::telemetry::metrics::{Operations, Requests};
use crate::telemetry::request::RequestRecord;
use crate::transport::{
    AccessPolicy, Audited, CacheProbe, EventsProbe, FORWARDED_HEADERS, GrpcPort, GrpcServices,
    HttpApi, HttpPort, InFlight, Measured, Observer, Probes, TrustedProxies, grpc_port, http_port,
    keys_router,
};

/// Wires what the HTTP port and the gRPC port answer with.
pub(super) fn ports(
    config: &Config,
    parts: Parts,
    pool: PgPool,
    stores: Stores,
    background: &Background,
    readiness: &Readiness,
    &Shown { metrics, tracer }: &Shown<'_>,
) -> Result<(HttpPort<SystemEnvironment>, GrpcPort<SystemEnvironment>), Error> {
    let max_bytes = config.server.http.max_body_bytes;
    let roles = Arc::new(identity::roles(config)?);
    if let Some(published) = parts.verifier.published() {
        tokio::spawn(published.clone().run());
    }
    let proxies = TrustedProxies::new(config.server.trusted_proxies.clone());
    let policy = AccessPolicy {
        environment: SystemEnvironment,
        tokens: VerifiedTokens::new(parts.verifier, roles.clone()),
        services: registry::services(config)?,
        readiness: readiness.clone(),
        http_timeout: config.server.http.timeout,
        grpc_timeout: config.server.grpc.timeout,
        rate_limits: limits::rate_limits(config),
        proxies: proxies.clone(),
        in_flight: InFlight::new(config.server.max_in_flight),
        answers: limits::answers(config, &pool, readiness),
    };
    let catalog = Catalog::new(stores.products.clone(), SystemEnvironment);
    let dapr = (config.publisher() == PublisherKind::Dapr).then(|| {
        let settings = dapr::Settings {
            pubsub: config.dapr.pubsub_name.clone(),
            token: config.dapr.app_api_token.clone(),
        };
        let subscriber = Subscriber::new(stores.inventory.clone())
            .counting(background.event_counts())
            .traced(tracer.clone());
        dapr::router(
            subscriber,
            PgInbox::new(pool.clone()),
            SystemEnvironment,
            settings,
        )
    });
    let handler = CatalogHandler::new(
        catalog,
        stores.search,
        stores.inventory,
        background.feed(),
        config.features.max_products_per_request,
    );
    let rpcs = METHODS.iter().copied().flatten().copied();
    let operations = Operations::new(rpcs.clone());
    metrics.add(operations.clone());
    let policy = Arc::new(Audited {
        policy: Measured::new(policy, operations),
        environment: SystemEnvironment,
        audit: background.audit(),
        proxies,
    });
    let stack = pb::CatalogServiceStack::new(Arc::new(handler), policy.clone());
    let settings = Settings {
        max_body_bytes: max_bytes,
        forwarded_headers: FORWARDED_HEADERS,
        reasons: &pb::REASONS,
        envelope: true,
        connect: Some(connect::Options::default()),
        compression: (config.server.http.compression).then(Compression::default),
        websockets: Some(WebSockets {
            origins: config.server.http.cors.allowed_origins.clone(),
            spawn: |call| {
                // What is logged on the way is that of the request.
                tokio::spawn(RequestRecord::carry(logged(call)));
            },
            ..WebSockets::default()
        }),
        ..Settings::default()
    };
    let mut grpc = GrpcServices::new(policy.clone());
    let mut rest: Vec<Box<dyn transcode::rest::Service>> = vec![Box::new(stack.clone())];
    let server = CatalogServiceServer::from_arc(Arc::new(stack));
    grpc.add(
        server.max_decoding_message_size(max_bytes),
        pb::catalog_service::METHODS,
    );
    let mut keys = None;
    match &parts.identity {
        Ok(identity) => {
            let handler = identity::handler(config, identity, &pool, roles, readiness);
            let stack = IdentityServiceStack::new(Arc::new(handler), policy);
            rest.push(Box::new(stack.clone()));
            let server = IdentityServiceServer::from_arc(Arc::new(stack));
            grpc.add(
                server.max_decoding_message_size(max_bytes),
                identity_service::METHODS,
            );
            keys = Some(keys_router(&identity.signing)?);
        }
        Err(reason) => tracing::info!(reason, "there is no identity service"),
    }
    let transcoder = Transcoder::new(settings, rest);

    let (reporter, health) = tonic_health::server::health_reporter();
    let names = grpc.names().to_vec();
    tokio::spawn(report_health(reporter, readiness.clone(), names));
    let grpc = grpc.routes(health)?;
    let probes = Probes {
        events: EventsProbe {
            outbox: PgOutbox::new(pool.clone()),
            publisher: config.publisher().name(),
            status: background.relay_status(),
        },
        pool,
        max_connections: config.data.database.max_connections,
        readiness: readiness.clone(),
        started: parts.started,
        cache: stores.caching.then(|| CacheProbe {
            redis: stores.redis,
            statistics: stores.products.statistics(),
        }),
        consul: background.consul(),
        dapr: observability::dapr(config, metrics),
    };
    let api = HttpApi {
        transcoder,
        grpc: grpc.clone(),
        dapr,
        keys,
        probes: Arc::new(probes),
        allowed_origins: config.server.http.cors.allowed_origins.clone(),
    };
    let requests = Requests::new(api.transcoder.bindings(), rpcs);
    metrics.add(requests.clone());
    let observer = Arc::new(Observer {
        environment: SystemEnvironment,
        access_log: parts
            .access_log
            .with_consul(background.consul().map(|probe| probe.0)),
        requests,
        tracer: tracer.clone(),
    });
    Ok((
        http_port(api, observer.clone()),
        grpc_port(grpc, metrics.router(), observer),
    ))
}

/// Says in gRPC's own way whether calls of some services can be answered.
async fn report_health(
    reporter: tonic_health::server::HealthReporter,
    readiness: Readiness,
    services: Vec<&'static str>,
) {
    let mut states = readiness.subscribe();
    loop {
        let serving = match *states.borrow_and_update() {
            State::Ready => tonic_health::ServingStatus::Serving,
            _ => tonic_health::ServingStatus::NotServing,
        };
        for service in services.iter().chain(&[""]) {
            reporter.set_service_status(*service, serving).await;
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Logs the end of a WebSocket: the line of its request is that of the handshake.
async fn logged(call: BoxFuture<'static, ()>) {
    let began = Instant::now();
    call.await;
    RequestRecord::note(|record| {
        let outcome = record.outcome.get().copied().unwrap_or(Code::Cancelled);
        let outcome = ReasonTable::CANONICAL.name(outcome);
        tracing::info!(outcome, duration = ?began.elapsed(), "a WebSocket ended");
    });
}
