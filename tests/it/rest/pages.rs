//! Ways through a list: by numbers, by tokens, and what is said when they are mixed up.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PRODUCTS, laptop, service};
use crate::support::service::Service;

async fn filled(count: i32) -> (Service, String) {
    let (service, token) = service().await;
    for number in 0..count {
        let body = laptop(&format!("L-{number}"));
        let created = service.json(Method::POST, PRODUCTS, &token, &body).await;
        assert_eq!(created.status(), StatusCode::CREATED, "{}", created.body());
    }
    (service, token)
}

fn skus(body: &Value) -> Vec<&str> {
    let products = body["data"]["products"].as_array().expect("products");
    products
        .iter()
        .map(|product| product["sku"].as_str().expect("a SKU"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_by_tokens() {
    let (service, token) = filled(5).await;
    let mut path = format!("{PRODUCTS}?limit=2&category=electronics");
    let mut seen = Vec::new();
    loop {
        let response = service.get(&path, &token).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
        seen.extend(skus(response.body()).into_iter().map(str::to_owned));
        let pagination = &response.body()["data"]["pagination"];
        assert_eq!(pagination["total"], 5);
        let Some(next) = pagination.get("nextPageToken") else {
            assert_eq!(pagination["page"], 3);
            break;
        };
        let next = next.as_str().expect("a token");
        path = format!("{PRODUCTS}?limit=2&category=electronics&pageToken={next}");
    }
    assert_eq!(seen, ["L-4", "L-3", "L-2", "L-1", "L-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_fit_is_refused() {
    let (service, token) = filled(2).await;
    let first = service
        .get(&format!("{PRODUCTS}?limit=1&warehouse=WH001"), &token)
        .await;
    let next = first.body()["data"]["pagination"]["nextPageToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let amiss = "Must be the token of an earlier page of the same list";
    let both = "Must not be given together with the other";
    for (query, details) in [
        (format!("pageToken={next}"), json!({"pageToken": amiss})),
        (
            format!("pageToken={next}&warehouse=WH002"),
            json!({"pageToken": amiss}),
        ),
        ("pageToken=nonsense".to_owned(), json!({"pageToken": amiss})),
        (
            format!("pageToken={next}&warehouse=WH001&page=2"),
            json!({"page": both, "pageToken": both}),
        ),
    ] {
        let response = service.get(&format!("{PRODUCTS}?{query}"), &token).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let error = &response.body()["error"];
        assert_eq!(error["code"], "INVALID_PARAMETERS");
        assert_eq!(error["details"], details, "{query}");
    }
}

/// The target of a relation in the Link header.
fn link(response: &http::Response<Value>, relation: &str) -> Option<String> {
    let links = response.headers()["link"].to_str().expect("text");
    let relation = format!(">; rel=\"{relation}\"");
    let mut targets = links
        .split(", ")
        .filter_map(|link| link.strip_suffix(&relation));
    Some(
        targets
            .next()?
            .strip_prefix('<')
            .expect("a target")
            .to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_through_a_list_both_ways_and_by_tokens() {
    let (service, token) = filled(5).await;
    let first = format!("{PRODUCTS}?limit=2&category=electronics");
    let mut seen = Vec::new();
    let mut response = service.get(&first, &token).await;
    loop {
        seen.extend(skus(response.body()).into_iter().map(str::to_owned));
        let Some(next) = link(&response, "next") else {
            break;
        };
        response = service.get(&next, &token).await;
    }
    assert_eq!(seen, ["L-4", "L-3", "L-2", "L-1", "L-0"]);
    let last = link(&response, "last").expect("the last page");
    assert_eq!(last, format!("{first}&page=3"));
    let previous = link(&response, "prev").expect("the page before");
    let response = service.get(&previous, &token).await;
    assert_eq!(skus(response.body()), ["L-2", "L-1"]);

    // Who came by a token, from the cache too, is led on by one.
    let response = service.get(&first, &token).await;
    let pagination = &response.body()["data"]["pagination"];
    let next = pagination["nextPageToken"].as_str().expect("a token");
    for _ in 0..3 {
        let second = service
            .get(&format!("{first}&pageToken={next}"), &token)
            .await;
        assert_eq!(skus(second.body()), ["L-2", "L-1"]);
        let third = service
            .get(&link(&second, "next").expect("a next page"), &token)
            .await;
        assert_eq!(skus(third.body()), ["L-0"]);
        assert_eq!(link(&third, "next"), None);
    }
}
