//! What watchers cost while nothing happens.

use std::time::Duration;

use tonic::transport::Endpoint;

use super::*;
use crate::store::{cause, new};

/// Connections of the service, each with many watches.
const CONNECTIONS: usize = 10;
const WATCHES: usize = 100;

/// Connections to the database, and how many statements they have run.
async fn activity(pool: &PgPool) -> (i64, i64) {
    let connections = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let statements = "SELECT xact_commit + xact_rollback FROM pg_stat_database
                       WHERE datname = current_database()";
    let connections = sqlx::query_scalar(connections).fetch_one(pool).await;
    let statements = sqlx::query_scalar(statements).fetch_one(pool).await;
    (connections.expect("a count"), statements.expect("a count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_watchers_ask_the_database_nothing() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    let (pool, catalog) = other_instance(&service);
    let bearer: tonic::metadata::MetadataValue<_> =
        format!("Bearer {token}").parse().expect("a header");
    let mut watches = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(service.grpc.clone()).expect("a URL");
        let channel = endpoint.connect().await.expect("a connection");
        for _ in 0..WATCHES {
            let bearer = bearer.clone();
            let mut client = CatalogServiceClient::with_interceptor(
                channel.clone(),
                move |mut request: Request<()>| {
                    request
                        .metadata_mut()
                        .insert("authorization", bearer.clone());
                    Ok(request)
                },
            );
            let request = pb::WatchProductsRequest::default();
            let watch = client.watch_products(request).await.expect("open");
            let mut watch = watch.into_inner();
            watch.message().await.expect("a bookmark");
            watches.push(watch);
        }
    }
    let (_, before) = activity(&pool).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (connections, after) = activity(&pool).await;
    // One asking every 50 ms, beside the relay and the checks of readiness.
    let statements = after - before;
    let watchers = i64::try_from(watches.len()).expect("a count");
    assert!(
        statements < watchers / 2,
        "{statements} statements in three seconds"
    );
    // Those of the service's own parts.
    assert!(connections < 16, "{connections} connections");

    // And each of them is still told.
    catalog.create(cause(), new("ONE")).await.expect("created");
    for watch in &mut watches {
        let message = watch.message().await.expect("a stream").expect("a message");
        assert!(
            matches!(message.change, Some(Change::Created(_))),
            "{message:?}"
        );
    }
    let (connections, _) = activity(&pool).await;
    assert!(connections < 16, "{connections} connections");
}
