//! Link headers of lists.

use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use transcode_tests::{OPENAPI_JSON, transcoder};

async fn send(request: http::request::Builder, body: &'static str) -> Option<String> {
    let request = request.body(Full::from(body)).expect("a request");
    let response = transcoder().handle(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let link = response.headers().get(header::LINK)?;
    Some(link.to_str().expect("text").to_owned())
}

/// The links of an answer, as relations with their targets.
async fn links(uri: &str) -> Vec<(String, String)> {
    let text = send(Request::get(uri), "").await.unwrap_or_default();
    let link = |link: &str| {
        let (target, relation) = link.split_once(">; rel=\"").expect("a link");
        let target = target.strip_prefix('<').expect("a target");
        let relation = relation.strip_suffix('"').expect("a relation");
        (relation.to_owned(), target.to_owned())
    };
    text.split(", ").map(link).collect()
}

async fn expect(uri: &str, expected: &[(&str, &str)]) {
    let found = links(uri).await;
    let found: Vec<_> = found
        .iter()
        .map(|(r, t)| (r.as_str(), t.as_str()))
        .collect();
    assert_eq!(found, expected, "{uri}");
}

#[tokio::test]
async fn numbered_pages_lead_to_their_neighbours() {
    const BOOKS: &str = "/v1/shelves/1/books";
    let uri = |query: &str| format!("{BOOKS}?{query}");
    let (first, second, third) = (
        uri("query=3&page=1"),
        uri("query=3&page=2"),
        uri("query=3&page=3"),
    );
    expect(
        &uri("query=3"),
        &[("first", &first), ("next", &second), ("last", &third)],
    )
    .await;
    expect(
        &uri("page=2&query=3"),
        &[
            ("first", &first),
            ("prev", &first),
            ("next", &third),
            ("last", &third),
        ],
    )
    .await;
    expect(
        &third,
        &[("first", &first), ("prev", &second), ("last", &third)],
    )
    .await;
    // Beyond the end the way back leads to the end.
    expect(
        &uri("query=3&page=9"),
        &[("first", &first), ("prev", &third), ("last", &third)],
    )
    .await;
    expect(BOOKS, &[("first", &uri("page=1"))]).await;
}

#[tokio::test]
async fn tokens_lead_on() {
    let next = "a%2Fb%3D%2B%26%3E";
    for name in ["pageToken", "page_token"] {
        expect(
            &format!("/v1/shelves/1/books?{name}=x&query=3"),
            &[
                ("first", "/v1/shelves/1/books?query=3"),
                (
                    "next",
                    &format!("/v1/shelves/1/books?query=3&pageToken={next}"),
                ),
            ],
        )
        .await;
    }
    expect(
        "/v1/shelves/1/books?pageToken=last",
        &[("first", "/v1/shelves/1/books")],
    )
    .await;
    expect(
        "/v1/authors",
        &[
            ("first", "/v1/authors"),
            ("next", &format!("/v1/authors?pageToken={next}")),
        ],
    )
    .await;
}

#[tokio::test]
async fn other_parameters_are_kept_and_escaped() {
    expect(
        "/v1/shelves/a%3Eb/books?labels=a+b%26c&labels=%C3%BC,%3E&query=1&",
        &[
            (
                "first",
                "/v1/shelves/a%3Eb/books?labels=a%20b%26c&labels=%C3%BC%2C%3E&query=1&page=1",
            ),
            (
                "last",
                "/v1/shelves/a%3Eb/books?labels=a%20b%26c&labels=%C3%BC%2C%3E&query=1&page=1",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn only_a_list_that_is_got_has_links() {
    let post = Request::post("/v1/books:list").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(send(post, r#"{"query": "3"}"#).await, None);
    assert_eq!(send(Request::get("/v1/shelves/1/books/2"), "").await, None);
    let refused = Request::get("/v1/shelves/1/books?nope=1").body(Full::from(""));
    let refused = transcoder().handle(refused.expect("a request")).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(!refused.headers().contains_key(header::LINK));
}

#[test]
fn links_are_described() {
    let description: Value = serde_json::from_str(OPENAPI_JSON).expect("JSON");
    let has = |path: &str, method: &str| {
        let answer = &description["paths"][path][method]["responses"]["200"];
        assert!(answer.is_object(), "{path}");
        answer["headers"]["Link"].is_object()
    };
    assert!(has("/v1/authors", "get"));
    assert!(!has("/v1/books:list", "post"));
}
