//! Services that call with a Consul token: every RPC of the contract, allowed and not, in every protocol.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Code;
use transcode::MethodSpec;

use super::{NO_MESSAGE, operations, rpcs};
use crate::support::connect::send_connect;
use crate::support::consul::{Consul, MANAGEMENT, until, with_each};
use crate::support::grpc::{call_as, send_web};
use crate::support::program;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";

/// How a service says who it is.
const TOKEN: &str = "x-consul-token";

/// A service that takes the tokens of this Consul, with a matrix.
async fn start(consul: &Consul, matrix: &Value, more: &[(&str, &str)]) -> Service {
    let (address, matrix) = (consul.address(), matrix.to_string());
    let mut variables = vec![
        ("AUTO_MIGRATE", "true"),
        ("CONSUL_ADDRESS", &*address),
        ("CONSUL_HTTP_TOKEN", MANAGEMENT),
        ("AUTH_SERVICES", &*matrix),
    ];
    variables.extend(more);
    let service = Service::start_with(&variables).await;
    service.ready().await;
    service
}

fn by_service(method: Method, path: &str, token: &str) -> http::request::Builder {
    authorized(method, path, "").header(TOKEN, token)
}

/// The codes of a call by gRPC, on both ports, by gRPC-Web and by Connect.
async fn codes(
    service: &Service,
    spec: &'static MethodSpec,
    token: &str,
    message: &[u8],
) -> [Code; 4] {
    let path = spec.path;
    let credentials = [(TOKEN, token)];
    let code =
        |answer: Result<_, tonic::Status>| answer.err().map_or(Code::Ok, |error| error.code());
    let request = || by_service(Method::POST, path, token);
    let web = send_web(service, request(), message).await;
    let connect = send_connect(service, spec, request(), message).await;
    [
        code(call_as(&service.grpc, path, &credentials, message.to_vec()).await),
        code(call_as(&service.http, path, &credentials, message.to_vec()).await),
        web.err().unwrap_or(Code::Ok),
        connect.err().unwrap_or(Code::Ok),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_call_what_the_matrix_says_and_nothing_else() {
    with_each(async |consul| {
        // One service for each RPC, which may call this one only, and one that may call all of them.
        let name = |path: &str| path.rsplit('/').next().expect("a name").to_lowercase();
        let methods = || rpcs().filter(|method| !method.public);
        let mut matrix: serde_json::Map<String, Value> = methods()
            .map(|method| (name(method.path), json!([method.path[1..]])))
            .collect();
        let whole: Vec<_> = methods()
            .map(|method| format!("{}/*", method.service))
            .collect();
        matrix.insert("all".to_owned(), json!(whole));
        let service = start(&consul, &Value::Object(matrix), &[]).await;
        let all = consul.service_token("all").await;
        let stranger = consul.service_token("stranger").await;
        let mut tokens = Vec::new();
        for method in methods() {
            tokens.push((method.path, consul.service_token(&name(method.path)).await));
        }
        for method in methods() {
            for (allowed, token) in &tokens {
                if method.path != *allowed {
                    let refused = codes(&service, method, token, NO_MESSAGE).await;
                    assert_eq!(
                        refused,
                        [Code::PermissionDenied; 4],
                        "{} by {allowed}",
                        method.path
                    );
                }
            }
            let own = &tokens
                .iter()
                .find(|(path, _)| *path == method.path)
                .expect("one")
                .1;
            for token in [own, &all] {
                // Past the policy: what is wrong now is the message.
                for code in codes(&service, method, token, NO_MESSAGE).await {
                    let denied = [
                        Code::Unauthenticated,
                        Code::PermissionDenied,
                        Code::Unavailable,
                    ];
                    assert!(!denied.contains(&code), "{}: {code:?}", method.path);
                }
            }
            for (token, code) in [
                (&*stranger, Code::PermissionDenied),
                (
                    "22222222-2222-2222-2222-222222222222",
                    Code::Unauthenticated,
                ),
                ("anonymous", Code::Unauthenticated),
                ("", Code::Unauthenticated),
            ] {
                let refused = codes(&service, method, token, NO_MESSAGE).await;
                assert_eq!(refused, [code; 4], "{} by {token:?}", method.path);
            }
        }
        for (method, path, scopes) in operations() {
            if scopes.is_empty() {
                continue;
            }
            for (token, status) in [
                (&*stranger, StatusCode::FORBIDDEN),
                (
                    "22222222-2222-2222-2222-222222222222",
                    StatusCode::UNAUTHORIZED,
                ),
                ("anonymous", StatusCode::UNAUTHORIZED),
                ("", StatusCode::UNAUTHORIZED),
            ] {
                let request = by_service(method.clone(), &path, token);
                let response = service.send(request, "not JSON").await;
                assert_eq!(response.status(), status, "{method} {path} by {token:?}");
            }
            // What is about the user who calls is nothing for a service.
            if !scopes.iter().all(|scope| scope.starts_with("catalog:")) {
                continue;
            }
            // An answer without an end is opened, and left.
            let request = by_service(method.clone(), &path, &all);
            let status = service.open(request, "not JSON").await.status();
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            assert!(!refused.contains(&status), "{method} {path}: {status}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_does_bears_its_name() {
    with_each(async |consul| {
        let matrix = json!({"order-service": ["catalog.v1.CatalogService/*"]});
        let service = start(&consul, &matrix, &[]).await;
        let token = consul.service_token("order-service").await;
        let request =
            by_service(Method::POST, PRODUCTS, &token).header("content-type", "application/json");
        let body = json!({"sku": "S-1", "name": "x"}).to_string();
        let created = service.send(request, body).await;
        assert_eq!(
            created.status(),
            StatusCode::CREATED,
            "{:?}",
            created.body()
        );
        let mut connection = crate::support::postgres::connect(&service.database.url).await;
        let actor: String = sqlx::query_scalar("SELECT payload->'data'->>'createdBy' FROM outbox")
            .fetch_one(&mut connection)
            .await
            .expect("an event");
        assert_eq!(actor, "service:order-service");
        until("a line of the log", async || {
            let log = service.log.lock().unwrap().clone();
            log.contains(r#""userId":"service:order-service""#)
                .then_some(())
        })
        .await;
        // Two credentials are one too many, whichever they are.
        let bearer = service.token("catalog:read catalog:write");
        let both = authorized(Method::GET, PRODUCTS, &bearer).header(TOKEN, &token);
        let refused = service.send(both, "").await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(refused.body()["error"]["code"], "UNAUTHORIZED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_and_consul_goes() {
    with_each(async |mut consul| {
        let matrix = json!({"order-service": ["catalog.v1.CatalogService/*"]});
        let short = [
            ("AUTH_SERVICE_TOKEN_TTL", "1s"),
            ("AUTH_SERVICE_TOKEN_GRACE", "15s"),
        ];
        let service = start(&consul, &matrix, &short).await;
        let get = async |token: &str| {
            service
                .send(by_service(Method::GET, PRODUCTS, token), "")
                .await
                .status()
        };
        let reach = async |token: &str, status: StatusCode| {
            until("a status", async || {
                (get(token).await == status).then_some(())
            })
            .await;
        };
        let what = json!({"ServiceIdentities": [{"ServiceName": "order-service"}]});
        let (accessor, token) = consul.token(&what).await;
        assert_eq!(get(&token).await, StatusCode::OK);
        // One who watches is seen off as well.
        let watch = by_service(Method::GET, "/v1/catalog/products:watch", &token);
        let watch = service.open(watch, "").await;
        assert_eq!(watch.status(), StatusCode::OK);
        consul.revoke(&accessor).await;
        reach(&token, StatusCode::UNAUTHORIZED).await;
        let rest = http_body_util::BodyExt::collect(watch.into_body())
            .await
            .expect("an end");
        let rest = String::from_utf8(rest.to_bytes().to_vec()).expect("text");
        assert!(rest.contains("UNAUTHORIZED"), "{rest}");

        let known = consul.service_token("order-service").await;
        let unknown = consul.service_token("order-service").await;
        assert_eq!(get(&known).await, StatusCode::OK);
        consul.stop().await;
        assert_eq!(get(&unknown).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&known).await, StatusCode::OK, "a while longer");
        reach(&known, StatusCode::SERVICE_UNAVAILABLE).await;
        let bearer = service.token("catalog:read");
        assert_eq!(
            service.get(PRODUCTS, &bearer).await.status(),
            StatusCode::OK
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_matrix_no_service_gets_in() {
    let service = Service::start().await;
    let request = by_service(Method::GET, PRODUCTS, MANAGEMENT);
    assert_eq!(
        service.send(request, "").await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_matrix_that_makes_no_sense_ends_the_start() {
    let start = |variables: &[(&str, &str)]| {
        let output = program::service()
            .envs(variables.iter().copied())
            .args(["config", "check"])
            .output()
            .expect("the service");
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).expect("text")
    };
    let unknown = r#"{"order-service": ["catalog.v1.CatalogService/GetProdukt"]}"#;
    let said = start(&[
        ("CONSUL_ADDRESS", "localhost:8500"),
        ("AUTH_SERVICES", unknown),
    ]);
    assert!(
        said.contains("did you mean catalog.v1.CatalogService/GetProduct?"),
        "{said}"
    );
    let alone = start(&[("AUTH_SERVICES", r#"{"order-service": []}"#)]);
    assert!(alone.contains("CONSUL_ADDRESS"), "{alone}");
}
