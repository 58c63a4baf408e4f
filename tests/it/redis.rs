//! The client of Redis against real servers: alone, behind a Sentinel, as a cluster; answering, silent, gone.

mod publisher;

use std::time::{Duration, Instant};

use ::redis::{Script, Value, pipe};
use catalog_service::redis::{Redis, RedisError, Status};

use crate::support::redis::{Cluster, Guarded, Server, client, eventually, installed};

const MINUTE: Duration = Duration::from_mins(1);

/// What every kind of Redis does.
async fn works(redis: &Redis) {
    for key in ["a", "b", "c", "{tag}:1", "{tag}:2"] {
        let value = format!("value of {key}\0\r\n");
        assert_eq!(redis.get(key).await.unwrap(), None);
        redis.set(key, value.as_bytes(), MINUTE).await.unwrap();
        let found = redis.get(key).await.unwrap();
        assert_eq!(found.as_deref(), Some(value.as_bytes()));
    }
    assert!(redis.del("a").await.unwrap());
    assert!(!redis.del("a").await.unwrap());

    redis
        .set("short", b"", Duration::from_millis(20))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(redis.get("short").await.unwrap(), None);

    let mut pipeline = pipe();
    pipeline.cmd("INCR").arg("{n}:1");
    pipeline.cmd("LPUSH").arg("{n}:1").arg("x");
    pipeline.cmd("INCR").arg("{n}:1");
    let values = redis.pipeline(&pipeline).await.unwrap();
    assert!(
        matches!(
            values[..],
            [Value::Int(1), Value::ServerError(_), Value::Int(2)]
        ),
        "{values:?}"
    );
    let values = redis.pipeline(pipeline.atomic()).await.unwrap();
    assert!(
        matches!(
            values[..],
            [Value::Int(3), Value::ServerError(_), Value::Int(4)]
        ),
        "{values:?}"
    );
    let mut broken = pipe();
    broken.atomic().cmd("INCR").arg("{n}:1");
    broken.cmd("INCR").arg("{n}:1").arg("too many");
    let error = redis.pipeline(&broken).await.unwrap_err();
    assert!(matches!(error, RedisError::Refused(_)), "{error:?}");
    assert_eq!(redis.get("{n}:1").await.unwrap().unwrap(), b"4");

    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for sum in [10, 20] {
        let value = redis.script(&script, &["{n}:s"], &[b"10"]).await.unwrap();
        assert_eq!(value, Value::Int(sum));
    }

    let error = redis.get("nolist").await;
    assert!(error.is_ok());
    redis.ping().await.unwrap();
    assert_eq!(redis.status(), Status::Connected);
}

#[tokio::test]
async fn a_server_is_used() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let redis = client(&server.addr());
    assert_eq!(redis.status(), Status::Unused);
    works(&redis).await;
    let wrong = redis.get("{n}:list").await.unwrap();
    assert_eq!(wrong, None);
    server.ask::<()>(&["LPUSH", "list", "1"]).await;
    let error = redis.get("list").await.unwrap_err();
    assert!(matches!(error, RedisError::Refused(_)), "{error:?}");
    assert!(!error.is_passing());
    assert_eq!(redis.status(), Status::Connected);
    // One connection for all of it, and the one that asks.
    let clients: String = server.ask(&["CLIENT", "LIST"]).await;
    assert_eq!(clients.lines().count(), 2, "{clients}");
}

#[tokio::test]
async fn user_password_and_database_are_used() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    server
        .ask::<()>(&["ACL", "SETUSER", "app", "on", ">s3cret/", "~*", "+@all"])
        .await;
    let redis = client(&format!("redis://app:s3cret%2F@{}/3", server.addr()));
    redis.set("key", b"value", MINUTE).await.unwrap();
    let keyspace: String = server.ask(&["INFO", "keyspace"]).await;
    assert!(keyspace.contains("db3:keys=1"), "{keyspace}");

    let redis = client(&format!("redis://app:wrong@{}", server.addr()));
    let error = redis.get("key").await.unwrap_err();
    assert!(matches!(error, RedisError::Away(_)), "{error:?}");
    assert!(
        error.to_string().contains("authentication failed"),
        "{error}"
    );
    assert!(!error.to_string().contains("wrong@"), "{error}");
}

#[tokio::test]
async fn a_cluster_is_used() {
    if !installed() {
        return;
    }
    let cluster = Cluster::start().await;
    let redis = client(&cluster.addr());
    works(&redis).await;
    for n in 0..100 {
        redis.set(&format!("k{n}"), b"v", MINUTE).await.unwrap();
    }
    for node in &cluster.nodes {
        let keys: usize = node.ask(&["DBSIZE"]).await;
        assert!(keys > 10, "{keys} keys");
    }
}

#[tokio::test]
async fn what_is_on_the_other_nodes_goes_on() {
    if !installed() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let redis = client(&cluster.addr());
    // "foo" is in slot 12182, on the third node; "bar" in 5061, on the first.
    redis.set("foo", b"1", MINUTE).await.unwrap();
    redis.set("bar", b"1", MINUTE).await.unwrap();
    cluster.nodes[2].pause();
    let begin = Instant::now();
    redis.get("foo").await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_millis(500));
    assert!(matches!(redis.status(), Status::Away(_)));
    let begin = Instant::now();
    for _ in 0..100 {
        let error = redis.get("foo").await.unwrap_err();
        assert!(matches!(error, RedisError::Away(_)), "{error:?}");
        assert!(redis.get("bar").await.unwrap().is_some());
    }
    assert!(begin.elapsed() < Duration::from_millis(200));
    cluster.nodes[2].resume();
    eventually("the node is used again", async || {
        redis.get("foo").await.is_ok_and(|value| value.is_some())
    })
    .await;

    for node in &mut cluster.nodes {
        node.kill();
    }
    redis.get("foo").await.unwrap_err();
    redis.get("bar").await.unwrap_err();
    for node in &mut cluster.nodes {
        node.start_again();
    }
    eventually("the cluster is used again", async || {
        redis.get("foo").await.is_ok() && redis.get("bar").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_master_that_is_lost_is_replaced() {
    if !installed() {
        return;
    }
    let mut guarded = Guarded::start().await;
    let redis = client(&guarded.addr());
    works(&redis).await;
    redis.set("kept", b"yes", MINUTE).await.unwrap();
    guarded.master.ask::<i64>(&["WAIT", "1", "1000"]).await;

    guarded.master.kill();
    let error = redis.get("kept").await.unwrap_err();
    assert!(error.is_passing());
    eventually("the replica is used", async || {
        redis.set("new", b"1", MINUTE).await.is_ok()
    })
    .await;
    assert_eq!(redis.get("kept").await.unwrap().unwrap(), b"yes");
    let info: String = guarded.replica.ask(&["INFO", "replication"]).await;
    assert!(info.contains("role:master"), "{info}");
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_is_left() {
    if !installed() {
        return;
    }
    let guarded = Guarded::start().await;
    let redis = client(&guarded.addr());
    redis.set("old", b"1", MINUTE).await.unwrap();
    // The old master still answers, and refuses what is written.
    guarded
        .sentinel
        .ask::<()>(&["SENTINEL", "FAILOVER", "mymaster"])
        .await;
    eventually("what is written is on the new master", async || {
        let written = redis.set("new", b"1", MINUTE).await.is_ok();
        let replica = &guarded.replica;
        let info: String = replica.ask(&["INFO", "replication"]).await;
        let there: bool = replica.ask(&["EXISTS", "new"]).await;
        written && there && info.contains("role:master")
    })
    .await;
    assert_eq!(redis.get("old").await.unwrap().unwrap(), b"1");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_by_each() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let redis = client(&server.addr());
    redis.set("key", b"value", MINUTE).await.unwrap();
    server.pause();

    // All at once: each waits for its own answer, and no longer.
    let begin = Instant::now();
    let calls = (0..50).map(|_| redis.get("key"));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| matches!(
        answer,
        Err(RedisError::Timeout(limit)) if *limit == Duration::from_millis(200)
    )));
    assert!(begin.elapsed() < Duration::from_millis(400));

    // From then on nobody does, not even at the time of a probe.
    let mut slowest = Duration::ZERO;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2500) {
        let call = Instant::now();
        let error = redis.get("key").await.unwrap_err();
        assert!(matches!(error, RedisError::Away(_)), "{error:?}");
        slowest = slowest.max(call.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slowest < Duration::from_millis(50), "{slowest:?}");
    assert!(matches!(redis.status(), Status::Away(_)));

    server.resume();
    eventually("it is used again", async || redis.get("key").await.is_ok()).await;
    assert_eq!(redis.status(), Status::Connected);
}

#[tokio::test]
async fn a_server_may_come_late_and_go() {
    if !installed() {
        return;
    }
    let mut server = Server::start(&[]);
    server.kill();
    let redis = client(&server.addr());
    let begin = Instant::now();
    let error = redis.get("key").await.unwrap_err();
    assert!(matches!(error, RedisError::Away(_)), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(1));
    server.start_again();
    // Nothing is asked of it meanwhile.
    eventually("it was found", async || redis.status() == Status::Connected).await;
    redis.set("key", b"value", MINUTE).await.unwrap();
    server.start_again();
    eventually("it is found again", async || {
        redis.get("key").await.is_ok_and(|value| value.is_none())
    })
    .await;
}

#[tokio::test]
async fn another_connection_has_limits_of_its_own() {
    if !installed() {
        return;
    }
    let server = Server::start(&[]);
    let redis = client(&server.addr());
    let patient = redis.separate(Duration::from_secs(5));
    let mut wait = ::redis::cmd("BLPOP");
    wait.arg("queue").arg("0.5");
    let begin = Instant::now();
    let (waited, ()) = tokio::join!(patient.command("queue", &wait), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        redis.ping().await.unwrap();
        assert!(begin.elapsed() < Duration::from_millis(400));
    });
    assert_eq!(waited.unwrap(), Value::Nil);
}
