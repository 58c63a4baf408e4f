//! Whatever comes in: an answer goes out, and a client's error is never the server's.

use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use transcode_tests::transcoder;

/// Sends a request and gives back the status, and the answer as JSON.
fn send(request: Request<Full<bytes::Bytes>>) -> (u16, serde_json::Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (parts, body) = transcoder().handle(request).await.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (
            parts.status.as_u16(),
            serde_json::from_slice(&bytes).unwrap_or_default(),
        )
    })
}

fn post(body: Vec<u8>) -> (u16, serde_json::Value) {
    let request = Request::post("/v1/echo").header(header::CONTENT_TYPE, "application/json");
    send(request.body(Full::from(body)).expect("a request"))
}

/// JSON that has something to do with the message: its names, and values of all sorts.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        prop_oneof![
            "NaN",
            "1e5",
            "COLOR_RED",
            "2024-01-15T10:30:00Z",
            "1.5s",
            "a,b",
            "AQID"
        ]
        .prop_map(Into::into),
    ];
    let name = prop_oneof![
        "int32Value",
        "int64Value",
        "doubleValue",
        "text",
        "data",
        "color",
        "nested",
        "child",
        "number",
        "tags",
        "many",
        "counts",
        "numbered",
        "word",
        "message",
        "at",
        "span",
        "wrapped",
        "anything",
        "object",
        "mask",
        "maybe",
        "x"
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..256)) {
        let (status, _) = post(body);
        prop_assert!(matches!(status, 200 | 400), "{status}");
    }

    #[test]
    fn what_is_taken_comes_back_the_same(value in json()) {
        let (status, answer) = post(value.to_string().into_bytes());
        prop_assert!(matches!(status, 200 | 400), "{status}");
        if status == 200 {
            // The answer is in the canonical form: what it says once, it says again.
            let (status, again) = post(answer.to_string().into_bytes());
            prop_assert_eq!(status, 200, "{} {}", answer, again);
            prop_assert_eq!(again, answer);
        } else {
            prop_assert!(answer["message"].is_string());
        }
    }

    #[test]
    fn any_path_and_query_are_answered(path in "/[ -~]{0,40}", query in "[ -~]{0,40}") {
        let uri = format!("{}?{}", path.replace([' ', '?', '#'], "x"), query.replace([' ', '#'], "y"));
        if let Ok(request) = Request::get(uri).body(Full::from("")) {
            let (status, _) = send(request);
            prop_assert!(matches!(status, 200 | 400 | 404 | 405), "{status}");
        }
    }
}
