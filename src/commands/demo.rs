//! `demo`: loads a catalogue through the public API, as any client would.

mod products;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::Uri;
use hyper_util::rt::TokioIo;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{runtime, token, url_of};
use crate::app::Error;
use crate::config::{Config, Tls};
use crate::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use crate::tls::{H2, connector};

/// How many products one user creates; fewer than one may in a minute, with room for a second run.
const PRODUCTS_PER_USER: u32 = 450;

/// How often a call that the service was too busy for is tried.
const ATTEMPTS: u32 = 5;

/// Loads products until there are `count`; those that are there already stay as they are.
pub(super) fn run(
    config: &Config,
    count: u32,
    url: Option<&str>,
    concurrency: u32,
) -> Result<(), Error> {
    let scopes = ["catalog:write".to_owned()];
    // As many users as it takes for none of them to call too often.
    let users = 1..=count.div_ceil(PRODUCTS_PER_USER);
    let authorizations = users.map(|user| {
        let subject = format!("user_demo_{user}");
        let token = token::token(config, &scopes, &subject, Duration::from_hours(1))?;
        Ok::<_, Error>(format!("Bearer {token}").parse()?)
    });
    let authorizations = authorizations.collect::<Result<Vec<_>, _>>()?;
    let own = || url_of(&config.server, config.server.grpc.addr);
    let url = url.map_or_else(own, str::to_owned);
    runtime()?.block_on(async {
        let channel = connect(&url, &config.server.tls).await.map_err(|error| {
            format!("no service at {url}: start it with `make run`, or name another with --url ({error})")
        })?;
        load(CatalogServiceClient::new(channel), authorizations, count, concurrency).await
    })
}

/// Connects to the service, by TLS where its URL says so.
async fn connect(url: &str, tls: &Tls) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(Duration::from_secs(5));
    let uri = endpoint.uri();
    if uri.scheme_str() != Some("https") {
        return Ok(endpoint.connect().await?);
    }
    let host = uri.host().unwrap_or_default().to_owned();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let authority = (host, uri.port_u16().unwrap_or(443));
    let connector = connector(tls, &[H2])?;
    let secured = tower::service_fn(move |_: Uri| {
        let (connector, name, (host, port)) = (connector.clone(), name.clone(), authority.clone());
        async move {
            let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
            let stream = connector.connect(name, stream).await?;
            std::io::Result::Ok(TokioIo::new(stream))
        }
    });
    Ok(endpoint.connect_with_connector(secured).await?)
}

/// What became of the products.
#[derive(Default)]
struct Tally {
    next: AtomicU32,
    created: AtomicU32,
    existing: AtomicU32,
}

async fn load(
    client: CatalogServiceClient<Channel>,
    authorizations: Vec<MetadataValue<Ascii>>,
    count: u32,
    concurrency: u32,
) -> Result<(), Error> {
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} products, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(count.into()).with_style(style);
    let tally = Arc::new(Tally::default());
    let authorizations: Arc<[_]> = authorizations.into();
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..concurrency.min(count) {
        let (mut client, authorizations) = (client.clone(), authorizations.clone());
        let (tally, bar) = (tally.clone(), bar.clone());
        workers.spawn(async move {
            loop {
                let index = tally.next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok(());
                }
                let user = &authorizations[(index / PRODUCTS_PER_USER) as usize];
                match create(&mut client, user, index).await {
                    Ok(()) => tally.created.fetch_add(1, Ordering::Relaxed),
                    Err(status) if status.code() == Code::AlreadyExists => {
                        tally.existing.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(status) => {
                        return Err(format!("product {index} was refused: {}", status.message()));
                    }
                };
                bar.inc(1);
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} products created, {} were there already: {:.0} per second, {seconds:.1} s in all",
        tally.created.load(Ordering::Relaxed),
        tally.existing.load(Ordering::Relaxed),
        f64::from(count) / seconds.max(0.001),
    );
    Ok(())
}

/// Creates one product, and tries again while the service is too busy.
async fn create(
    client: &mut CatalogServiceClient<Channel>,
    authorization: &MetadataValue<Ascii>,
    index: u32,
) -> Result<(), Status> {
    let mut attempt = 1;
    loop {
        let mut request = Request::new(products::product(index));
        request
            .metadata_mut()
            .insert("authorization", authorization.clone());
        match client.create_product(request).await {
            Ok(_) => return Ok(()),
            Err(status) if attempt < ATTEMPTS && is_transient(status.code()) => {
                tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                attempt += 1;
            }
            Err(status) => return Err(status),
        }
    }
}

/// Whether the same call may succeed a little later. A product that was created all the same is then there already.
fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    )
}
