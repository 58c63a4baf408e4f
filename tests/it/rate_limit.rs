//! How often a caller may call: in every protocol, over several instances, with and without Redis.

mod shared;

use std::time::{SystemTime, UNIX_EPOCH};

use catalog_service::pb::catalog::v1::catalog_service::METHODS;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use catalog_service::pb::catalog::v1::{
    GetProductRequest, ListProductsRequest, get_product_request,
};
use http::{HeaderMap, Method, StatusCode};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::access::operations;
use crate::support::grpc::{call, web, web_frame};
use crate::support::redis;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";
const NO_PRODUCT: &str = "/v1/catalog/products/sku/NONE";

async fn service(variables: &[(&str, &str)]) -> Service {
    let mut all = vec![("AUTO_MIGRATE", "true")];
    all.extend(variables);
    let service = Service::start_with(&all).await;
    service.ready().await;
    service
}

/// A token of some user.
fn token_of(service: &Service, user: &str) -> String {
    let scopes = "catalog:read catalog:write";
    let output = service.run(&["token", "--scope", scopes, "--sub", user]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    let value = headers.get(name).unwrap_or_else(|| panic!("no {name}"));
    value.to_str().unwrap().parse().unwrap()
}

/// What is told to one who may not call any more.
fn assert_refused(headers: &HeaderMap, limit: u64, what: &str) {
    assert_eq!(number(headers, "ratelimit-limit"), limit, "{what}");
    assert_eq!(number(headers, "ratelimit-remaining"), 0, "{what}");
    let reset = number(headers, "ratelimit-reset");
    assert!((1..=60).contains(&reset), "{what}");
    assert_eq!(number(headers, "retry-after"), reset, "{what}");
}

fn assert_status(status: &Status, what: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{what}");
    assert_eq!(status.message(), "Too many requests");
    let details = status.get_error_details();
    let info = details.error_info().expect("its name");
    assert_eq!(
        (&*info.reason, &*info.domain),
        ("RATE_LIMITED", "catalog.v1")
    );
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    let seconds = number(status.metadata().as_ref(), "retry-after");
    assert_eq!(delay.expect("a delay").as_secs(), seconds, "{what}");
}

/// A window may begin between two calls: then the first of them is let in, and no other.
macro_rules! refused {
    ($call:expr, $refused:expr) => {{
        let mut answer = $call;
        if !$refused(&answer) {
            answer = $call;
        }
        answer
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_limited_in_every_protocol() {
    let service = service(&[("RATE_LIMIT_REQUESTS_PER_MINUTE", "1")]).await;
    let token = token_of(&service, "user_1");
    let _ = service.get(PRODUCTS, &token).await;
    // No message at all: nobody looks into it.
    let message = || vec![0xff_u8; 3];
    for method in METHODS {
        for url in [&service.grpc, &service.http] {
            let limited = |answer: &Result<_, Status>| matches!(answer, Err(status) if status.code() == Code::ResourceExhausted);
            let answer = refused!(call(url, method.path, &token, message()).await, limited);
            let status = answer.expect_err("refused");
            assert_status(&status, method.path);
            assert_refused(status.metadata().as_ref(), 1, method.path);
        }
        let by_web = || web(authorized(Method::POST, method.path, &token));
        let limited = |answer: &http::Response<Vec<u8>>| {
            answer
                .headers()
                .get("grpc-status")
                .is_some_and(|code| code == "8")
        };
        let answer = refused!(
            service.send_raw(by_web(), web_frame(&message())).await,
            limited
        );
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_status(&status, method.path);
        assert_refused(answer.headers(), 1, method.path);
    }
    for (method, path, _) in operations() {
        let request = || authorized(method.clone(), &path, &token);
        let limited = |answer: &http::Response<serde_json::Value>| answer.status() == 429;
        let answer = refused!(service.send(request(), "not JSON").await, limited);
        let what = format!("{method} {path}");
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{what}");
        assert_eq!(answer.body()["error"]["code"], "RATE_LIMITED", "{what}");
        assert_refused(answer.headers(), 1, &what);
    }
    // The others are not concerned, nor is what is there for people and probes.
    let other = service.get(PRODUCTS, &token_of(&service, "user_2")).await;
    assert_eq!(other.status(), 200);
    for _ in 0..3 {
        for path in ["/health", "/ready", "/docs/catalog", "/openapi.json"] {
            let answer = service
                .send_raw(authorized(Method::GET, path, &token), "")
                .await;
            assert_eq!(answer.status(), 200, "{path}");
            assert!(answer.headers().get("ratelimit-limit").is_none(), "{path}");
        }
        let metrics = authorized(Method::GET, "/metrics", "");
        let metrics = Service::send_to(&service.grpc, metrics, "").await;
        assert_eq!(metrics.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_errors_tell_of_the_budget() {
    let service = service(&[("RATE_LIMIT_REQUESTS_PER_MINUTE", "500")]).await;
    let token = service.token("catalog:read");
    let mut least = 500;
    // A list, an error of the handler, one of validation, and one of permission.
    for (method, path, status) in [
        (Method::GET, PRODUCTS, 200),
        (Method::GET, NO_PRODUCT, 404),
        (Method::GET, "/v1/catalog/products?limit=0", 400),
        (Method::DELETE, "/v1/catalog/products/prod_1", 403),
    ] {
        let answer = service.send(authorized(method, path, &token), "").await;
        assert_eq!(answer.status(), status);
        let headers = answer.headers();
        assert_eq!(number(headers, "ratelimit-limit"), 500);
        let remaining = number(headers, "ratelimit-remaining");
        assert!(
            remaining < least || remaining == 499,
            "{remaining} after {least}"
        );
        least = remaining;
        assert!((1..=60).contains(&number(headers, "ratelimit-reset")));
        assert!(headers.get("retry-after").is_none());
    }
    let mut client = CatalogServiceClient::connect(service.grpc.clone())
        .await
        .unwrap();
    let request = || {
        let mut request = Request::new(GetProductRequest {
            key: Some(get_product_request::Key::Sku("NONE".to_owned())),
        });
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    };
    let list = client
        .list_products(request().map(|_| ListProductsRequest::default()))
        .await
        .unwrap();
    assert_eq!(number(list.metadata().as_ref(), "ratelimit-limit"), 500);
    let missing = client.get_product(request()).await.expect_err("none");
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(number(missing.metadata().as_ref(), "ratelimit-limit"), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_have_a_budget_for_each_address() {
    let service = service(&[
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "2"),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.0/8"),
    ])
    .await;
    let stranger = async |address: &str| {
        let request = authorized(Method::GET, PRODUCTS, "nonsense");
        let request = request.header("x-forwarded-for", address);
        service.send(request, "").await.status().as_u16()
    };
    // Of five in a row, at most two windows let in two each.
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(stranger("192.0.2.1").await);
    }
    assert_eq!(answers[..2], [401, 401]);
    assert!(answers.contains(&429), "{answers:?}");
    assert_eq!(stranger("192.0.2.2").await, 401, "another address");
    let mut answers = Vec::new();
    for host in 0..5 {
        answers.push(stranger(&format!("2001:db8:0:1::{host:x}")).await);
    }
    assert!(answers.contains(&429), "one network: {answers:?}");
    // Whoever has a good token is not held back by them.
    let token = service.token("catalog:read");
    let request = authorized(Method::GET, PRODUCTS, &token).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(service.send(request, "").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_writes_may_have_budgets_of_their_own() {
    let service = service(&[
        ("RATE_LIMIT_READ_REQUESTS_PER_MINUTE", "700"),
        ("RATE_LIMIT_WRITE_REQUESTS_PER_MINUTE", "30"),
    ])
    .await;
    let token = service.token("catalog:read catalog:write");
    let read = service.get(PRODUCTS, &token).await;
    assert_eq!(number(read.headers(), "ratelimit-limit"), 700);
    let write = authorized(Method::DELETE, "/v1/catalog/products/none", &token);
    let write = service.send(write, "").await;
    assert_eq!(number(write.headers(), "ratelimit-limit"), 30);
    // Switched off, nothing is told of it.
    let open = service.replica(&[("RATE_LIMIT_ENABLE", "false")]);
    open.ready().await;
    let answer = open.get(PRODUCTS, &token).await;
    assert!(answer.headers().get("ratelimit-limit").is_none());
}

/// The second in which the window of an answer ends, about.
fn window_end(headers: &HeaderMap) -> u64 {
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + number(headers, "ratelimit-reset")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_have_one_limit() {
    if !redis::installed() {
        return;
    }
    const LIMIT: usize = 1000;
    let redis = redis::Server::start(&[]);
    let addr = redis.addr();
    let variables = [
        ("REDIS_ADDR", addr.as_str()),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000"),
        // What is measured here is not how fast Redis is on a busy machine.
        ("REDIS_READ_TIMEOUT", "10s"),
        ("REDIS_WRITE_TIMEOUT", "10s"),
    ];
    let one = service(&variables).await;
    let other = one.replica(&variables);
    other.ready().await;
    let token = token_of(&one, "user_1");
    // Until each task was refused some times: by then the budget of a window is used up.
    let ask = async |service: &Service| {
        let (mut answers, mut refused) = (Vec::new(), 0);
        while refused < 5 {
            let answer = service.get(NO_PRODUCT, &token).await;
            let open = answer.status() == 404;
            assert!(open || answer.status() == 429, "{}", answer.status());
            refused += usize::from(!open);
            answers.push((window_end(answer.headers()), open));
        }
        answers
    };
    let tasks = (0..32).map(|task| ask(if task % 2 == 0 { &one } else { &other }));
    let mut answers: Vec<_> = futures_util::future::join_all(tasks).await.concat();
    answers.sort_unstable();
    // Windows end a minute apart, what belongs to one a second or two.
    let windows = answers.chunk_by(|a, b| b.0 - a.0 < 30);
    for window in windows {
        let let_in = window.iter().filter(|(_, open)| *open).count();
        println!("{let_in} let in, {} refused", window.len() - let_in);
        assert!(let_in <= LIMIT + LIMIT / 100, "{let_in} let in");
        if let_in < window.len() {
            assert!(
                let_in >= LIMIT - LIMIT / 10,
                "{let_in} let in, others refused"
            );
        }
    }
}
