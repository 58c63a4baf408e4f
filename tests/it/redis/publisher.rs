//! Events into Redis Streams.

use std::time::{Duration, Instant};

use ::redis::{Value, cmd, pipe};
use catalog_service::events::cloud_event;
use catalog_service::events::publisher::{Outgoing, Publisher as _, RedisStreams, Unavailable};
use serde_json::value::RawValue;
use time::macros::datetime;

use crate::support::redis::{Cluster, Server, client, eventually, installed};

pub(super) fn event(number: usize, topic: &str) -> Outgoing {
    let payload = format!(r#"{{"number":{number},"text":"ü\n<&>","price":12.50}}"#);
    Outgoing {
        id: format!("evt_{number}"),
        event_type: "ProductCreated".to_owned(),
        topic: topic.to_owned(),
        key: format!("prod_{}", number % 7),
        time: datetime!(2025-06-01 12:00 UTC),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        payload: RawValue::from_string(payload).unwrap(),
    }
}

fn cloud_event(event: &Outgoing) -> Vec<u8> {
    let mut bytes = Vec::new();
    cloud_event::write(event, "pubsub-redis", &mut bytes).unwrap();
    bytes
}

/// An entry as XRANGE has it: its id, and names and values in turn.
type Entry = (String, Vec<Vec<u8>>);

#[tokio::test]
async fn a_batch_is_written_in_its_order() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let publisher = RedisStreams::new(&client(&server.addr()), "pubsub-redis", None);
    assert!(publisher.keeps_order());
    assert_eq!(publisher.publish(&[]).await.unwrap(), []);
    let batch: Vec<Outgoing> = (0..1000).map(|number| event(number, "topic")).collect();
    assert_eq!(publisher.publish(&batch).await.unwrap(), []);

    let entries: Vec<Entry> = server.ask(&["XRANGE", "topic", "-", "+"]).await;
    assert_eq!(entries.len(), batch.len());
    for ((_, fields), event) in entries.iter().zip(&batch) {
        let metadata = format!(r#"{{"partitionKey":"{}"}}"#, event.key);
        let expected: [&[u8]; 4] = [
            b"data",
            &cloud_event(event),
            b"metadata",
            metadata.as_bytes(),
        ];
        assert_eq!(*fields, expected);
    }
}

#[tokio::test]
async fn a_stream_is_kept_short() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let publisher = RedisStreams::new(&client(&server.addr()), "pubsub-redis", Some(1000));
    for _ in 0..3 {
        let batch: Vec<Outgoing> = (0..1000).map(|number| event(number, "topic")).collect();
        assert_eq!(publisher.publish(&batch).await.unwrap(), []);
    }
    let kept: usize = server.ask(&["XLEN", "topic"]).await;
    assert!((1000..1200).contains(&kept), "{kept}");
}

#[tokio::test]
async fn what_the_server_refuses_is_rejected_alone() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let publisher = RedisStreams::new(&client(&server.addr()), "pubsub-redis", None);
    server.ask::<()>(&["SET", "text", "no stream"]).await;
    let batch = [event(0, "topic"), event(1, "text"), event(2, "topic")];
    let rejections = publisher.publish(&batch).await.unwrap();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].index, 1);
    assert!(rejections[0].reason.contains("WRONGTYPE"), "{rejections:?}");
    assert_eq!(server.ask::<usize>(&["XLEN", "topic"]).await, 2);
    let rejections = publisher.publish(&batch[1..2]).await.unwrap();
    assert_eq!(rejections.len(), 1);

    // What is refused before it is queued ends a transaction.
    let setuser = ["ACL", "SETUSER", "app", "on", "nopass", "+@all", "~topic"];
    server.ask::<()>(&setuser).await;
    let addr = format!("redis://app:any@{}", server.addr());
    let publisher = RedisStreams::new(&client(&addr), "pubsub-redis", None);
    let rejections = publisher.publish(&batch).await.unwrap();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].index, 1);
    assert!(rejections[0].reason.contains("NOPERM"), "{rejections:?}");
    assert_eq!(server.ask::<usize>(&["XLEN", "topic"]).await, 4);
}

#[tokio::test]
async fn a_server_that_cannot_take_anything_is_unavailable() {
    if !installed() {
        return;
    }
    let mut server = Server::start(&[("--maxmemory-policy", "noeviction")]);
    let publisher = RedisStreams::new(&client(&server.addr()), "pubsub-redis", None);
    let batch: Vec<Outgoing> = (0..100).map(|number| event(number, "topic")).collect();
    let unavailable = async |reason: &str| {
        let Unavailable(said) = publisher.publish(&batch).await.unwrap_err();
        assert!(said.contains(reason), "{said}");
    };

    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    unavailable("OOM").await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(
        server.ask::<usize>(&["XLEN", "topic"]).await,
        0,
        "all or nothing"
    );
    assert_eq!(publisher.publish(&batch).await.unwrap(), []);

    // A replica of nobody takes nothing either.
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    unavailable("READONLY").await;
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it takes events again", async || {
        publisher.publish(&batch).await.is_ok()
    })
    .await;

    server.kill();
    unavailable("").await;
    server.start_again();
    eventually("it takes events again", async || {
        publisher.publish(&batch).await.is_ok()
    })
    .await;
    assert_eq!(server.ask::<usize>(&["XLEN", "topic"]).await, 100);
}

#[tokio::test]
async fn in_a_cluster_each_topic_goes_its_own_way() {
    if !installed() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let publisher = RedisStreams::new(&client(&cluster.addr()), "pubsub-redis", Some(100_000));
    assert!(!publisher.keeps_order());
    // As in redis.rs: "foo" is on the third node, "bar" on the first.
    let batch: Vec<Outgoing> = (0..100)
        .map(|number| event(number, if number % 2 == 0 { "foo" } else { "bar" }))
        .collect();
    assert_eq!(publisher.publish(&batch).await.unwrap(), []);
    let entries: Vec<Entry> = cluster.nodes[2].ask(&["XRANGE", "foo", "-", "+"]).await;
    let data: Vec<_> = entries
        .into_iter()
        .map(|(_, mut fields)| fields.remove(1))
        .collect();
    let expected: Vec<_> = batch.iter().step_by(2).map(cloud_event).collect();
    assert_eq!(data, expected);

    cluster.nodes[2].kill();
    let rejections = publisher.publish(&batch).await.unwrap();
    let indices: Vec<usize> = rejections.iter().map(|rejection| rejection.index).collect();
    assert_eq!(indices, (0..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(cluster.nodes[0].ask::<usize>(&["XLEN", "bar"]).await, 100);
    let lost: Vec<Outgoing> = batch.into_iter().step_by(2).collect();
    publisher.publish(&lost).await.unwrap_err();
}

/// How fast it is beside commands that are made of ready bytes: `cargo test --test it -- --ignored --nocapture streams`.
#[tokio::test]
#[ignore = "measures"]
async fn streams_are_written_nearly_as_fast_as_bytes() {
    const ROUNDS: u32 = 60;
    let server = Server::start(&[]);
    let publisher = RedisStreams::new(&client(&server.addr()), "pubsub-redis", None);
    let batch: Vec<Outgoing> = (0..1000).map(|number| event(number, "topic")).collect();
    let ready: Vec<_> = batch
        .iter()
        .map(|event| {
            (
                cloud_event(event),
                format!(r#"{{"partitionKey":"{}"}}"#, event.key),
            )
        })
        .collect();
    let raw = ::redis::Client::open(format!("redis://{}", server.addr())).unwrap();
    let mut raw = raw.get_multiplexed_async_connection().await.unwrap();

    let (mut by_bytes, mut by_publisher) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        cmd("DEL").arg("topic").exec_async(&mut raw).await.unwrap();
        let begin = Instant::now();
        if round % 2 == 0 {
            let mut pipeline = pipe();
            for (data, metadata) in &ready {
                pipeline.cmd("XADD").arg("topic").arg("*");
                pipeline.arg("data").arg(data).arg("metadata").arg(metadata);
            }
            pipeline.query_async::<Vec<Value>>(&mut raw).await.unwrap();
            by_bytes += begin.elapsed();
        } else {
            publisher.publish(&batch).await.unwrap();
            by_publisher += begin.elapsed();
        }
    }
    let ratio = by_bytes.as_secs_f64() / by_publisher.as_secs_f64();
    let rate = 500.0 * f64::from(ROUNDS) / by_publisher.as_secs_f64();
    println!(
        "{rate:.0} events/s, {ratio:.2} of ready bytes ({} bytes each)",
        ready[0].0.len()
    );
    assert!(ratio > 0.8, "{ratio}");
}
