//! What transcoding costs: REST through the transcoder against the same written by hand on axum, and against the call of
//! the handler alone. All in one process, by turns, without a network, so that only ratios are told.
//!
//! `cargo bench -p transcode-tests`, or `make bench`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use serde::Serialize;
use tower::ServiceExt as _;
use transcode_tests::pb::library::v1::GetBookRequest;
use transcode_tests::pb::library::v1::library_server::Library as _;
use transcode_tests::{stack, transcoder};

const ROUNDS: usize = 21;
const CALLS: u32 = 5_000;
const PATH: &str = "/v1/shelves/12/books/345";

/// The same book, by hand.
#[derive(Serialize)]
struct Book {
    name: String,
    title: String,
    loans: i32,
    labels: std::collections::HashMap<String, String>,
}

async fn by_hand(Path((shelf, book)): Path<(String, String)>) -> axum::Json<Book> {
    let name = format!("shelves/{shelf}/books/{book}");
    axum::Json(Book {
        name,
        title: String::new(),
        loans: 0,
        labels: std::collections::HashMap::new(),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let transcoder = transcoder();
    let stack = stack();
    let axum: Router = Router::new().route("/v1/shelves/{shelf}/books/{book}", get(by_hand));
    let request = || {
        Request::get(PATH)
            .body(Empty::<bytes::Bytes>::new())
            .expect("a request")
    };

    // Both say the same, or the comparison means nothing.
    let ours = transcoder
        .handle(request())
        .await
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let theirs = axum
        .clone()
        .oneshot(request().map(axum::body::Body::new))
        .await
        .expect("an answer");
    let theirs = theirs
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&ours).expect("JSON"),
        serde_json::from_slice::<serde_json::Value>(&theirs).expect("JSON"),
    );

    let (mut rest, mut hand, mut rpc) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let answer = transcoder.handle(request()).await;
            black_box(answer.into_body().collect().await.expect("a body"));
        }
        rest.push(begun.elapsed());
        let begun = Instant::now();
        for _ in 0..CALLS {
            let answer = axum
                .clone()
                .oneshot(request().map(axum::body::Body::new))
                .await
                .expect("an answer");
            black_box(answer.into_body().collect().await.expect("a body"));
        }
        hand.push(begun.elapsed());
        let begun = Instant::now();
        for _ in 0..CALLS {
            let message = GetBookRequest {
                name: PATH.to_owned(),
            };
            black_box(
                stack
                    .get_book(tonic::Request::new(message))
                    .await
                    .expect("an answer"),
            );
        }
        rpc.push(begun.elapsed());
    }
    let (rest, hand, rpc) = (median(rest), median(hand), median(rpc));
    let row = |name: &str, time: Duration| {
        let each = time.as_secs_f64() * 1e6 / f64::from(CALLS);
        println!(
            "| {name} | {each:.2} | {:.2} |",
            time.as_secs_f64() / hand.as_secs_f64()
        );
    };
    println!(
        "| GET of one small message, median of {ROUNDS} rounds | µs | against axum by hand |\n| --- | --- | --- |"
    );
    row("transcoder", rest);
    row("axum by hand", hand);
    row("handler alone", rpc);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
