//! The catalog over gRPC, with the same answers as over REST.

use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use http::{Method, StatusCode};
use prost::Message as _;

use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::grpc::{call_web, send_web};
use crate::support::service::Service;

const PRODUCTS: &str = "/v1/catalog/products";

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {token}").parse().expect("a header"),
    );
    request
}

fn create(sku: &str) -> pb::CreateProductRequest {
    pb::CreateProductRequest {
        sku: sku.to_owned(),
        name: "Business Laptop".to_owned(),
        price: Some(pb::Money {
            amount: "1299.9900".to_owned(),
            currency: "USD".to_owned(),
        }),
        category: Some("electronics".to_owned()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_says_the_same_as_rest() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    // On both ports: one that takes gRPC only, and one for deployments that have no other.
    for url in [service.grpc.clone(), service.http.clone()] {
        let mut client = CatalogServiceClient::connect(url.clone())
            .await
            .expect("a connection");
        let sku = format!("G-{}", url.len());
        let created = client
            .create_product(with(&token, create(&sku)))
            .await
            .expect("created");
        assert!(created.metadata().get("x-request-id").is_some());
        let product = created.into_inner().product.expect("a product");
        assert_eq!(product.price.as_ref().expect("a price").amount, "1299.99");

        let by_sku = pb::GetProductRequest {
            key: Some(pb::get_product_request::Key::Sku(sku.clone())),
        };
        let got = client
            .get_product(with(&token, by_sku))
            .await
            .expect("there")
            .into_inner();
        let rest = service
            .get(&format!("{PRODUCTS}/{}", product.id), &token)
            .await;
        assert_eq!(
            serde_json::to_value(&got).expect("JSON"),
            rest.body()["data"]
        );

        let list = client.list_products(with(
            &token,
            pb::ListProductsRequest {
                limit: Some(5),
                ..Default::default()
            },
        ));
        let list = list.await.expect("a list").into_inner();
        let rest = service.get(&format!("{PRODUCTS}?limit=5"), &token).await;
        assert_eq!(
            serde_json::to_value(&list).expect("JSON"),
            rest.body()["data"]
        );

        let update = pb::UpdateProductRequest {
            product: Some(pb::Product {
                id: product.id.clone(),
                name: "New".to_owned(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["name".to_owned(), "category".to_owned()],
            }),
            ..Default::default()
        };
        let updated = client
            .update_product(with(&token, update))
            .await
            .expect("updated")
            .into_inner();
        let updated = updated.product.expect("a product");
        assert_eq!(
            (updated.name.as_str(), updated.category, updated.version),
            ("New", None, 2)
        );

        let delete = pb::DeleteProductRequest {
            id: product.id.clone(),
            ..Default::default()
        };
        client
            .delete_product(with(&token, delete.clone()))
            .await
            .expect("deleted");
        let gone = client
            .delete_product(with(&token, delete))
            .await
            .expect_err("gone");
        assert_eq!(gone.code(), Code::NotFound);
        let rest = service
            .get(&format!("{PRODUCTS}/{}", product.id), &token)
            .await;
        assert_eq!(rest.body()["error"]["message"], gone.message());
    }
}

fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_typed_details() {
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let mut client = CatalogServiceClient::connect(service.grpc.clone())
        .await
        .expect("a connection");
    let invalid = pb::CreateProductRequest {
        sku: "no spaces".to_owned(),
        price: Some(pb::Money {
            amount: "1,5".to_owned(),
            currency: "USD".to_owned(),
        }),
        description: Some("a\0b".to_owned()),
        status: 99,
        ..Default::default()
    };
    let status = client
        .create_product(with(&token, invalid))
        .await
        .expect_err("refused");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "INVALID_PARAMETERS")
    );
    let details = status.get_error_details();
    assert_eq!(details.error_info().expect("info").domain, "catalog.v1");
    let fields: Vec<_> = details
        .bad_request()
        .expect("fields")
        .field_violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        ["sku", "name", "description", "price.amount", "status"]
    );

    client
        .create_product(with(&token, create("A")))
        .await
        .expect("created");
    let status = client
        .create_product(with(&token, create("A")))
        .await
        .expect_err("a duplicate");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "CONFLICT")
    );

    let mask = |paths: &[&str]| pb::UpdateProductRequest {
        product: Some(pb::Product {
            id: "prod_01hm6xkqz0e8s8a3kq5w2v9t4c".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    for (paths, code) in [
        (&["nope"][..], Code::InvalidArgument),
        (&["version"], Code::InvalidArgument),
        (&["brand"], Code::NotFound),
    ] {
        let status = client
            .update_product(with(&token, mask(paths)))
            .await
            .expect_err("refused");
        assert_eq!(status.code(), code, "{paths:?}: {}", status.message());
    }
    let status = client
        .get_product(with(&token, pb::GetProductRequest::default()))
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut huge = create("HUGE");
    huge.description = Some("x".repeat(2 << 20));
    let status = client
        .create_product(with(&token, huge))
        .await
        .expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_deadline_is_kept() {
    let service = Service::start().await;
    let token = service.token("catalog:read");
    // tonic's client keeps deadlines itself: a call without one of its own shows what the service does.
    let path = "/catalog.v1.CatalogService/ListProducts";
    let request = crate::support::service::authorized(Method::POST, path, &token)
        .header("grpc-timeout", "1n");
    assert_eq!(
        send_web(&service, request, &[]).await,
        Err(Code::DeadlineExceeded)
    );
    let request = crate::support::service::authorized(Method::GET, PRODUCTS, &token)
        .header("grpc-timeout", "1n");
    let response = service.send(request, "").await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(response.body()["error"]["code"], "SERVICE_UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_in_both_forms() {
    use base64::Engine as _;
    let service = Service::start().await;
    let token = service.token("catalog:read catalog:write");
    let path = "/catalog.v1.CatalogService/CreateProduct";
    let answer = call_web(&service, path, &token, &create("WEB").encode_to_vec())
        .await
        .expect("created");
    let answer = pb::CreateProductResponse::decode(&*answer).expect("a message");
    assert_eq!(answer.product.expect("a product").sku, "WEB");
    assert_eq!(
        call_web(&service, path, &token, &create("WEB").encode_to_vec()).await,
        Err(Code::AlreadyExists)
    );

    let list = "/catalog.v1.CatalogService/ListProducts";
    let text = base64::engine::general_purpose::STANDARD.encode([0, 0, 0, 0, 0]);
    let request = crate::support::service::authorized(Method::POST, list, &token)
        .header("content-type", "application/grpc-web-text+proto")
        .header("accept", "application/grpc-web-text+proto")
        .header("origin", "https://shop.example.com");
    let response = service.send_raw(request, text).await;
    assert_eq!(
        response.headers()["content-type"],
        "application/grpc-web-text+proto"
    );
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    // Each frame is encoded on its own; the first is the message.
    let encoded = String::from_utf8(response.into_body()).expect("text");
    let end = encoded.find('=').map_or(encoded.len(), |at| {
        at + encoded[at..].chars().take_while(|c| *c == '=').count()
    });
    let frame = base64::engine::general_purpose::STANDARD
        .decode(&encoded[..end])
        .expect("base64");
    let length = u32::from_be_bytes(frame[1..5].try_into().expect("four bytes")) as usize;
    let list = pb::ListProductsResponse::decode(&frame[5..5 + length]).expect("a message");
    assert_eq!(list.products.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_and_health() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    use tonic_reflection::pb::{v1, v1alpha};
    let service = Service::start().await;
    let channel = tonic::transport::Endpoint::from_shared(service.grpc.clone())
        .expect("a URL")
        .connect()
        .await
        .expect("up");
    let services = catalog_service::pb::METHODS
        .iter()
        .map(|rpcs| rpcs[0].service);
    for name in services.clone().chain([""]) {
        let request = HealthCheckRequest {
            service: name.to_owned(),
        };
        let health = HealthClient::new(channel.clone())
            .check(request)
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(health.status(), ServingStatus::Serving, "{name}");
    }
    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("v1")
        .into_inner();
    let answer = format!("{:?}", answers.message().await.expect("an answer"));
    for name in services.chain([
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ]) {
        assert!(answer.contains(name), "{name} in {answer}");
    }
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "catalog.v1.CatalogService".to_owned(),
            ),
        ),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("v1alpha")
        .into_inner();
    let answer = format!("{:?}", answers.message().await.expect("an answer"));
    assert!(answer.contains("FileDescriptorResponse"), "{answer}");
}
