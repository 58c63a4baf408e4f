//! Calls with an Idempotency-Key: made once, answered as often as they come, by whatever protocol.

mod crash;

use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use http::{Method, Response, header};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::support::grpc::{web, web_frame};
use crate::support::postgres::connect;
use crate::support::redis::eventually;
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";

struct Open {
    service: Service,
    token: String,
}

impl Open {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut all = vec![("AUTO_MIGRATE", "true")];
        all.extend(variables);
        let service = Service::start_with(&all).await;
        service.ready().await;
        let token = service.token("catalog:read catalog:write");
        Self { service, token }
    }

    async fn send(&self, method: Method, path: &str, key: &str, body: &Value) -> Response<Value> {
        send(&self.service, &self.token, method, path, key, body).await
    }

    async fn create(&self, key: &str, sku: &str) -> Response<Value> {
        self.send(Method::POST, PRODUCTS, key, &product(sku)).await
    }

    /// A number that the database has.
    async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = connect(&self.service.database.url).await;
        sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    fn request<T>(&self, key: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
            .metadata_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    }
}

fn product(sku: &str) -> Value {
    json!({"sku": sku, "name": "Laptop", "attributes": {"b": 1, "a": [true]}})
}

async fn send(
    service: &Service,
    token: &str,
    method: Method,
    path: &str,
    key: &str,
    body: &Value,
) -> Response<Value> {
    let request = authorized(method, path, token).header("idempotency-key", key);
    if body.is_null() {
        return service.send(request, "").await;
    }
    let request = request.header(header::CONTENT_TYPE, "application/json");
    service.send(request, body.to_string()).await
}

fn id(answer: &Response<Value>) -> &str {
    let id = answer.body()["data"]["product"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{} {}", answer.status(), answer.body()))
}

fn is_replayed(answer: &Response<impl Sized>) -> bool {
    match answer.headers().get("idempotency-replayed") {
        Some(value) => value == "true",
        None => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_by_rest_is_replayed_by_all_protocols() {
    let open = Open::start(&[]).await;
    let first = open.create("key-1", "A").await;
    assert_eq!(first.status(), 201);
    assert!(!is_replayed(&first));
    let again = open.create("key-1", "A").await;
    assert_eq!(again.status(), 201);
    assert!(is_replayed(&again));
    assert_eq!(again.body()["data"], first.body()["data"]);
    assert_eq!(again.headers()["location"], first.headers()["location"]);

    let number = |number| prost_types::Value {
        kind: Some(prost_types::value::Kind::NumberValue(number)),
    };
    let truth = prost_types::Value {
        kind: Some(prost_types::value::Kind::BoolValue(true)),
    };
    let list = prost_types::ListValue {
        values: vec![truth],
    };
    let list = prost_types::Value {
        kind: Some(prost_types::value::Kind::ListValue(list)),
    };
    let fields = [("a".to_owned(), list), ("b".to_owned(), number(1.0))];
    let message = pb::CreateProductRequest {
        sku: "A".to_owned(),
        name: "Laptop".to_owned(),
        attributes: Some(prost_types::Struct {
            fields: fields.into(),
        }),
        ..Default::default()
    };
    let mut client = CatalogServiceClient::connect(open.service.grpc.clone())
        .await
        .unwrap();
    let by_grpc = client
        .create_product(open.request("key-1", message.clone()))
        .await
        .unwrap();
    assert_eq!(
        by_grpc.metadata().get("idempotency-replayed").unwrap(),
        "true"
    );
    assert_eq!(by_grpc.into_inner().product.unwrap().id, id(&first));
    let path = "/catalog.v1.CatalogService/CreateProduct";
    let request =
        web(authorized(Method::POST, path, &open.token)).header("idempotency-key", "key-1");
    let by_web = open
        .service
        .send_raw(request, web_frame(&message.encode_to_vec()))
        .await;
    assert!(is_replayed(&by_web));
    let length = u32::from_be_bytes(by_web.body()[1..5].try_into().unwrap()) as usize;
    let answer = pb::CreateProductResponse::decode(&by_web.body()[5..5 + length]).unwrap();
    assert_eq!(answer.product.unwrap().id, id(&first));

    // And the other way round; the key of another user, or of another RPC, is another key.
    let by_grpc = client
        .create_product(open.request(
            "key-2",
            pb::CreateProductRequest {
                sku: "B".to_owned(),
                ..message
            },
        ))
        .await
        .unwrap();
    let by_rest = open.create("key-2", "B").await;
    assert!(is_replayed(&by_rest));
    assert_eq!(by_grpc.into_inner().product.unwrap().id, id(&by_rest));
    let output = open
        .service
        .run(&["token", "--scope", "catalog:write", "--sub", "user_2"]);
    let other = String::from_utf8(output.stdout).unwrap();
    let theirs = send(
        &open.service,
        other.trim(),
        Method::POST,
        PRODUCTS,
        "key-2",
        &product("C"),
    )
    .await;
    assert_eq!(theirs.status(), 201);
    assert_eq!(open.count("SELECT count(*) FROM products").await, 3);
    assert_eq!(open.count("SELECT count(*) FROM outbox").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_deletions_are_replayed() {
    let open = Open::start(&[]).await;
    let created = open.create("key", "A").await;
    let path = format!("{PRODUCTS}/{}", id(&created));
    let body = json!({"name": "Laptop Pro"});
    let first = open.send(Method::PATCH, &path, "key", &body).await;
    assert_eq!((first.status().as_u16(), is_replayed(&first)), (200, false));
    assert_eq!(first.body()["data"]["product"]["version"], 2);
    // What happened since changes nothing of the answer.
    open.send(Method::PATCH, &path, "other", &json!({"name": "X"}))
        .await;
    let again = open.send(Method::PATCH, &path, "key", &body).await;
    assert!(is_replayed(&again));
    assert_eq!(again.body()["data"], first.body()["data"]);
    // One that changes nothing has an answer too.
    for replayed in [false, true] {
        let answer = open
            .send(Method::PATCH, &path, "nothing", &json!({"name": "X"}))
            .await;
        assert_eq!(
            (answer.status().as_u16(), is_replayed(&answer)),
            (200, replayed)
        );
        assert_eq!(answer.body()["data"]["product"]["version"], 3);
    }
    for replayed in [false, true] {
        let answer = open.send(Method::DELETE, &path, "key", &Value::Null).await;
        assert_eq!(
            (answer.status().as_u16(), is_replayed(&answer)),
            (204, replayed)
        );
    }
    let gone = open
        .send(Method::DELETE, &path, "another", &Value::Null)
        .await;
    assert_eq!(gone.status(), 404);
    assert_eq!(open.count("SELECT count(*) FROM outbox").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_stay_are_replayed_and_those_that_pass_are_not() {
    let open = Open::start(&[]).await;
    let created = open.create("key-1", "A").await;
    let path = format!("{PRODUCTS}/{}", id(&created));
    let taken = open.create("key-2", "A").await;
    assert_eq!((taken.status().as_u16(), is_replayed(&taken)), (409, false));
    assert_eq!(
        open.send(Method::DELETE, &path, "key", &Value::Null)
            .await
            .status(),
        204
    );
    let again = open.create("key-2", "A").await;
    assert_eq!((again.status().as_u16(), is_replayed(&again)), (409, true));
    assert_eq!(again.body()["error"], taken.body()["error"]);
    let mut client = CatalogServiceClient::connect(open.service.grpc.clone())
        .await
        .unwrap();
    let delete = pb::DeleteProductRequest {
        id: id(&created).to_owned(),
        ..Default::default()
    };
    let missing = client
        .delete_product(open.request("key-3", delete.clone()))
        .await
        .unwrap_err();
    assert!(missing.metadata().get("idempotency-replayed").is_none());
    let missing = client
        .delete_product(open.request("key-3", delete))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(
        missing.metadata().get("idempotency-replayed").unwrap(),
        "true"
    );
    assert_eq!(
        missing.get_error_details().error_info().unwrap().reason,
        "NOT_FOUND"
    );

    open.service.database.shut().await;
    assert_eq!(open.create("key-4", "A").await.status(), 503);
    open.service.database.open().await;
    open.service.ready().await;
    eventually("it is created", async || {
        open.create("key-4", "A").await.status() == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_one_request() {
    let open = Open::start(&[]).await;
    assert_eq!(open.create("key", "A").await.status(), 201);
    let other = open.create("key", "B").await;
    assert_eq!(other.status(), 409);
    assert_eq!(other.body()["error"]["code"], "CONFLICT");
    assert_eq!(
        other.body()["error"]["message"],
        "This Idempotency-Key was used with another request"
    );
    assert!(!is_replayed(&other));
    for bad in ["", "with blank", &"k".repeat(256)] {
        let answer = open.create(bad, "B").await;
        assert_eq!(answer.status(), 400, "{bad}");
        assert_eq!(answer.body()["error"]["code"], "INVALID_PARAMETERS");
        assert_eq!(
            answer.body()["error"]["details"],
            json!({"Idempotency-Key": "Must be 1 to 255 visible ASCII characters, once"})
        );
    }
    let mut client = CatalogServiceClient::connect(open.service.grpc.clone())
        .await
        .unwrap();
    let message = pb::CreateProductRequest {
        sku: "B".to_owned(),
        name: "x".to_owned(),
        ..Default::default()
    };
    let refused = client
        .create_product(open.request("with blank", message))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // A read takes no key, and does not mind one.
    assert_eq!(
        open.send(Method::GET, PRODUCTS, "with blank", &Value::Null)
            .await
            .status(),
        200
    );
    assert_eq!(open.count("SELECT count(*) FROM products").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_calls_at_the_same_time_one_is_made() {
    let open = Open::start(&[]).await;
    let replica = open.service.replica(&[]);
    replica.ready().await;
    let both = |number: usize| {
        if number.is_multiple_of(2) {
            &open.service
        } else {
            &replica
        }
    };
    let (token, body) = (&open.token, product("A"));
    let created =
        (0..24).map(|number| send(both(number), token, Method::POST, PRODUCTS, "key", &body));
    let created = futures_util::future::join_all(created).await;
    for answer in &created {
        assert_eq!(answer.status(), 201, "{}", answer.body());
        assert_eq!(id(answer), id(&created[0]));
    }
    let first = created.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(first, 1, "all others heard of it");
    let path = format!("{PRODUCTS}/{}", id(&created[0]));
    let body = json!({"name": "Laptop Pro"});
    let changed =
        (0..24).map(|number| send(both(number), token, Method::PATCH, &path, "key", &body));
    for answer in futures_util::future::join_all(changed).await {
        assert_eq!(
            answer.body()["data"]["product"]["version"],
            2,
            "{}",
            answer.body()
        );
    }
    let deleted = (0..24).map(|number| {
        send(
            both(number),
            token,
            Method::DELETE,
            &path,
            "key",
            &Value::Null,
        )
    });
    for answer in futures_util::future::join_all(deleted).await {
        assert_eq!(answer.status(), 204, "{}", answer.body());
    }
    assert_eq!(open.count("SELECT count(*) FROM outbox").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_forgotten_in_time() {
    let open = Open::start(&[("IDEMPOTENCY_TTL", "1s")]).await;
    let first = open.create("key", "A").await;
    let path = format!("{PRODUCTS}/{}", id(&first));
    open.send(Method::DELETE, &path, "key", &Value::Null).await;
    eventually("the key is a new one", async || {
        let answer = open.create("key", "A").await;
        assert_eq!(answer.status(), 201);
        id(&answer) != id(&first)
    })
    .await;
    eventually("old answers are removed", async || {
        open.count("SELECT count(*) FROM idempotency_keys").await == 0
    })
    .await;
}
