//! The cache as operators see it: keys, `/health`, `/metrics`, and a Redis that is away.

use serde_json::{Value, json};

use super::*;
use crate::support::redis::free_port;
use crate::support::service::Service;

async fn create(service: &Service, token: &str, sku: &str) -> String {
    let body = json!({"sku": sku, "name": "Name", "category": "books"});
    let path = "/v1/catalog/products";
    let answer = service.json(http::Method::POST, path, token, &body).await;
    assert_eq!(answer.status(), 201, "{answer:?}");
    let id = answer.body()["data"]["product"]["id"].as_str();
    format!("{path}/{}", id.unwrap())
}

#[tokio::test]
async fn operators_see_the_cache() {
    if !installed() {
        return;
    }
    let mut redis = Server::start(&[]);
    let addr = redis.addr();
    let prometheus = free_port();
    let port = prometheus.to_string();
    let variables = [
        ("AUTO_MIGRATE", "true"),
        ("REDIS_ADDR", addr.as_str()),
        ("CACHE_PREFIX", "service"),
        ("PROMETHEUS_PORT", port.as_str()),
    ];
    let service = Service::start_with(&variables).await;
    service.ready().await;
    let token = service.token("catalog:read catalog:write");
    let path = create(&service, &token, "A").await;
    let list = "/v1/catalog/products?category=books";
    // Of both kinds something is kept, once all transactions up to the change are over, those of other tests too.
    let mut pause = Duration::from_millis(60);
    eventually("keys in Redis", async || {
        service.get(&path, &token).await;
        service.get(list, &token).await;
        let keys: Vec<String> = redis.ask(&["KEYS", "service:products:*"]).await;
        if keys.len() < 2 {
            let rename = json!({"name": format!("Name {pause:?}")});
            service
                .json(http::Method::PATCH, &path, &token, &rename)
                .await;
            tokio::time::sleep(pause).await;
            pause = pause * 3 / 2;
        }
        keys.len() == 2
    })
    .await;
    let keys: Vec<String> = redis.ask(&["KEYS", "service:products:*"]).await;
    let (list_key, product_key) = match &keys[..] {
        [a, b] if a.starts_with("service:products:list:") => (a, b),
        [a, b] => (b, a),
        _ => panic!("{keys:?}"),
    };
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(*product_key, format!("service:products:{id}"));
    assert!(list_key.starts_with("service:products:list:"), "{list_key}");
    let ttl: i64 = redis.ask(&["TTL", list_key]).await;
    assert!((200..=300).contains(&ttl), "{ttl}");
    let value: String = redis.ask(&["GET", product_key]).await;
    let value: Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["value"]["sku"], "A");

    for _ in 0..20 {
        assert_eq!(service.get(&path, &token).await.status(), 200);
    }
    let health = service.get("/health", "").await.into_body();
    let cache = &health["checks"]["cache"];
    assert_eq!(cache["status"], "healthy", "{health}");
    let rate = cache["hit_rate"].as_str().unwrap().trim_end_matches('%');
    assert!((1..=100).contains(&rate.parse::<u32>().unwrap()), "{rate}");
    assert!(cache["latency"].as_str().unwrap().ends_with("ms"));
    let metrics = http::Request::get("/metrics");
    assert_eq!(
        service.send_raw(metrics, "").await.status(),
        404,
        "not on the public port"
    );
    for url in [&service.grpc, &format!("http://127.0.0.1:{prometheus}")] {
        let answer = Service::send_to(url, http::Request::get("/metrics"), "").await;
        let text = String::from_utf8(answer.into_body()).unwrap();
        for line in [
            "# TYPE cache_hits_total counter",
            "# TYPE cache_misses_total counter",
            r#"cache_hits_total{layer="local",kind="product"} "#,
            r#"cache_misses_total{layer="redis",kind="list"} "#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    redis.kill();
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(service.get(&path, &token).await.status(), 200);
        assert_eq!(service.get(list, &token).await.status(), 200);
    }
    assert!(begun.elapsed() < SOON);
    eventually("it says so", async || {
        let health = service.get("/health", "").await.into_body();
        let cache = &health["checks"]["cache"];
        health["status"] == "degraded" && cache["status"] == "unhealthy"
    })
    .await;
    assert_eq!(service.get("/ready", "").await.status(), 200);
    redis.start_again();
    eventually("it is used again", async || {
        let health = service.get("/health", "").await.into_body();
        health["status"] == "healthy"
    })
    .await;
}
