//! The JSON of this protocol: ProtoJSON as it is, which clients write and read that know no contract of ours.

use serde_json::json;

use super::*;

#[tokio::test]
async fn names_and_decimals_are_those_of_the_proto() {
    let server = Server::start(Version::HTTP_2).await;
    for cover in [json!("COVER_CLOTH"), json!("cloth"), json!(1)] {
        for price in [json!("12.50"), json!(12.50)] {
            let body = json!({"title": "Dune", "cover": cover, "price": price});
            let answer = server.send(post(PROOF, JSON), body.to_string()).await;
            let answer = json(&answer);
            assert_eq!(answer["cover"], "COVER_CLOTH", "{body}");
            // As it was sent: a string keeps its zeros.
            let expected = if price.is_string() { "12.50" } else { "12.5" };
            assert_eq!(answer["price"], expected, "{body}");
        }
    }
    let answer = server.send(post(PROOF, JSON), "{}").await;
    assert_eq!(json(&answer)["cover"], "COVER_UNSPECIFIED");
}

#[tokio::test]
async fn what_is_not_known_is_skipped() {
    let server = Server::start(Version::HTTP_2).await;
    let body = json!({"title": "Dune", "weight": {"in": ["kg"]}});
    let answer = server.send(post(PROOF, JSON), body.to_string()).await;
    let answer = json(&answer);
    assert_eq!(
        (&answer["title"], &answer["cover"]),
        (&json!("Dune"), &json!("COVER_UNSPECIFIED"))
    );
    // What is of another kind is refused all the same.
    for body in [
        r#"{"title": 1}"#,
        r#"{"price": "much"}"#,
        r#"{"cover": true}"#,
        // A value is not lost without a word.
        r#"{"cover": "COVER_OF_TOMORROW"}"#,
        "[]",
        "null",
    ] {
        let answer = server.send(post(PROOF, JSON), body).await;
        assert_eq!(json(&answer)["code"], "invalid_argument", "{body}");
    }
}

#[tokio::test]
async fn rest_has_the_names_of_the_contract_meanwhile() {
    use transcode_tests::pb::library::v1::{Cover, Edition};
    let edition = Edition {
        title: "Dune".to_owned(),
        cover: Cover::Paper.into(),
        price: Some("3.00".to_owned()),
    };
    let json = serde_json::to_value(&edition).expect("JSON");
    assert_eq!(
        json,
        json!({"title": "Dune", "cover": "paper", "price": 3.00})
    );
}
