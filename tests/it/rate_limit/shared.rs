//! Replicas that share budgets, at a time that the test sets: what becomes of them with Redis and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use catalog_service::domain::Environment;
use catalog_service::rate_limit::{Caller, RateLimits, Settings};
use catalog_service::redis::Redis;
use time::OffsetDateTime;
use transcode::RateClass;
use uuid::Uuid;

use crate::support::redis::{self, eventually};

/// A clock that stands until it is set.
#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000)))
    }

    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Passes until a window of a user begins.
    async fn begin_window(&self, user: &str) {
        let limits = RateLimits::new(settings(1), None, self.clone());
        let quota = limits.draw(Caller::Subject(user), RateClass::Read, self.now());
        self.pass(quota.await.reset.into());
    }
}

impl Environment for Clock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
}

fn settings(limit: u32) -> Settings {
    Settings {
        requests_per_minute: limit,
        read_requests_per_minute: None,
        write_requests_per_minute: None,
        prefix: "test".to_owned(),
        longest_wait: Duration::from_secs(10),
    }
}

struct Replica {
    limits: RateLimits<Clock>,
    clock: Clock,
    redis: Redis,
}

impl Replica {
    fn new(addr: &str, limit: u32, clock: &Clock) -> Self {
        let redis = redis::client(addr);
        Self {
            limits: RateLimits::new(settings(limit), Some(redis.clone()), clock.clone()),
            clock: clock.clone(),
            redis,
        }
    }

    async fn draw(&self, user: &str) -> bool {
        let now = self.clock.now();
        let quota = self
            .limits
            .draw(Caller::Subject(user), RateClass::Read, now)
            .await;
        quota.open
    }

    /// How many of so many requests, one after the other, are let in.
    async fn draws(&self, user: &str, count: u32) -> u32 {
        let mut open = 0;
        for _ in 0..count {
            open += u32::from(self.draw(user).await);
        }
        open
    }

    /// Waits until the client has found Redis again.
    async fn is_connected(&self) {
        eventually("Redis is there", async || self.redis.ping().await.is_ok()).await;
    }
}

/// What Redis has counted for all users, in all windows.
async fn counted(redis: &redis::Server) -> u32 {
    let mut sum = 0;
    for key in redis.ask::<Vec<String>>(&["KEYS", "test:rate:*"]).await {
        sum += redis.ask::<u32>(&["GET", &key]).await;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_at_many_replicas_keep_the_limit() {
    if !redis::installed() {
        return;
    }
    let redis = redis::Server::start(&[]);
    let clock = Clock::new();
    let replicas: Vec<_> = (0..8)
        .map(|_| Arc::new(Replica::new(&redis.addr(), 1000, &clock)))
        .collect();
    for window in 0..2 {
        let tasks = (0..64).map(|task| {
            let replica = replicas[task % replicas.len()].clone();
            tokio::spawn(async move { replica.draws("user_1", 100).await })
        });
        let mut let_in = 0;
        for task in tasks.collect::<Vec<_>>() {
            let_in += task.await.unwrap();
        }
        println!("window {window}: {let_in} of 1000 let in");
        assert!((990..=1008).contains(&let_in), "{let_in} of 1000");
        clock.pass(60);
    }
    let keys: Vec<String> = redis.ask(&["KEYS", "test:rate:*"]).await;
    assert_eq!(keys.len(), 2, "one for each window: {keys:?}");
    for key in keys {
        let ttl: i64 = redis.ask(&["TTL", &key]).await;
        assert!((1..=120).contains(&ttl), "{key} {ttl}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_let_in_another_does_not() {
    if !redis::installed() {
        return;
    }
    let redis = redis::Server::start(&[]);
    let clock = Clock::new();
    let (one, other) = (
        Replica::new(&redis.addr(), 100, &clock),
        Replica::new(&redis.addr(), 100, &clock),
    );
    assert_eq!(one.draws("user_1", 200).await, 100);
    assert!(!other.draw("user_1").await);
    assert!(other.draw("user_2").await, "another user");
    // A user of few requests leaves little behind: the other replica has nearly all.
    assert_eq!(one.draws("user_3", 3).await, 3);
    let left = other.draws("user_3", 200).await;
    assert!((90..=97).contains(&left), "{left}");
    clock.pass(60);
    assert!(
        one.draw("user_1").await && other.draw("user_1").await,
        "a new window"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replica_goes_on_alone_while_redis_is_away_and_tells_of_it_later() {
    if !redis::installed() {
        return;
    }
    let mut redis = redis::Server::start(&[]);
    let clock = Clock::new();
    let (one, other) = (
        Replica::new(&redis.addr(), 1000, &clock),
        Replica::new(&redis.addr(), 1000, &clock),
    );
    clock.begin_window("user_1").await;
    assert_eq!(one.draws("user_1", 100).await, 100);
    assert_eq!(other.draws("user_1", 100).await, 100);

    // It takes connections and says nothing: one wait, and no other.
    redis.pause();
    let started = Instant::now();
    assert_eq!(one.draws("user_1", 300).await, 300);
    let waited = started.elapsed();
    println!("300 requests while Redis stood still: {waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    redis.resume();

    // It is gone. What the other one has is still known: no more than the limit is let in.
    clock.pass(3);
    redis.kill();
    let started = Instant::now();
    let open = one.draws("user_1", 1000).await;
    assert!(
        (450..=620).contains(&open),
        "{open} beside 400 here and 100 there"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!one.draw("user_1").await);
    assert_eq!(one.draws("user_2", 10).await, 10, "another user");

    // It is back. In a new window all is as it was.
    redis.start_again();
    one.is_connected().await;
    other.is_connected().await;
    clock.pass(60);
    assert_eq!(one.draws("user_1", 600).await, 600);
    let left = other.draws("user_1", 600).await;
    assert!((350..=401).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_alone_counts_when_redis_is_back() {
    if !redis::installed() {
        return;
    }
    let mut redis = redis::Server::start(&[]);
    let clock = Clock::new();
    let (one, other) = (
        Replica::new(&redis.addr(), 100, &clock),
        Replica::new(&redis.addr(), 100, &clock),
    );
    clock.begin_window("user_1").await;
    redis.kill();
    assert_eq!(one.draws("user_1", 60).await, 60);
    redis.start_again();
    one.is_connected().await;
    clock.pass(3);
    assert!(one.draw("user_1").await);
    let used = 61;
    eventually("what was used is told", async || {
        counted(&redis).await >= used
    })
    .await;
    let left = other.draws("user_1", 200).await;
    assert!(left <= 100 - used, "{left} beside {used}");
}
