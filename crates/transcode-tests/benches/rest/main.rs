//! What transcoding costs: REST through the transcoder against the same written by hand on axum with serde, against the
//! gRPC call of the same service by tonic, and against a transcoder that knows messages by their descriptors only
//! (prost-reflect). All in one process, by turns, without a network, in time of the processor: only ratios are told.
//!
//! `cargo bench -p transcode-tests`, or `make bench`.
#![allow(clippy::unwrap_used, missing_docs)]

mod by_hand;
mod dynamic;
mod grpc;
mod shop;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;

const ROUNDS: usize = 31;
const CALLS: u32 = 2_000;

/// A call, as each of the subjects makes it.
#[derive(Clone, Copy)]
enum Call {
    Get,
    List,
    Create,
}

impl Call {
    const ALL: [(Self, &str); 3] = [
        (Self::Get, "get"),
        (Self::List, "list of 20"),
        (Self::Create, "create"),
    ];

    fn request(self) -> Request<Full<Bytes>> {
        let (builder, body) = match self {
            Self::Get => (
                Request::get("/v1/items/item_01hm6xkqz0e8s8a3kq5w2v9t4c"),
                Bytes::new(),
            ),
            Self::List => (
                Request::get("/v1/items?page=1&limit=20&category=electronics"),
                Bytes::new(),
            ),
            Self::Create => (
                Request::post("/v1/items").header("content-type", "application/json"),
                shop::json(),
            ),
        };
        builder.body(Full::new(body)).unwrap()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let transcoder = shop::transcoder();
    let axum = by_hand::router();
    let dynamic = dynamic::router();
    let grpc = grpc::Shop::new();

    println!(
        "| medians of {ROUNDS} rounds, µs of the processor | transcoder | axum by hand | ratio | tonic | prost-reflect |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (call, name) in Call::ALL {
        // All say the same, or the comparison means nothing.
        let ours = body(transcoder.handle(call.request()).await).await;
        for router in [&axum, &dynamic] {
            let theirs = body(
                router
                    .clone()
                    .oneshot(call.request().map(axum::body::Body::new))
                    .await
                    .unwrap(),
            )
            .await;
            let value = |bytes: &Bytes| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(value(&ours), value(&theirs), "{name}");
        }

        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(
                each(async || {
                    black_box(body(transcoder.handle(call.request()).await).await);
                })
                .await,
            );
            for (place, router) in [(1, &axum), (3, &dynamic)] {
                times[place].push(
                    each(async || {
                        let request = call.request().map(axum::body::Body::new);
                        let answer = router.clone().oneshot(request).await.unwrap();
                        black_box(body(answer).await);
                    })
                    .await,
                );
            }
            times[2].push(each(async || grpc.call(call).await).await);
        }
        let [ours, hand, tonic, dynamic] = times.map(median);
        println!(
            "| {name} | {ours:.2} | {hand:.2} | {:.2} | {tonic:.2} | {dynamic:.2} |",
            ours / hand
        );
    }
}

async fn body<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(
    answer: http::Response<B>,
) -> Bytes {
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// Microseconds of the processor that a call takes.
async fn each(call: impl AsyncFn()) -> f64 {
    let begun = processor_time();
    for _ in 0..CALLS {
        call().await;
    }
    (processor_time() - begun) / f64::from(CALLS)
}

/// Microseconds that this thread had the processor: what else runs on the machine does not count.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap().as_secs_f64() * 1e6
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
