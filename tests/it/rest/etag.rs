//! Entity tags: what callers have need not be sent again, and what they have not seen is not overwritten.

use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tonic::Code;

use super::{PRODUCTS, laptop, service};
use crate::support::service::{Service, authorized};

/// A product: its path, and its tag as the header has it.
async fn product(service: &Service, token: &str) -> (String, String) {
    let created = service
        .json(Method::POST, PRODUCTS, token, &laptop("L-1"))
        .await;
    assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    let product = &created.body()["data"]["product"];
    let tag = format!("\"{}\"", product["etag"].as_str().expect("a tag"));
    assert_eq!(created.headers()["etag"], tag.as_str());
    let id = product["id"].as_str().expect("an id");
    (format!("{PRODUCTS}/{id}"), tag)
}

async fn patch(
    service: &Service,
    path: &str,
    token: &str,
    if_match: &str,
    body: &Value,
) -> http::Response<Value> {
    let request = authorized(Method::PATCH, path, token)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, if_match);
    service.send(request, body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_has_is_not_sent_again() {
    let (service, token) = service().await;
    let (path, tag) = product(&service, &token).await;
    for (path, method) in [
        (path.clone(), Method::GET),
        (path.clone(), Method::HEAD),
        (format!("{PRODUCTS}/sku/L-1"), Method::GET),
    ] {
        let ask = |known: &str| {
            authorized(method.clone(), &path, &token).header(header::IF_NONE_MATCH, known)
        };
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let answer = service.send_raw(ask(&known), "").await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(answer.body().is_empty());
            assert_eq!(answer.headers()["etag"], tag.as_str());
            assert!(answer.headers().contains_key("cache-control"));
            assert!(!answer.headers().contains_key("content-type"));
        }
        for other in ["\"other\"", "nonsense", ""] {
            let answer = service.send_raw(ask(other), "").await;
            assert_eq!(answer.status(), StatusCode::OK, "{other}");
            assert_eq!(answer.headers()["etag"], tag.as_str());
        }
    }
    // A change makes it another one; what is not there has none.
    let changed = patch(&service, &path, &token, &tag, &json!({"name": "New"})).await;
    assert_eq!(changed.status(), StatusCode::OK, "{}", changed.body());
    let next = changed.headers()["etag"].clone();
    assert_ne!(next, tag.as_str());
    let ask = authorized(Method::GET, &path, &token).header(header::IF_NONE_MATCH, &tag);
    let answer = service.send(ask, "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["etag"], next);
    let missing = authorized(Method::GET, &format!("{PRODUCTS}/sku/NONE"), &token)
        .header(header::IF_NONE_MATCH, "*");
    let missing = service.send(missing, "").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(!missing.headers().contains_key("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_has_not_seen_is_not_overwritten() {
    let (service, token) = service().await;
    let (path, first) = product(&service, &token).await;
    let name = |name: &str| json!({"name": name});
    let changed = patch(&service, &path, &token, &first, &name("one")).await;
    assert_eq!(changed.status(), StatusCode::OK, "{}", changed.body());
    let second = changed.headers()["etag"].to_str().expect("text").to_owned();
    for wrong in [
        first.clone(),
        format!("W/{second}"),
        "\"\"".to_owned(),
        "\"another\", \"1.1\"".to_owned(),
    ] {
        let refused = patch(&service, &path, &token, &wrong, &name("two")).await;
        assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED, "{wrong}");
        assert_eq!(refused.body()["error"]["code"], "CONFLICT");
        assert!(!refused.headers().contains_key("etag"));
        let delete =
            authorized(Method::DELETE, &path, &token).header(header::IF_MATCH, wrong.as_str());
        let refused = service.send(delete, "").await;
        assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED, "{wrong}");
    }
    for malformed in ["", "x", "\"a", "*, \"a\""] {
        let refused = patch(&service, &path, &token, malformed, &name("two")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{malformed}");
        let details = &refused.body()["error"]["details"];
        assert!(details["If-Match"].is_string(), "{details}");
    }
    // A list, any, and the parameter that says the same.
    let listed = format!("\"another\", {second}");
    let third = patch(&service, &path, &token, &listed, &name("three")).await;
    assert_eq!(third.status(), StatusCode::OK);
    let any = patch(&service, &path, &token, "*", &name("four")).await;
    assert_eq!(any.status(), StatusCode::OK);
    let tag = any.body()["data"]["product"]["etag"]
        .as_str()
        .expect("a tag")
        .to_owned();
    for (query, status) in [
        ("etag=1.1".to_owned(), StatusCode::PRECONDITION_FAILED),
        (format!("etag=1.1&etag={tag}"), StatusCode::OK),
    ] {
        let path = format!("{path}?{query}");
        let answer = service
            .json(Method::PATCH, &path, &token, &name("five"))
            .await;
        assert_eq!(answer.status(), status, "{query}: {}", answer.body());
    }
    // What is not there has no tag, not even any.
    let delete = || authorized(Method::DELETE, &path, &token).header(header::IF_MATCH, "*");
    let deleted = service.send(delete(), "").await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        service.send(delete(), "").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_what_they_saw_one_does() {
    let (service, token) = service().await;
    let (path, tag) = product(&service, &token).await;
    // By two instances, so that no lock of a process decides.
    let other = service.replica(&[]);
    other.ready().await;
    let calls = (0..20).map(|number| {
        let instance = if number % 2 == 0 { &service } else { &other };
        let (path, token, tag) = (&path, &token, &tag);
        async move {
            let body = json!({"name": format!("n{number}")});
            patch(instance, path, token, tag, &body).await.status()
        }
    });
    let statuses = futures_util::future::join_all(calls).await;
    let done = statuses.iter().filter(|status| status.is_success()).count();
    assert_eq!(done, 1, "{statuses:?}");
    let refused = |status: &&http::StatusCode| **status == StatusCode::PRECONDITION_FAILED;
    assert_eq!(statuses.iter().filter(refused).count(), 19, "{statuses:?}");
    let found = service.get(&path, &token).await;
    assert_eq!(found.body()["data"]["product"]["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_by_grpc_have_the_same_by_a_field() {
    let (service, token) = service().await;
    let (path, tag) = product(&service, &token).await;
    let id = path.rsplit('/').next().expect("an id").to_owned();
    let tag = tag.trim_matches('"').to_owned();
    let mut client = CatalogServiceClient::connect(service.grpc.clone())
        .await
        .expect("a connection");
    let with = |name: &str, etag: &[&str]| {
        let mut request = tonic::Request::new(pb::UpdateProductRequest {
            product: Some(pb::Product {
                id: id.clone(),
                name: name.to_owned(),
                ..Default::default()
            }),
            etag: etag.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
        let token = format!("Bearer {token}").parse().expect("a header");
        request.metadata_mut().insert("authorization", token);
        request
    };
    let updated = client.update_product(with("one", &["0.0", &tag])).await;
    let updated = updated.expect("updated").into_inner();
    let next = updated.product.expect("a product").etag;
    let read = service.get(&path, &token).await;
    assert_eq!(read.body()["data"]["product"]["etag"], next.as_str());
    let refused = client.update_product(with("two", &[&tag])).await;
    let refused = refused.expect_err("another tag");
    assert_eq!(refused.code(), Code::Aborted);
    client
        .update_product(with("three", &["*"]))
        .await
        .expect("any is good");
}
