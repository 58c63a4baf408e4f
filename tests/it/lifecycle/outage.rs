//! A start while nothing is there that the service depends on.

use std::path::PathBuf;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use url::Url;

use super::PRODUCTS;
use crate::support::postgres::database;
use crate::support::program;
use crate::support::redis::{Server, eventually, free_port, installed};
use crate::support::service::Service;
use crate::support::sidecar::Sidecar;

/// Where a port leads to.
#[derive(Clone)]
enum Target {
    Port(u16),
    Socket(PathBuf),
}

/// Lets a port lead to another place, from now on.
async fn lead(port: u16, target: Target) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                match target {
                    Target::Port(port) => {
                        join(from, TcpStream::connect(("127.0.0.1", port)).await).await;
                    }
                    Target::Socket(path) => join(from, UnixStream::connect(path).await).await,
                }
            });
        }
    });
}

async fn join(mut from: TcpStream, to: std::io::Result<impl AsyncRead + AsyncWrite + Unpin>) {
    let mut to = to.expect("a connection");
    // Either side may end it.
    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
}

/// The socket of the test's database, and a URL of the same by a port.
fn by_port(url: &str, port: u16) -> (PathBuf, String) {
    let url = Url::parse(url).expect("a URL");
    let part = |name: &str| {
        let mut pairs = url.query_pairs();
        let found = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        found.expect("a part of the URL")
    };
    let socket = PathBuf::from(part("host")).join(format!(".s.PGSQL.{}", part("port")));
    let (user, path) = (part("user"), url.path());
    let url = format!("postgresql://{user}@127.0.0.1:{port}{path}?sslmode=disable");
    (socket, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_with_nothing_and_comes_up_with_everything() {
    if !installed() {
        return;
    }
    let database = database().await;
    let (postgres, redis, dapr) = (free_port(), free_port(), free_port());
    let (socket, url) = by_port(&database.url, postgres);
    let service = Service::start_with(&[
        ("DATABASE_URL", &url),
        ("DATABASE_TIMEOUT", "1s"),
        ("REDIS_ADDR", &format!("127.0.0.1:{redis}")),
        ("DAPR_HTTP_PORT", &dapr.to_string()),
    ])
    .await;
    assert_eq!(
        service.get("/ready", "").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(service.get("/health", "").await.status(), StatusCode::OK);
    // The database comes, and what is served from it.
    let migrate = program::migrate()
        .args(["-database-url", &database.url, "-command", "up"])
        .output()
        .expect("migrate");
    assert!(migrate.status.success(), "{migrate:?}");
    lead(postgres, Target::Socket(socket)).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    let body = json!({"sku": "FIRST", "name": "x"});
    let created = service.json(Method::POST, PRODUCTS, &token, &body).await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    // Then the others: the event that waited is published, and the cache is shared.
    let sidecar = Sidecar::start().await;
    lead(dapr, Target::Port(sidecar.port)).await;
    let server = Server::start(&[]);
    lead(redis, Target::Port(server.port)).await;
    eventually("the event is published", async || {
        !sidecar.script().taken.is_empty()
    })
    .await;
    eventually("all is well", async || {
        let health = service.get("/health", "").await;
        health.body()["status"] == "healthy"
    })
    .await;
    let found = service.get(&format!("{PRODUCTS}/sku/FIRST"), &token).await;
    assert_eq!(found.status(), StatusCode::OK);
}
